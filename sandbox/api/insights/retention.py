"""Retention: who comes back, and after how many intervals.

Source: posthog/hogql_queries/insights/retention/retention_query_runner.py, autumn 2026 (calendar intervals, with the
older meaning of the dates: ``totalIntervals`` intervals, the last of them holding ``date_to``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from posthog_warehouse.sandbox.api.envelope import invalid
from posthog_warehouse.sandbox.api.insights import breakdowns, filters, series
from posthog_warehouse.sandbox.api.insights.breakdowns import Breakdown
from posthog_warehouse.sandbox.api.insights.calculation import Calculation
from posthog_warehouse.sandbox.api.insights.periods import Period
from posthog_warehouse.sandbox.api.insights.series import Series
from posthog_warehouse.sandbox.store import quoted

DEFAULT_INTERVALS = 7

_UNKNOWN = ("retentionCustomBrackets", "minimumOccurrences", "aggregationType", "cumulative")


@dataclass(frozen=True)
class Retention:
    """A retention query, read.

    Attributes:
        target, returning: what starts a cohort, and what counts as coming back.
        first_time: only a person's first such event of all times starts a cohort.
        count: how many intervals there are.
    """

    node: Mapping[str, Any]
    target: Series
    returning: Series
    first_time: bool
    count: int
    interval: str
    breakdown: Breakdown | None

    def starts(self, work: Calculation) -> tuple[Period, list[datetime]]:
        """The period, and the start of each interval."""
        dates = self.node.get("dateRange") or {}
        last = work.period({"date_to": dates.get("date_to"), "date_from": "dStart"}, self.interval)
        end = last.start_of(last.until)
        starts = [last.add(end, place - self.count + 1) for place in range(self.count)]
        return Period(starts[0], last.until, self.interval), starts


def read(node: Mapping[str, Any]) -> Retention:
    """A RetentionQuery. Raises ApiError (400)."""
    given = node.get("retentionFilter") or {}
    for name in _UNKNOWN:
        if given.get(name):
            raise invalid(f"This local PostHog does not know {name} in retention.")
    if given.get("timeWindowMode") == "24_hour_windows":
        raise invalid("This local PostHog knows calendar intervals in retention only.")
    kind = str(given.get("retentionType") or "retention_recurring")
    if kind not in ("retention_recurring", "retention_first_time"):
        raise invalid(f"This local PostHog does not know the retention type {kind!r}.")
    return Retention(
        node=node,
        target=series.entity(given.get("targetEntity")),
        returning=series.entity(given.get("returningEntity")),
        first_time=kind == "retention_first_time",
        count=int(given.get("totalIntervals") or DEFAULT_INTERVALS),
        interval=str(given.get("period") or "Day").lower(),
        breakdown=breakdowns.parse(node),
    )


def calculate(work: Calculation, node: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The results of a RetentionQuery: one per cohort (and breakdown value), with a value per interval after it."""
    retention = read(node)
    _, starts = retention.starts(work)
    rows = work.rows(
        f"SELECT prop, cohort, later, count(DISTINCT actor_id) FROM ({_by_person(work, retention)}) "
        "GROUP BY prop, cohort, later"
    )
    cells: dict[tuple[str, ...], dict[tuple[int, int], int]] = {} if retention.breakdown else {(): {}}
    for prop, cohort, later, count in rows:
        cells.setdefault(tuple(prop), {})[cohort, later] = count
    sizes = {prop: sum(count for (_, later), count in found.items() if not later) for prop, found in cells.items()}
    ranked = sorted(cells, key=lambda prop: (-sizes[prop], prop))
    unit = retention.interval.title()
    results = []
    for prop in ranked[: retention.breakdown.limit] if retention.breakdown else ranked:
        for cohort, start in enumerate(starts):
            results.append(
                {
                    "values": [
                        {"count": cells[prop].get((cohort, later), 0), "label": f"{unit} {later}"}
                        for later in range(retention.count)
                    ],
                    "label": f"{unit} {cohort}",
                    "date": start,
                    "breakdown_value": "::".join(prop) if retention.breakdown else None,
                }
            )
    return results, {}


def _by_person(work: Calculation, retention: Retention) -> str:
    """ClickHouse SQL: actor_id, prop, cohort (from 0), later (intervals after it, 0 for the cohort itself)."""
    period, starts = retention.starts(work)
    days = ", ".join(quoted(period.day(start)) for start in starts)
    conditions = [
        *filters.conditions(retention.node.get("properties")),
        f"({retention.target.condition} OR {retention.returning.condition})",
    ]
    if not retention.first_time:
        conditions.append(period.condition())
    columns = {
        "actor_id": "person_id",
        "at": "timestamp",
        # 0 for times outside of the period.
        "place": f"if({period.condition()}, indexOf([{days}], {period.bucket('timestamp')}), 0)",
        "starting": f"if({retention.target.condition}, 1, 0)",
        "coming": f"if({retention.returning.condition}, 1, 0)",
        "prop": retention.breakdown.texts(missing="") if retention.breakdown else "[]",
    }
    begun = "arraySort(groupUniqArrayIf(place, starting = 1 AND place > 0))"
    if retention.first_time:
        begun = "if(argMinIf(place, at, starting = 1) > 0, [argMinIf(place, at, starting = 1)], [])"
    group = "actor_id, its_prop" if retention.breakdown else "actor_id"
    prop = "its_prop" if retention.breakdown else "emptyArrayString() AS its_prop"
    per_person = (
        f"SELECT actor_id, {prop}, {begun} AS begun, "
        "groupUniqArrayIf(place, coming = 1 AND place > 0) AS came "
        f"FROM (SELECT * EXCEPT prop, prop AS its_prop FROM ({work.events(columns, conditions)})) GROUP BY {group}"
    )
    later = "arrayConcat([0], arrayMap(c -> c - cohort_place, arrayFilter(c -> c > cohort_place, came)))"
    return (
        "SELECT actor_id, its_prop AS prop, cohort_place - 1 AS cohort, "
        f"arrayJoin({later}) AS later FROM (SELECT *, toInt64(arrayJoin(begun)) AS cohort_place FROM ({per_person}))"
    )


def actors(work: Calculation, source: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """ClickHouse SQL for a cohort's persons: ``interval`` is the cohort's number, ``breakdown`` a list of values."""
    conditions = []
    if chosen.get("interval") is not None:
        conditions.append(f"cohort = {int(chosen['interval'])}")
    if chosen.get("breakdown") is not None:
        if not isinstance(chosen["breakdown"], list):
            raise invalid("Single breakdowns are not supported, ensure multiple-breakdowns feature flag is enabled")
        conditions.append(f"prop = [{', '.join(quoted(str(value)) for value in chosen['breakdown'])}]")
    return (
        "SELECT actor_id, count() AS event_count, arraySort(groupUniqArray(later)) AS appearances "
        f"FROM ({_by_person(work, read(source))}) WHERE {' AND '.join(conditions) or '1'} GROUP BY actor_id"
    )
