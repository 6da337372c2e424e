"""Trends against plain SQL over the same events."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.insights.facts import DAYS, FIRST, LAST, WEEK, WHO, Ask, day_after, series

NULL = "$$_posthog_breakdown_null_$$"
OTHER = "$$_posthog_breakdown_other_$$"
BROWSER = "trim(BOTH '\"' FROM JSONExtractRaw(properties, '$browser'))"


def per_day(box: Sandbox, what: str, where: str, first: str = FIRST, last: str = LAST) -> list[float]:
    rows = box.sql(
        f"SELECT toString(toDate(timestamp)) AS day, {what} FROM {WHO} "
        f"WHERE {where} AND toDate(timestamp) BETWEEN '{first}' AND '{last}' GROUP BY day"
    )
    found = dict(rows)
    return [found.get(day_after(first, place), 0) for place in range(7)]


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({}, "count()"),
        ({"math": "dau"}, "uniqExact(who)"),
        ({"math": "unique_session"}, "uniqExact(`$session_id`)"),
        ({"math": "hogql", "math_hogql": "count(distinct distinct_id) + 1"}, "uniqExact(distinct_id) + 1"),
        (
            {"math": "sum", "math_property": "$screen_width"},
            "sum(toFloat64OrNull(JSONExtractRaw(properties, '$screen_width')))",
        ),
        (
            {"math": "p90", "math_property": "$screen_width"},
            "quantile(0.9)(toFloat64OrNull(JSONExtractRaw(properties, '$screen_width')))",
        ),
    ],
    ids=["total", "dau", "unique_session", "hogql", "sum", "p90"],
)
def test_each_day_is_what_sql_counts(box: Sandbox, ask: Ask, fields: dict[str, Any], what: str) -> None:
    (result,) = ask("TrendsQuery", series=[series("$pageview", **fields)], dateRange=WEEK)
    assert result["days"] == DAYS
    assert result["data"] == pytest.approx(per_day(box, what, "event = '$pageview'"))
    assert result["count"] == pytest.approx(sum(result["data"]))
    assert result["labels"][0] == "13-Nov-2026"
    assert result["action"]["id"] == result["label"] == "$pageview"
    assert sum(result["data"]) > 7


def test_a_unique_group_is_counted_once(box: Sandbox, ask: Ask) -> None:
    (result,) = ask("TrendsQuery", series=[series(None, math="unique_group", math_group_type_index=0)], dateRange=WEEK)
    assert result["data"] == per_day(box, "uniqExact(`$group_0`)", "`$group_0` != ''")


def test_weekly_active_users_were_seen_within_seven_days(box: Sandbox, ask: Ask) -> None:
    (result,) = ask("TrendsQuery", series=[series(None, math="weekly_active")], dateRange=WEEK)
    for day, figure in zip(DAYS, result["data"], strict=True):
        since = day_after(day, -6)
        ((expected,),) = box.sql(
            f"SELECT uniqExact(who) FROM {WHO} WHERE toDate(timestamp) BETWEEN '{since}' AND '{day}'"
        )
        assert figure == expected


def test_first_times_are_counted_once_in_all_times(box: Sandbox, ask: Ask) -> None:
    (result,) = ask("TrendsQuery", series=[series("purchase", math="first_time_for_user")], dateRange=WEEK)
    rows = box.sql(
        f"SELECT toString(toDate(first)), count() FROM (SELECT min(timestamp) AS first FROM {WHO} "
        "WHERE event = 'purchase' GROUP BY who) GROUP BY toDate(first)"
    )
    assert result["data"] == [dict(rows).get(day, 0) for day in DAYS]


def test_a_breakdown_has_the_most_frequent_values_and_the_rest(box: Sandbox, ask: Ask) -> None:
    results = ask(
        "TrendsQuery",
        series=[series("$pageview")],
        dateRange=WEEK,
        breakdownFilter={"breakdown": "$browser", "breakdown_limit": 2},
    )
    ranked = box.sql(
        f"SELECT {BROWSER} AS browser, count() AS times FROM {WHO} WHERE event = '$pageview' AND "
        f"toDate(timestamp) BETWEEN '{FIRST}' AND '{LAST}' GROUP BY browser ORDER BY times DESC, browser"
    )
    shown = [row[0] or NULL for row in ranked[:2]]
    assert {result["breakdown_value"] for result in results} == {*shown, OTHER}
    assert results[-1]["breakdown_value"] == OTHER
    for result in results[:-1]:
        browser = "" if result["breakdown_value"] == NULL else result["breakdown_value"]
        assert result["data"] == per_day(box, "count()", f"event = '$pageview' AND {BROWSER} = '{browser}'")
        assert result["label"] == result["breakdown_value"]
    together = [sum(parts) for parts in zip(*(result["data"] for result in results), strict=True)]
    assert together == per_day(box, "count()", "event = '$pageview'")


def test_the_rest_of_a_breakdown_can_be_hidden(ask: Ask) -> None:
    limits = {"breakdown": "$browser", "breakdown_limit": 2, "breakdown_hide_other_aggregation": True}
    results = ask("TrendsQuery", series=[series("$pageview")], dateRange=WEEK, breakdownFilter=limits)
    assert len(results) == 2
    assert OTHER not in {result["breakdown_value"] for result in results}


def test_several_breakdowns_give_lists(box: Sandbox, ask: Ask) -> None:
    breakdowns = [{"property": "$os", "type": "event"}, {"property": "plan", "type": "person"}]
    results = ask(
        "TrendsQuery",
        series=[series("$pageview")],
        dateRange=WEEK,
        breakdownFilter={"breakdowns": breakdowns, "breakdown_limit": 500},
    )
    assert all(len(result["breakdown_value"]) == 2 for result in results)
    assert "::".join(results[0]["breakdown_value"]) == results[0]["label"]
    together = [sum(parts) for parts in zip(*(result["data"] for result in results), strict=True)]
    assert together == per_day(box, "count()", "event = '$pageview'")


def test_a_comparison_has_the_week_before(box: Sandbox, ask: Ask) -> None:
    current, previous = ask("TrendsQuery", series=[series(None)], dateRange=WEEK, compareFilter={"compare": True})
    assert [current["compare_label"], previous["compare_label"]] == ["current", "previous"]
    assert previous["days"] == [day_after(day, -7) for day in DAYS]
    assert current["data"] == per_day(box, "count()", "1")
    assert previous["data"] == per_day(box, "count()", "1", day_after(FIRST, -7), day_after(LAST, -7))


def test_a_comparison_with_some_time_ago(ask: Ask) -> None:
    _, previous = ask(
        "TrendsQuery", series=[series(None)], dateRange=WEEK, compareFilter={"compare": True, "compare_to": "-2d"}
    )
    assert previous["days"] == [day_after(day, -2) for day in DAYS]


def test_totals_and_formulas(box: Sandbox, ask: Ask) -> None:
    both = [series("$pageview"), series("$autocapture", math="dau")]
    pages, persons = (
        box.sql(
            f"SELECT {what} FROM {WHO} WHERE event = '{event}' AND toDate(timestamp) BETWEEN '{FIRST}' AND '{LAST}'"
        )
        for what, event in (("count()", "$pageview"), ("uniqExact(who)", "$autocapture"))
    )
    totals = ask("TrendsQuery", series=both, dateRange=WEEK, trendsFilter={"display": "BoldNumber"})
    assert [result["aggregated_value"] for result in totals] == [pages[0][0], persons[0][0]]
    assert [result["data"] for result in totals] == [[], []]
    shown = {"display": "ActionsTable", "formula": "A / B * 100"}
    (rate,) = ask("TrendsQuery", series=both, dateRange=WEEK, trendsFilter=shown)
    assert rate["aggregated_value"] == pytest.approx(pages[0][0] / persons[0][0] * 100)
    (line,) = ask("TrendsQuery", series=both, dateRange=WEEK, trendsFilter={"formula": "(A - B) / 0 + 1"})
    assert line["data"] == [1] * 7


def test_a_cumulative_line_adds_up(box: Sandbox, ask: Ask) -> None:
    shown = {"display": "ActionsLineGraphCumulative"}
    (result,) = ask("TrendsQuery", series=[series(None)], dateRange=WEEK, trendsFilter=shown)
    daily = per_day(box, "count()", "1")
    assert result["data"] == [sum(daily[: place + 1]) for place in range(7)]
    assert result["count"] == sum(daily)


def test_days_are_those_of_the_project(box: Sandbox, ask: Ask) -> None:
    box.set_behaviour(project_timezone="America/New_York")
    (result,) = ask("TrendsQuery", series=[series(None)], dateRange=WEEK)
    rows = box.sql(
        "SELECT toString(toDate(toTimeZone(timestamp, 'America/New_York'))) AS day, count() FROM events GROUP BY day"
    )
    assert result["data"] == [dict(rows).get(day, 0) for day in DAYS]


@pytest.mark.parametrize(
    ("interval", "bucket", "day"),
    [
        ("hour", "formatDateTime(timestamp, '%Y-%m-%d %H:00:00')", "2026-11-14 00:00:00"),
        ("week", "toString(toStartOfWeek(timestamp, 0))", "2026-11-08"),
        ("month", "toString(toStartOfMonth(timestamp))", "2026-11-01"),
    ],
)
def test_intervals(box: Sandbox, ask: Ask, interval: str, bucket: str, day: str) -> None:
    dates = {"date_from": "2026-11-14", "date_to": f"{LAST}T23:59:59.999999"}
    (result,) = ask("TrendsQuery", series=[series(None)], dateRange=dates, interval=interval)
    assert result["days"][0] == day
    rows = box.sql(f"SELECT {bucket} AS day, count() FROM events WHERE toDate(timestamp) <= '{LAST}' GROUP BY day")
    # The first interval is taken whole, also where the dates begin within it.
    assert result["data"] == [dict(rows).get(one, 0) for one in result["days"]]


@pytest.mark.parametrize(
    ("given", "condition"),
    [
        ({"key": "$browser", "value": ["Chrome", "Firefox"]}, f"{BROWSER} IN ('Chrome', 'Firefox')"),
        ({"key": "$browser", "value": "Chrome", "operator": "is_not"}, f"{BROWSER} != 'Chrome'"),
        ({"key": "$browser", "value": "SAFARI", "operator": "icontains"}, f"{BROWSER} ILIKE '%safari%'"),
        ({"key": "$os", "operator": "is_not_set"}, "JSONExtractRaw(properties, '$os') IN ('', 'null', '\"\"')"),
        (
            {"key": "$screen_width", "value": 1000, "operator": "gt"},
            "toFloat64OrZero(JSONExtractRaw(properties, '$screen_width')) > 1000",
        ),
        (
            {"key": "plan", "value": "pro", "type": "person"},
            "JSONExtractString(person_properties, 'plan') = 'pro'",
        ),
        ({"key": "event = '$screen' or event = 'purchase'", "type": "hogql"}, "event IN ('$screen', 'purchase')"),
    ],
    ids=["exact", "is_not", "icontains", "is_not_set", "gt", "person", "hogql"],
)
def test_filters(box: Sandbox, ask: Ask, given: dict[str, Any], condition: str) -> None:
    (result,) = ask("TrendsQuery", series=[series(None)], dateRange=WEEK, properties=[given])
    assert result["data"] == per_day(box, "count()", condition)
    group = {"type": "AND", "values": [{"type": "OR", "values": [given, {**given}]}]}
    (again,) = ask("TrendsQuery", series=[series(None, properties=[given])], dateRange=WEEK, properties=group)
    assert again["data"] == result["data"]


def test_the_last_week_is_eight_days_and_ends_today(ask: Ask) -> None:
    (result,) = ask("TrendsQuery", series=[series(None)])
    assert result["days"] == [*DAYS, "2026-11-20"]
    _, previous = ask("TrendsQuery", series=[series(None)], compareFilter={"compare": True})
    assert previous["days"] == [day_after(day, -7) for day in [*DAYS, "2026-11-20"]]
