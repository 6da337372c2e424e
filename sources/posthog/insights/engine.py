"""The engine for dlt's pages: which insights there are, and the points of each, replaced insight by insight.

All points of an insight are on one page, and so in one load package: dlt deletes what the table had of its id before.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from sources.posthog.insights.computing import Computed, Insights
from sources.posthog.insights.definitions import Definition
from sources.posthog.insights.points import Row, gone
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run
from sources.posthog.tables.insights import POINTS, InsightPoints

_NOT_TABULAR = {
    "HogQLQuery": "It is a HogQL query: load it as a query of your own, under [queries].",
    "EventsQuery": "It lists events: they are in the table events.",
}
_UNKNOWN = "Insights of this kind have no points here."

_ERRORS_TOLD = 5


def insights_of(run: Run) -> Insights:
    """The insights of a run, shared by its tables."""
    return run.shared("insights", lambda: Insights(run))


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
    reading.held = sum(held.values())
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
    reading.held = len(now)

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


def nothing(_: State) -> None:
    """Nothing to note."""
