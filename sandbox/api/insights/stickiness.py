"""Stickiness: how many persons did it on how many days. Source:
posthog/hogql_queries/insights/stickiness_query_runner.py, autumn 2026."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from posthog_warehouse.sandbox.api.insights import filters, series
from posthog_warehouse.sandbox.api.insights.calculation import Calculation
from posthog_warehouse.sandbox.api.insights.periods import Period
from posthog_warehouse.sandbox.api.insights.series import Series

_OPERATORS = {"exact": "=", "gte": ">=", "lte": "<=", "gt": ">", "lt": "<"}


def calculate(work: Calculation, node: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The results of a StickinessQuery; ``days`` counts intervals, from 1."""
    compares = bool((node.get("compareFilter") or {}).get("compare"))
    results = []
    for previous in (False, True) if compares else (False,):
        period = _period(work, node, previous=previous)
        for one in series.parse(node):
            result = _result(work, node, one, period)
            if compares:
                result |= {"compare": True, "compare_label": "previous" if previous else "current"}
            results.append(result)
    return results, {}


def _period(work: Calculation, node: Mapping[str, Any], *, previous: bool = False) -> Period:
    period = work.period(node.get("dateRange"), node.get("interval"))
    if not previous:
        return period
    compare_to = (node.get("compareFilter") or {}).get("compare_to")
    return period.shifted(str(compare_to)) if compare_to else period.previous()


def _is_cumulative(node: Mapping[str, Any]) -> bool:
    return (node.get("stickinessFilter") or {}).get("computedAs") == "cumulative"


def _result(work: Calculation, node: Mapping[str, Any], one: Series, period: Period) -> dict[str, Any]:
    rows = work.rows(f"SELECT intervals, count() FROM ({_by_person(work, node, one, period)}) GROUP BY intervals")
    found = dict(rows)
    days = list(range(1, len(period.starts()) + 1))
    data = [found.get(day, 0) for day in days]
    count = sum(data)
    cumulative = _is_cumulative(node)
    if cumulative:
        data = [sum(data[place:]) for place in range(len(data))]
    more = " or more" if cumulative else ""
    return {
        "count": count,
        "data": data,
        "days": days,
        "label": one.label,
        "labels": [f"{day} {period.interval}{'' if day == 1 else 's'}{more}" for day in days],
        "action": {"order": one.order, "type": "events", "name": one.label, "id": one.event},
    }


def _by_person(work: Calculation, node: Mapping[str, Any], one: Series, period: Period) -> str:
    """ClickHouse SQL: actor_id and in how many intervals."""
    group = filters.identifier(f"$group_{one.math_group_type_index or 0}")
    actor = group if one.math == "unique_group" else "person_id"
    conditions = [*filters.conditions(node.get("properties")), one.condition, period.condition()]
    if one.math == "unique_group":
        conditions.append(f"{group} != ''")
    events = work.events({"actor_id": actor, "bucket": period.bucket("timestamp")}, conditions)
    criteria = (node.get("stickinessFilter") or {}).get("stickinessCriteria") or {}
    operator = _OPERATORS.get(str(criteria.get("operator")), ">=")
    least = int(criteria.get("value") or 1)
    active = f"SELECT actor_id, bucket FROM ({events}) GROUP BY actor_id, bucket HAVING count() {operator} {least}"
    return f"SELECT actor_id, count() AS intervals FROM ({active}) GROUP BY actor_id"


def actors(work: Calculation, source: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """ClickHouse SQL for who did it in ``day`` intervals (in so many or more where the insight is cumulative)."""
    place = int(chosen.get("series") or 0)
    one = series.parse(source)[place]
    compare = (source.get("compareFilter") or {}).get("compare") and chosen.get("compare") == "previous"
    by_person = _by_person(work, source, one, _period(work, source, previous=bool(compare)))
    operator = _OPERATORS.get(str(chosen.get("operator")), ">=" if _is_cumulative(source) else "=")
    where = f" WHERE intervals {operator} {int(chosen['day'])}" if chosen.get("day") is not None else ""
    return f"SELECT actor_id, intervals AS event_count FROM ({by_person}){where}"
