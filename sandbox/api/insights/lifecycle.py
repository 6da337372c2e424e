"""Lifecycle: who is new, returning, resurrecting or dormant. Source:
posthog/hogql_queries/insights/lifecycle_query_runner.py, autumn 2026."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from posthog_warehouse.sandbox.api.envelope import invalid
from posthog_warehouse.sandbox.api.insights import filters, series
from posthog_warehouse.sandbox.api.insights.calculation import Calculation
from posthog_warehouse.sandbox.api.insights.periods import Period, literal
from posthog_warehouse.sandbox.store import quoted

STATUSES = ("new", "returning", "resurrecting", "dormant")


def calculate(work: Calculation, node: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The results of a LifecycleQuery: one per status; the dormant count below zero."""
    period = work.period(node.get("dateRange"), node.get("interval"))
    one = series.parse(node)[0]
    rows = work.rows(
        f"SELECT status, bucket, count(DISTINCT actor_id) FROM ({_statuses(work, node, period)}) "
        "GROUP BY status, bucket"
    )
    found = {(status, bucket): count for status, bucket, count in rows}
    days = [period.day(start) for start in period.starts()]
    labels = [period.label(start) for start in period.starts()]
    results = []
    for status in STATUSES:
        sign = -1.0 if status == "dormant" else 1.0
        data = [sign * found.get((status, day), 0) for day in days]
        action = {"id": one.event, "name": one.label, "type": "events", "order": 0, "math": "total"}
        results.append(
            {
                "action": action,
                "data": data,
                "count": float(sum(data)),
                "labels": labels,
                "days": days,
                "label": f"{one.label} - {status}",
                "status": status,
            }
        )
    return results, {}


def _statuses(work: Calculation, node: Mapping[str, Any], period: Period) -> str:
    """ClickHouse SQL: actor_id, the interval (`bucket`, its day), status.

    An interval before the period is looked at as well, to know who returns; who was active in an interval but not in
    the next is dormant in that one.
    """
    starts = period.starts()
    conditions = [
        *filters.conditions(node.get("properties")),
        *[one.condition for one in series.parse(node)],
        f"timestamp >= {literal(period.add(starts[0], -1))}",
        f"timestamp < {literal(period.add(starts[-1], 1))}",
    ]
    # Intervals become numbers, so that "the next one" needs no calendar.
    every = [period.add(starts[0], -1), *starts, period.add(starts[-1], 1)]
    days = ", ".join(quoted(period.day(start)) for start in every)
    columns = {
        "actor_id": "person_id",
        "place": f"indexOf([{days}], {period.bucket('timestamp')})",
        "born": f"indexOf([{days}], {period.bucket('person.created_at')})",
    }
    active = (
        "SELECT actor_id, min(born) AS first, arraySort(groupUniqArray(place)) AS places "
        f"FROM ({work.events(columns, conditions)}) GROUP BY actor_id"
    )
    return f"""
SELECT actor_id, [{days}][pair.1] AS bucket, pair.2 AS status
FROM (
    SELECT actor_id, arrayJoin(arrayConcat(
        arrayMap(p -> (p, multiIf(
            p = first AND p = places[1], 'new', has(places, p - 1), 'returning', 'resurrecting'
        )), places),
        arrayMap(p -> (p + 1, 'dormant'), arrayFilter(p -> NOT has(places, p + 1), places))
    )) AS pair
    FROM ({active})
)
WHERE pair.1 > 1 AND pair.1 <= {len(starts) + 1}"""


def actors(work: Calculation, source: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """ClickHouse SQL for who had a ``status`` on a ``day`` (either may be left out)."""
    period = work.period(source.get("dateRange"), source.get("interval"))
    conditions = []
    if chosen.get("day") is not None:
        start = period.start_of(work.period({"date_from": str(chosen["day"])}).since)
        conditions.append(f"bucket = {quoted(period.day(start))}")
    if chosen.get("status") is not None:
        if chosen["status"] not in STATUSES:
            raise invalid(f"There is no lifecycle status {chosen['status']!r}.")
        conditions.append(f"status = {quoted(str(chosen['status']))}")
    where = " AND ".join(conditions) or "1"
    return f"SELECT DISTINCT actor_id, 1 AS event_count FROM ({_statuses(work, source, period)}) WHERE {where}"
