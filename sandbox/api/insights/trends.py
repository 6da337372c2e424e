"""Trends: what each series counts, by interval or in all.

Source: posthog/hogql_queries/insights/trends, autumn 2026. Labels of weeks are those of a day, as until 2025.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from sandbox.api.envelope import invalid
from sandbox.api.insights import breakdowns, filters, formulas, series
from sandbox.api.insights.breakdowns import Breakdown
from sandbox.api.insights.calculation import Calculation
from sandbox.api.insights.periods import Period, literal
from sandbox.api.insights.series import Series

#: Displays of one figure for the whole period.
TOTALS = frozenset({"ActionsBarValue", "ActionsPie", "ActionsTable", "BoldNumber", "WorldMap"})

_DISPLAYS = TOTALS | {"ActionsAreaGraph", "ActionsBar", "ActionsLineGraph", "ActionsLineGraphCumulative"}

_OVER_VALUES = {
    "sum": "sum({})",
    "avg": "avg({})",
    "min": "min({})",
    "max": "max({})",
    "median": "quantile(0.5)({})",
    "p75": "quantile(0.75)({})",
    "p90": "quantile(0.90)({})",
    "p95": "quantile(0.95)({})",
    "p99": "quantile(0.99)({})",
}

#: Active users: how many days before a point count as well.
_ACTIVE_DAYS = {"weekly_active": 7, "monthly_active": 30}

#: One breakdown value's figures: by the interval's day, or under "" for a total.
_Figures = dict[tuple[str, ...], dict[str, float]]


@dataclass(frozen=True)
class Trends:
    """A trends query, read.

    Attributes:
        series: what is counted.
        condition: HogQL for events of all series.
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
    figures = _limited(_figures(work, trends, one, period), trends.breakdown)
    if not figures and trends.breakdown is None:
        figures = {(): {}}
    return [_result(trends, one, period, value, days, previous=previous) for value, days in figures.items()]


def _result(
    trends: Trends, one: Series, period: Period, value: tuple[str, ...], figures: Mapping[str, float], *, previous: bool
) -> dict[str, Any]:
    days = [period.day(start) for start in period.starts()]
    result: dict[str, Any] = {"label": one.label, "action": one.action(days), "filter": {"insight": "TRENDS"}}
    if trends.is_total:
        result |= {"data": [], "days": [], "count": 0, "aggregated_value": figures.get("", 0)}
    else:
        data: list[float] = [figures.get(day, 0) for day in days]
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


def _figures(work: Calculation, trends: Trends, one: Series, period: Period) -> _Figures:
    """The figures of a series, by breakdown value and day."""
    texts = "[]" if trends.breakdown is None else trends.breakdown.texts()
    conditions = [*trends.conditions, one.condition]
    if one.math in _ACTIVE_DAYS:
        sql = _active_users(trends, period, conditions, texts, _ACTIVE_DAYS[one.math])
    elif one.math == "first_time_for_user":
        sql = _first_times(trends, period, conditions, texts)
    else:
        bucket = "''" if trends.is_total else period.bucket("timestamp")
        where = " AND ".join([*conditions, *_needs(one), period.condition()])
        sql = f"SELECT {bucket} AS bucket, {texts} AS texts, {_counted(one)} AS total FROM events WHERE {where} "
        # Without GROUP BY there would be a row of zero for no events at all.
        sql += "GROUP BY bucket, texts"
    figures: _Figures = {}
    for bucket, value, total in work.hogql(sql):
        figures.setdefault(tuple(value), {})[bucket] = 0 if total is None else total
    return figures


def _needs(one: Series) -> list[str]:
    return [f"{_group(one)} != ''"] if one.math == "unique_group" else []


def _group(one: Series) -> str:
    return filters.identifier(f"$group_{one.math_group_type_index or 0}")


def _counted(one: Series) -> str:
    """The HogQL aggregate of a series."""
    if one.math in (None, "total"):
        return "count()"
    if one.math in ("dau", "unique_session", "unique_group"):
        what = {"dau": "person_id", "unique_session": "`$session_id`", "unique_group": _group(one)}[one.math]
        return f"count(DISTINCT {what})"
    if one.math == "hogql":
        return f"({one.math_hogql})"
    if one.math in _OVER_VALUES and one.math_property:
        return _OVER_VALUES[one.math].format(f"toFloat({filters.field('event', one.math_property)})")
    raise invalid(f"This local PostHog does not know the math {one.math!r}.")


def _active_users(trends: Trends, period: Period, conditions: Sequence[str], texts: str, days: int) -> str:
    """Persons seen on the day of a point or on the days before it."""
    starts = period.starts()
    if period.interval != "day":
        raise invalid("This local PostHog knows active users by day only.")
    last, first = period.until, starts[0]
    since = first if not trends.is_total else last.replace(hour=0, minute=0, second=0, microsecond=0)
    before = period.add(since, 1 - days)
    where = " AND ".join([*conditions, f"timestamp >= {literal(before)}", f"timestamp <= {literal(last)}"])
    seen = f"SELECT toDate(timestamp) AS day, {texts} AS texts, person_id AS person FROM events WHERE {where} "
    seen += "GROUP BY day, texts, person"
    if trends.is_total:
        return f"SELECT '' AS bucket, texts, count(DISTINCT person) AS total FROM ({seen}) GROUP BY texts"
    point = f"toString(addDays(day, arrayJoin(range(0, {days}))))"
    within = f"bucket >= '{period.day(first)}' AND bucket <= '{period.day(starts[-1])}'"
    spread = f"SELECT {point} AS bucket, texts, person FROM ({seen})"
    return (
        f"SELECT bucket, texts, count(DISTINCT person) AS total FROM ({spread}) WHERE {within} GROUP BY bucket, texts"
    )


def _first_times(trends: Trends, period: Period, conditions: Sequence[str], texts: str) -> str:
    """Persons whose first such event of all times lies in the period."""
    where = " AND ".join([*conditions, f"timestamp <= {literal(period.until)}"])
    first = f"SELECT min(timestamp) AS first, argMin({texts}, timestamp) AS texts FROM events WHERE {where} "
    first += "GROUP BY person_id"
    bucket = "''" if trends.is_total else period.bucket("first")
    return (
        f"SELECT {bucket} AS bucket, texts, count() AS total FROM ({first}) "
        f"WHERE {period.condition('first')} GROUP BY bucket, texts"
    )


def _limited(figures: _Figures, breakdown: Breakdown | None) -> _Figures:
    """The values with the highest totals first, the rest added up, events without a value at the end."""
    if breakdown is None:
        return figures
    ranked = sorted(figures, key=lambda value: (-sum(figures[value].values()), value))
    shown, rest = ranked[: breakdown.limit], ranked[breakdown.limit :]
    limited = {value: figures[value] for value in sorted(shown, key=lambda value: breakdowns.NULL in value)}
    if rest:
        together: dict[str, float] = {}
        for value in rest:
            for day, figure in figures[value].items():
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
        back = _ACTIVE_DAYS.get(str(one.math), 1) - 1
        conditions.append(f"timestamp >= {literal(period.add(start, -back))}")
        conditions.append(f"timestamp < {literal(period.add(start, 1))}")
    else:
        conditions.append(period.condition())
    columns = {"actor_id": "person_id", "moment": "timestamp", "its_id": "distinct_id"}
    return (
        "SELECT actor_id, count() AS event_count, groupUniqArray(its_id) AS event_distinct_ids, "
        f"max(moment) AS last_seen FROM ({work.events(columns, conditions)}) GROUP BY actor_id"
    )
