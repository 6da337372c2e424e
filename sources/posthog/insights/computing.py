"""Insights computed by PostHog, each once a run, as queries or by the endpoints of older servers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partial
from typing import Any

from sources.posthog.errors import (
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
from sources.posthog.hogql.parallel import Job, run_jobs
from sources.posthog.insights import legacy
from sources.posthog.insights.definitions import Definition, Definitions, definitions
from sources.posthog.insights.points import Row, points
from sources.posthog.run import Run

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
            answer = self._query(definition)
        except RequestRefused:
            if self.has_queries:
                raise
            return self._legacy(definition)
        self._has_queries = True
        if "results" not in answer:
            raise AnswerMalformed("The answer has no results")
        return answer["results"], answer

    def _query(self, definition: Definition) -> dict[str, Any]:
        node = definition.node or {}
        try:
            return self._run.client.query_node(node)
        except QueryTimedOut:
            # In the background PostHog gives it ten minutes.
            return self._run.client.query_node(node, long=True)

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
