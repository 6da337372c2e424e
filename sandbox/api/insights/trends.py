"""Trends: what each series counts, by interval or in all.

Source: posthog/hogql_queries/insights/trends, autumn 2026. Labels of weeks are those of a day, as until 2025.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from posthog_warehouse.sandbox.api.envelope import invalid
from posthog_warehouse.sandbox.api.insights import breakdowns, filters, formulas, series
from posthog_warehouse.sandbox.api.insights.breakdowns import Breakdown
from posthog_warehouse.sandbox.api.insights.calculation import Calculation
from posthog_warehouse.sandbox.api.insights.periods import Period, literal
from posthog_warehouse.sandbox.api.insights.series import Series
from posthog_warehouse.sandbox.api.insights.trend_figures import ACTIVE_DAYS, Counting, Figures, figures

#: Displays of one figure for the whole period.
TOTALS = frozenset({"ActionsBarValue", "ActionsPie", "ActionsTable", "BoldNumber", "WorldMap"})

_DISPLAYS = TOTALS | {"ActionsAreaGraph", "ActionsBar", "ActionsLineGraph", "ActionsLineGraphCumulative"}


@dataclass(frozen=True)
class Trends:
    """A trends query, read.

    Attributes:
        series: what is counted.
        conditions: HogQL for events of all series.
        breakdown: what they are told apart by.
        compares: the period before is there as well.
        display: how it is shown; some displays have totals only.
    """

    node: Mapping[str, Any]
    series: Sequence[Series]
    conditions: Sequence[str]
    breakdown: Breakdown | None
    compares: bool
    display: str

    @property
    def is_total(self) -> bool:
        """Whether there is one figure for the whole period."""
        return self.display in TOTALS

    def period(self, work: Calculation, *, previous: bool = False) -> Period:
        """What it looks at, or what it compares that with."""
        period = work.period(self.node.get("dateRange"), "day" if self.is_total else self.node.get("interval"))
        if not previous:
            return period
        compare_to = (self.node.get("compareFilter") or {}).get("compare_to")
        return period.shifted(str(compare_to)) if compare_to else period.previous()


def read(node: Mapping[str, Any]) -> Trends:
    """A TrendsQuery. Raises ApiError (400)."""
    display = str((node.get("trendsFilter") or {}).get("display") or "ActionsLineGraph")
    if display not in _DISPLAYS:
        raise invalid(f"This local PostHog does not know the display {display!r}.")
    if int((node.get("trendsFilter") or {}).get("smoothingIntervals") or 1) > 1:
        raise invalid("This local PostHog does not smooth trends.")
    return Trends(
        node=node,
        series=series.parse(node),
        conditions=filters.conditions(node.get("properties")),
        breakdown=breakdowns.parse(node),
        compares=bool((node.get("compareFilter") or {}).get("compare")),
        display=display,
    )


def calculate(work: Calculation, node: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The results of a TrendsQuery, and further fields of the answer."""
    trends = read(node)
    per_series: list[list[dict[str, Any]]] = []
    for previous in (False, True) if trends.compares else (False,):
        period = trends.period(work, previous=previous)
        per_series += [_results(work, trends, one, period, previous=previous) for one in trends.series]
    wanted = _formulas(node)
    plain = [result for part in per_series for result in part]
    results = _by_formula(trends, wanted, per_series) if wanted else plain
    has_more = trends.breakdown is not None and any(_is_other(result["breakdown_value"]) for result in results)
    if trends.breakdown is not None and trends.breakdown.hide_other:
        results = [result for result in results if not _is_other(result["breakdown_value"])]
    return results, {"hasMore": has_more, "error": ""}


def _is_other(value: object) -> bool:
    return value == breakdowns.OTHER or (isinstance(value, list) and breakdowns.OTHER in value)


def _results(work: Calculation, trends: Trends, one: Series, period: Period, *, previous: bool) -> list[dict[str, Any]]:
    texts = "[]" if trends.breakdown is None else trends.breakdown.texts()
    counting = Counting(one, period, [*trends.conditions, one.condition], texts, is_total=trends.is_total)
    found = _limited(figures(work, counting), trends.breakdown)
    if not found and trends.breakdown is None:
        found = {(): {}}
    return [_result(trends, one, period, value, days, previous=previous) for value, days in found.items()]


def _result(
    trends: Trends, one: Series, period: Period, value: tuple[str, ...], found: Mapping[str, float], *, previous: bool
) -> dict[str, Any]:
    days = [period.day(start) for start in period.starts()]
    result: dict[str, Any] = {"label": one.label, "action": one.action(days), "filter": {"insight": "TRENDS"}}
    if trends.is_total:
        result |= {"data": [], "days": [], "count": 0, "aggregated_value": found.get("", 0)}
    else:
        data: list[float] = [found.get(day, 0) for day in days]
        if trends.display == "ActionsLineGraphCumulative":
            data = list(accumulate(data))
            count = data[-1]
        else:
            count = float(sum(data))
        labels = [period.label(start) for start in period.starts()]
        result |= {"data": data, "labels": labels, "days": days, "count": count}
    if trends.compares:
        result |= {"compare": True, "compare_label": "previous" if previous else "current"}
    if trends.breakdown is not None:
        label = trends.breakdown.label(value)
        result["label"] = f"{one.label} - {label}" if len(trends.series) > 1 else label
        result["breakdown_value"] = trends.breakdown.value(value)
    return result


def _limited(found: Figures, breakdown: Breakdown | None) -> Figures:
    """The values with the highest totals first, the rest added up, events without a value at the end."""
    if breakdown is None:
        return found
    ranked = sorted(found, key=lambda value: (-sum(found[value].values()), value))
    shown, rest = ranked[: breakdown.limit], ranked[breakdown.limit :]
    limited = {value: found[value] for value in sorted(shown, key=lambda value: breakdowns.NULL in value)}
    if rest:
        together: dict[str, float] = {}
        for value in rest:
            for day, figure in found[value].items():
                together[day] = together.get(day, 0) + figure
        limited[breakdown.other] = together
    return limited


def _formulas(node: Mapping[str, Any]) -> list[tuple[str, str | None]]:
    """The formulas of a query, each with its own name if it has one."""
    given = node.get("trendsFilter") or {}
    if given.get("formulaNodes"):
        return [(str(one["formula"]), one.get("custom_name")) for one in given["formulaNodes"]]
    if given.get("formulas"):
        return [(str(one), None) for one in given["formulas"]]
    return [(str(given["formula"]), None)] if given.get("formula") else []


def _by_formula(
    trends: Trends, wanted: Sequence[tuple[str, str | None]], per_series: Sequence[Sequence[dict[str, Any]]]
) -> list[dict[str, Any]]:
    count = len(trends.series)
    results = []
    for formula, name in wanted:
        for place in range(0, len(per_series), count):
            results += _one_formula(trends, formula, name, per_series[place : place + count])
    return results


def _one_formula(
    trends: Trends, formula: str, name: str | None, parts: Sequence[Sequence[dict[str, Any]]]
) -> list[dict[str, Any]]:
    """A formula for each breakdown value; a series without the value counts as zero."""
    keyed = [{str(result.get("breakdown_value")): result for result in part} for part in parts]
    values = list(dict.fromkeys(value for part in keyed for value in part))
    results = []
    for value in values:
        there = [part.get(value) for part in keyed]
        model = next(result for result in there if result is not None)
        result = {**model, "label": name or f"Formula ({formula})", "action": None}
        if trends.is_total:
            points = [[0 if one is None else one["aggregated_value"]] for one in there]
            result |= {"aggregated_value": float(formulas.apply(formula, points)[0]), "data": None, "count": 0}
        else:
            points = [[0] * len(model["data"]) if one is None else one["data"] for one in there]
            data = formulas.apply(formula, points)
            result |= {"data": data, "count": float(sum(data))}
        results.append(result)
    return results


def actors(work: Calculation, source: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """ClickHouse SQL for who is behind a point.

    Args:
        source: the TrendsQuery.
        chosen: ``day`` (the interval's start; none for a total), ``series`` (its place), ``breakdown``, ``compare``.
    """
    trends = read(source)
    place = int(chosen.get("series") or 0)
    if not 0 <= place < len(trends.series):
        raise invalid(f"There is no series {place}.")
    one = trends.series[place]
    period = trends.period(work, previous=trends.compares and chosen.get("compare") == "previous")
    conditions = [*trends.conditions, one.condition]
    if chosen.get("breakdown") is not None and trends.breakdown is not None:
        conditions.append(trends.breakdown.condition(chosen["breakdown"]))
    if chosen.get("day") is not None and not trends.is_total:
        start = work.period({"date_from": str(chosen["day"])}).since
        back = ACTIVE_DAYS.get(str(one.math), 1) - 1
        conditions.append(f"timestamp >= {literal(period.add(start, -back))}")
        conditions.append(f"timestamp < {literal(period.add(start, 1))}")
    else:
        conditions.append(period.condition())
    columns = {"actor_id": "person_id", "moment": "timestamp", "its_id": "distinct_id"}
    return (
        "SELECT actor_id, count() AS event_count, groupUniqArray(its_id) AS event_distinct_ids, "
        f"max(moment) AS last_seen FROM ({work.events(columns, conditions)}) GROUP BY actor_id"
    )
