"""The engine for dlt's pages: which insights there are, and the points of each, replaced insight by insight.

All points of an insight are on one page, and so in one load package: dlt deletes what the table had of its id before.

Each is computed by PostHog once a run, as a query or by the endpoints of older servers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ...errors import (
    AnswerFromCache,
    AnswerMalformed,
    AnswerTruncated,
    Narrow,
    NotFound,
    PostHogError,
    QueryTimedOut,
    RequestRefused,
    ServerFault,
    Unreachable,
)
from ...planning.worker_pool import Job, run_jobs
from ...tables.insights import POINTS, InsightPoints
from ..base import Noted, State, TableReading, nothing
from ..run import Run
from . import legacy
from .definitions import Definition, Definitions, definitions
from .points import Row, gone, points

# What every server with queries for insights can answer: refused, it has none.
_PROBE = {
    "kind": "TrendsQuery",
    "series": [{"kind": "EventsNode", "event": "$pageview"}],
    "dateRange": {"date_from": "-1d"},
}


@dataclass(frozen=True)
class Computed:
    """An insight and its points, or the error of this one insight."""

    definition: Definition
    asked_at: str
    """The server's time when it was asked, ISO in UTC."""
    rows: list[Row] = field(default_factory=list, repr=False)
    last_refresh: str | None = None
    error: PostHogError | None = None


class Insights:
    """The insights of one run. Tables share it, so that each insight is computed once."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._definitions: Definitions | None = None
        self._computed: dict[str, Computed] = {}
        self._lock = threading.Lock()
        self._has_queries: bool | None = None

    @property
    def definitions(self) -> Definitions:
        """The insights that there are. Raises as `definitions.definitions`."""
        if self._definitions is None:
            self._definitions = definitions(self._run)
        return self._definitions

    def computed(self, wanted: Callable[[Definition], bool]) -> Iterator[Computed]:
        """The insights that are wanted of those that have points, as they are done.

        Raises what is wrong with more than one insight: a key, a limit, the connection.
        """
        chosen = [one for one in self.definitions.wanted if one.shape is not None and wanted(one)]
        missing = [one for one in chosen if one.insight_id not in self._computed]
        yield from (self._computed[one.insight_id] for one in chosen if one.insight_id in self._computed)
        settings = self._run.settings
        jobs: list[Job[Computed]] = [partial(self._compute, one) for one in missing]
        for result in run_jobs(jobs, threads=settings.queries_in_flight, ahead=settings.pages_ahead):
            self._computed[result.definition.insight_id] = result
            yield result

    @property
    def has_queries(self) -> bool:
        """Whether the server computes insights as queries; found out once. Raises PostHogError."""
        with self._lock:
            if self._has_queries is None:
                try:
                    self._run.client.query_node(_PROBE)
                    self._has_queries = True
                except (RequestRefused, NotFound):
                    self._has_queries = False
            return self._has_queries

    def server_time(self) -> str:
        """PostHog's time now, ISO in UTC."""
        return (self._run.client.server_time() or datetime.now(timezone.utc)).isoformat()

    def _compute(self, definition: Definition) -> Computed:
        asked_at = self.server_time()
        try:
            results, answer = self._answer(definition)
            rows = points(definition, results, str(answer.get("timezone") or self._run.project.timezone))
        except PostHogError as error:
            if not _is_its_own(error):
                raise
            return Computed(definition, asked_at, error=error)
        refreshed = answer.get("last_refresh")
        return Computed(definition, asked_at, rows, None if refreshed is None else str(refreshed))

    def _answer(self, definition: Definition) -> tuple[Any, dict[str, Any]]:
        """The results, and the whole answer that they stand in."""
        if definition.node is None or self._has_queries is False:
            return self._legacy(definition)
        try:
            # In the background PostHog gives it ten minutes.
            answer = self._run.client.query_node(definition.node, long=QueryTimedOut)
        except RequestRefused:
            if self.has_queries:
                raise
            return self._legacy(definition)
        self._has_queries = True
        if "results" not in answer:
            raise AnswerMalformed("The answer has no results")
        return answer["results"], answer

    def _legacy(self, definition: Definition) -> tuple[Any, dict[str, Any]]:
        given = {**legacy.filters(definition), "refresh": True}
        try:
            answer = self._run.client.get(legacy.path(definition), legacy.params(given))
        except NotFound:
            raise RequestRefused(
                "This server does not compute insights that are kept as filters",
                advice="Open the insight in PostHog and save it: it becomes a query then.",
            ) from None
        if not isinstance(answer, dict) or "result" not in answer:
            raise AnswerMalformed("The answer has no result", path=legacy.path(definition))
        return answer["result"], answer


def _is_its_own(error: PostHogError) -> bool:
    """Whether an error is that of one insight: the next one may be fine."""
    if isinstance(error, Unreachable):
        return not error.is_shared and isinstance(error.last, (ServerFault, AnswerMalformed, AnswerTruncated))
    return isinstance(error, (RequestRefused, Narrow, AnswerFromCache, AnswerMalformed))


_NOT_TABULAR = {
    "HogQLQuery": "It is a HogQL query: load it as a query of your own, under [queries].",
    "EventsQuery": "It lists events: they are in the table events.",
}
_UNKNOWN = "Insights of this kind have no points here."

_ERRORS_TOLD = 5


def insights_of(run: Run) -> Insights:
    """The insights of a run, shared by its tables."""
    if run.insights is None:
        run.insights = Insights(run)
    return run.insights


def read_points(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The points of all insights of a shape.

    State: `rows`, how many rows of each insight the table holds.
    """
    reads = reading.table.reads
    if not isinstance(reads, InsightPoints):
        raise TypeError(f"{reading.table.name} holds no points of insights")
    insights = insights_of(run)
    held: dict[str, int] = dict(state.get("rows", {}))
    present: set[str] = set()
    failed: list[Computed] = []
    is_empty = True
    for computed in insights.computed(lambda one: one.shape == reads.shape):
        insight_id = computed.definition.insight_id
        present.add(insight_id)
        if computed.error is not None:
            failed.append(computed)
            continue
        if not computed.rows and not held.get(insight_id):
            continue
        held[insight_id] = len(computed.rows)
        run.progress.fetched(reading.table.name, len(computed.rows))
        is_empty = False
        yield computed.rows or [gone(insight_id, reads.shape)], partial(_note_rows, insight_id, len(computed.rows))
    reading.notes += _told(failed)
    if not insights.definitions.is_settled:
        reading.notes.append("the list of insights changed all the time: none was taken for gone")
    else:
        for insight_id in [one for one in held if one not in present]:
            held.pop(insight_id)
            yield [gone(insight_id, reads.shape)], partial(_note_rows, insight_id, 0)
    reading.evidence.held = sum(held.values())
    if is_empty:
        # The table is there though no insight has points.
        yield [], nothing


def read_results(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Which insights there are, and how computing them went.

    State: `insights`, what was found out of each when it was last computed.
    """
    insights = insights_of(run)
    known: dict[str, dict[str, Any]] = dict(state.get("insights", {}))
    rows: list[Row] = []
    now: dict[str, dict[str, Any]] = {}
    for definition in insights.definitions.wanted:
        if definition.shape is None:
            rows.append(_row(definition, "not_tabular", _NOT_TABULAR.get(definition.kind, _UNKNOWN), {}))
            now[definition.insight_id] = {}
    for computed in insights.computed(lambda _: True):
        definition = computed.definition
        if computed.error is None:
            facts: dict[str, Any] = {
                "rows": len(computed.rows),
                "computed_at": computed.asked_at,
                "last_refresh": computed.last_refresh,
            }
            rows.append(_row(definition, "computed", None, facts))
        else:
            # The points of the last time are still there, if they are of the same shape.
            before = known.get(definition.insight_id, {})
            facts = before if before.get("points_in") == _table(definition) else {}
            rows.append(_row(definition, "failed", str(computed.error), facts))
        now[definition.insight_id] = {**facts, "points_in": _table(definition)}
    if insights.definitions.is_settled:
        rows += [{"insight_id": one, "is_gone": True} for one in known if one not in now]
    else:
        now = {**known, **now}
    reading.evidence.held = len(now)

    def note(state: State) -> None:
        state["insights"] = now

    yield rows, note


def _row(definition: Definition, status: str, error: str | None, facts: dict[str, Any]) -> Row:
    return {
        "insight_id": definition.insight_id,
        "short_id": definition.short_id,
        "name": definition.name,
        "kind": definition.kind,
        "source": definition.source,
        "status": status,
        "error": error,
        "points_in": _table(definition),
        "rows": facts.get("rows", 0),
        "computed_at": facts.get("computed_at"),
        "last_refresh": facts.get("last_refresh"),
        "query": dict(definition.raw),
        "is_gone": False,
    }


def _table(definition: Definition) -> str | None:
    return None if definition.shape is None else POINTS[definition.shape]


def _told(failed: list[Computed]) -> list[str]:
    told = [
        f"{one.definition.name or one.definition.insight_id} has no new points: {one.error.message}"
        for one in failed[:_ERRORS_TOLD]
        if one.error is not None
    ]
    more = len(failed) - _ERRORS_TOLD
    return [*told, f"{more:,} other insights have none either: see insight_results"] if more > 0 else told


def _note_rows(insight_id: str, count: int, state: State) -> None:
    rows = state.setdefault("rows", {})
    if count:
        rows[insight_id] = count
    else:
        rows.pop(insight_id, None)
