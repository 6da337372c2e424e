"""What a trend's series counts: events, persons, sessions, groups, or a property's values.

Source: posthog/hogql_queries/insights/trends/aggregation_operations.py, autumn 2026.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from posthog_warehouse.sandbox.api.envelope import invalid
from posthog_warehouse.sandbox.api.insights import filters
from posthog_warehouse.sandbox.api.insights.calculation import Calculation
from posthog_warehouse.sandbox.api.insights.periods import Period, literal
from posthog_warehouse.sandbox.api.insights.series import Series

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
ACTIVE_DAYS = {"weekly_active": 7, "monthly_active": 30}

#: By breakdown value: figures by the interval's day, or under "" for a total.
Figures = dict[tuple[str, ...], dict[str, float]]


@dataclass(frozen=True)
class Counting:
    """What is to be counted.

    Attributes:
        one: the series.
        period: when.
        conditions: HogQL that its events meet.
        texts: HogQL for the values of the breakdown, an array of texts.
        is_total: one figure for the whole period is wanted.
    """

    one: Series
    period: Period
    conditions: Sequence[str]
    texts: str
    is_total: bool


def figures(work: Calculation, counting: Counting) -> Figures:
    """The figures of a series, by breakdown value and day. Raises ApiError."""
    one, period, texts = counting.one, counting.period, counting.texts
    if one.math in ACTIVE_DAYS:
        sql = _active_users(counting, ACTIVE_DAYS[one.math])
    elif one.math == "first_time_for_user":
        sql = _first_times(counting)
    else:
        bucket = "''" if counting.is_total else period.bucket("timestamp")
        where = " AND ".join([*counting.conditions, *_needs(one), period.condition()])
        sql = f"SELECT {bucket} AS bucket, {texts} AS texts, {_counted(one)} AS total FROM events WHERE {where} "
        # Without GROUP BY there would be a row of zero for no events at all.
        sql += "GROUP BY bucket, texts"
    found: Figures = {}
    for bucket, value, total in work.hogql(sql):
        found.setdefault(tuple(value), {})[bucket] = 0 if total is None else total
    return found


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


def _active_users(counting: Counting, days: int) -> str:
    """Persons seen on the day of a point or on the days before it."""
    period, texts = counting.period, counting.texts
    starts = period.starts()
    if period.interval != "day":
        raise invalid("This local PostHog knows active users by day only.")
    last, first = period.until, starts[0]
    since = first if not counting.is_total else last.replace(hour=0, minute=0, second=0, microsecond=0)
    before = period.add(since, 1 - days)
    where = " AND ".join([*counting.conditions, f"timestamp >= {literal(before)}", f"timestamp <= {literal(last)}"])
    seen = f"SELECT toDate(timestamp) AS day, {texts} AS texts, person_id AS person FROM events WHERE {where} "
    seen += "GROUP BY day, texts, person"
    if counting.is_total:
        return f"SELECT '' AS bucket, texts, count(DISTINCT person) AS total FROM ({seen}) GROUP BY texts"
    point = f"toString(addDays(day, arrayJoin(range(0, {days}))))"
    within = f"bucket >= '{period.day(first)}' AND bucket <= '{period.day(starts[-1])}'"
    spread = f"SELECT {point} AS bucket, texts, person FROM ({seen})"
    return (
        f"SELECT bucket, texts, count(DISTINCT person) AS total FROM ({spread}) WHERE {within} GROUP BY bucket, texts"
    )


def _first_times(counting: Counting) -> str:
    """Persons whose first such event of all times lies in the period."""
    period, texts = counting.period, counting.texts
    where = " AND ".join([*counting.conditions, f"timestamp <= {literal(period.until)}"])
    first = f"SELECT min(timestamp) AS first, argMin({texts}, timestamp) AS texts FROM events WHERE {where} "
    first += "GROUP BY person_id"
    bucket = "''" if counting.is_total else period.bucket("first")
    return (
        f"SELECT {bucket} AS bucket, texts, count() AS total FROM ({first}) "
        f"WHERE {period.condition('first')} GROUP BY bucket, texts"
    )
