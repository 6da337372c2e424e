"""The points in the warehouse are what plain SQL counts over the sandbox's events."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.insights.facts import DAYS, FIRST, LAST, WEEK, WHO, day_after, series
from tests.sources.posthog.readers.insights.warehouse import Warehouse

IN_WEEK = f"toDate(timestamp) BETWEEN '{FIRST}' AND '{LAST}'"
FUNNEL = {
    "kind": "FunnelsQuery",
    "series": [series("$pageview"), series("$autocapture", custom_name="A click")],
    "dateRange": WEEK,
}


def test_a_trend_with_breakdown_and_comparison(box: Sandbox, warehouse: Warehouse) -> None:
    trend = {
        "kind": "TrendsQuery",
        "series": [series("$pageview"), series("$autocapture", math="dau")],
        "dateRange": WEEK,
        "breakdownFilter": {"breakdown": "$os", "breakdown_type": "event", "breakdown_limit": 100},
        "compareFilter": {"compare": True},
    }
    warehouse.load(box, {"insights": {"both": {"kind": "InsightVizNode", "source": trend}}}, tables=("insight_trends",))
    loaded = warehouse.rows(
        "SELECT series, compare, breakdown, breakdown_values->>0, day, value FROM insight_trends "
        "WHERE insight_id = 'config:both' AND value > 0 ORDER BY ALL"
    )
    os = "nullIf(trim(BOTH '\"' FROM JSONExtractRaw(properties, '$os')), '')"
    expected = []
    for number, (event, what) in enumerate((("$pageview", "count()"), ("$autocapture", "uniqExact(who)"))):
        rows = box.sql(
            f"SELECT toString(toDate(timestamp)) AS day, ifNull({os}, '$$_posthog_breakdown_null_$$') AS os, {what} "
            f"FROM {WHO} WHERE event = '{event}' AND toDate(timestamp) BETWEEN '{day_after(FIRST, -7)}' AND '{LAST}' "
            "GROUP BY day, os"
        )
        for day, value, count in rows:
            compare = "current" if day >= FIRST else "previous"
            expected.append((number, compare, value, value, date.fromisoformat(day), float(count)))
    assert loaded == sorted(expected)
    assert len(loaded) > 50
    names = warehouse.rows("SELECT DISTINCT series, series_name, math FROM insight_trends WHERE series < 2 ORDER BY 1")
    assert (0, "$pageview", None) in names
    assert (1, "$autocapture", "dau") in names


def test_days_begin_in_the_projects_time_zone(box: Sandbox, warehouse: Warehouse) -> None:
    box.set_behaviour(project_timezone="America/New_York")
    trend = {"kind": "TrendsQuery", "series": [series(None)], "dateRange": WEEK}
    hours = {**trend, "interval": "hour", "dateRange": {"date_from": "-2h"}}
    warehouse.load(box, {"insights": {"days": trend, "hours": hours}}, tables=("insight_trends",))
    rows = warehouse.rows(
        "SELECT day, starts_at, value, series_name, point_label FROM insight_trends "
        "WHERE insight_id = 'config:days' ORDER BY point"
    )
    counts = dict(
        box.sql("SELECT toString(toDate(toTimeZone(timestamp, 'America/New_York'))), count() FROM events GROUP BY 1")
    )
    assert rows[0][:2] == (date(2026, 11, 13), datetime(2026, 11, 13, 5, tzinfo=timezone.utc))
    assert [row[2] for row in rows] == [counts[day] for day in DAYS]
    assert {row[3] for row in rows} == {"All events"}
    ((first,),) = warehouse.rows("SELECT min(starts_at) FROM insight_trends WHERE insight_id = 'config:hours'")
    # Two hours before noon (UTC) is five in the morning there.
    assert first == datetime(2026, 11, 20, 10, tzinfo=timezone.utc)


def test_totals_formulas_and_their_series(box: Sandbox, warehouse: Warehouse) -> None:
    two = {"kind": "TrendsQuery", "series": [series("$pageview"), series("purchase")], "dateRange": WEEK}
    by_browser = {"breakdown": "$browser", "breakdown_type": "event", "breakdown_limit": 3}
    warehouse.load(
        box,
        {
            "insights": {
                "totals": {**two, "trendsFilter": {"display": "BoldNumber"}},
                "rates": {**two, "breakdownFilter": by_browser, "trendsFilter": {"formulas": ["B / A", "A + B"]}},
            }
        },
        tables=("insight_trends",),
    )
    pages, purchases = (
        box.sql(f"SELECT count() FROM events WHERE event = '{event}' AND {IN_WEEK}")[0][0]
        for event in ("$pageview", "purchase")
    )
    assert warehouse.rows(
        "SELECT series, point, day, value FROM insight_trends WHERE insight_id = 'config:totals' ORDER BY series"
    ) == [(0, 0, None, pages), (1, 0, None, purchases)]
    # Two formulas for each of four values: nothing but their place tells the formulas apart.
    sums = dict(
        warehouse.rows(
            "SELECT series, sum(value) FROM insight_trends WHERE insight_id = 'config:rates' GROUP BY series"
        )
    )
    assert set(sums) == {0, 1}
    assert sums[1] == pages + purchases
    assert warehouse.rows(
        "SELECT DISTINCT series, label FROM insight_trends WHERE insight_id = 'config:rates' ORDER BY 1"
    ) == [(0, "Formula (B / A)"), (1, "Formula (A + B)")]


def test_lifecycle_and_stickiness(box: Sandbox, warehouse: Warehouse) -> None:
    common = {"series": [series("$pageview")], "dateRange": WEEK}
    warehouse.load(
        box,
        {"insights": {"life": {"kind": "LifecycleQuery", **common}, "sticky": {"kind": "StickinessQuery", **common}}},
        tables=("insight_trends",),
    )
    active = f"SELECT who, groupUniqArray(toDate(timestamp)) AS days FROM {WHO} WHERE event = '$pageview' GROUP BY who"
    for day in DAYS:
        ((returning, dormant),) = box.sql(
            f"SELECT countIf(has(days, toDate('{day}')) AND has(days, toDate('{day}') - 1)), "
            f"countIf(NOT has(days, toDate('{day}')) AND has(days, toDate('{day}') - 1)) FROM ({active})"
        )
        figures = dict(
            warehouse.rows(
                f"SELECT status, value FROM insight_trends WHERE insight_id = 'config:life' AND day = '{day}'"
            )
        )
        assert (figures["returning"], figures["dormant"]) == (returning, -dormant)
        ((seen,),) = box.sql(f"SELECT countIf(has(days, toDate('{day}'))) FROM ({active})")
        assert figures["new"] + figures["returning"] + figures["resurrecting"] == seen
    expected = box.sql(
        f"SELECT toInt64(days), count() FROM (SELECT uniqExact(toDate(timestamp)) AS days FROM {WHO} "
        f"WHERE event = '$pageview' AND {IN_WEEK} GROUP BY who) GROUP BY days ORDER BY days"
    )
    assert warehouse.rows(
        "SELECT intervals, value FROM insight_trends WHERE insight_id = 'config:sticky' AND value > 0 ORDER BY 1"
    ) == [tuple(row) for row in expected]


def test_funnel_steps(box: Sandbox, warehouse: Warehouse) -> None:
    by_os = {**FUNNEL, "breakdownFilter": {"breakdown": "$os", "breakdown_type": "event", "breakdown_limit": 100}}
    warehouse.load(box, {"insights": {"plain": FUNNEL, "by os": by_os}}, tables=("insight_funnel_steps",))
    ((one, two),) = box.sql(
        "SELECT countIf(level >= 1), countIf(level >= 2) FROM (SELECT windowFunnel(1209600000000)("
        "toUInt64(toUnixTimestamp64Micro(timestamp)), event = '$pageview', event = '$autocapture') AS level "
        f"FROM {WHO} WHERE {IN_WEEK} GROUP BY who)"
    )
    steps = warehouse.rows(
        "SELECT step, action_id, custom_name, persons, average_conversion_time > 0 FROM insight_funnel_steps "
        "WHERE insight_id = 'config:plain' ORDER BY step"
    )
    assert steps == [(1, "$pageview", None, one, None), (2, "$autocapture", "A click", two, True)]
    # Each person has one value, so the values' figures add up to the whole.
    assert warehouse.rows(
        "SELECT step, sum(persons) FROM insight_funnel_steps WHERE insight_id = 'config:by os' GROUP BY step ORDER BY 1"
    ) == [(1, one), (2, two)]
    ((kinds, lists),) = warehouse.rows(
        "SELECT count(DISTINCT breakdown), count(DISTINCT breakdown_values) FROM insight_funnel_steps "
        "WHERE insight_id = 'config:by os'"
    )
    assert kinds == lists > 2


def test_funnels_over_time_and_how_long_they_take(box: Sandbox, warehouse: Warehouse) -> None:
    shown = {name: {**FUNNEL, "funnelsFilter": {"funnelVizType": name}} for name in ("trends", "time_to_convert")}
    readings = warehouse.load(box, {"insights": shown}, tables=("insight_trends", "insight_funnel_steps"))
    days = warehouse.rows("SELECT day, value FROM insight_trends WHERE insight_id = 'config:trends' ORDER BY point")
    assert [str(day) for day, _ in days] == DAYS
    assert 0 < max(value for _, value in days) <= 100
    ((converted,),) = box.sql(
        "SELECT countIf(level >= 2) FROM (SELECT windowFunnel(1209600000000)(toUInt64(toUnixTimestamp64Micro("
        f"timestamp)), event = '$pageview', event = '$autocapture') AS level FROM {WHO} WHERE {IN_WEEK} GROUP BY who)"
    )
    ((persons,),) = warehouse.rows("SELECT sum(value) FROM insight_trends WHERE insight_id = 'config:time_to_convert'")
    assert persons == converted
    ids = {row[0] for row in warehouse.rows("SELECT DISTINCT insight_id FROM insight_funnel_steps")}
    assert not ids & {"config:trends", "config:time_to_convert"}
    assert readings["insight_trends"].outcome.failed is None


def test_retention(box: Sandbox, warehouse: Warehouse) -> None:
    retention = {"kind": "RetentionQuery", "dateRange": {"date_to": LAST}, "retentionFilter": {"totalIntervals": 7}}
    warehouse.load(box, {"insights": {"back": retention}}, tables=("insight_retention",))
    active = f"SELECT who, groupUniqArray(toDate(timestamp)) AS days FROM {WHO} WHERE event = '$pageview' GROUP BY who"
    rows = warehouse.rows(
        "SELECT cohort, interval_number, persons, cohort_starts_at, interval_label FROM insight_retention "
        "WHERE insight_id = 'config:back' ORDER BY ALL"
    )
    assert len(rows) == 49
    for cohort, interval, persons, starts_at, label in rows:
        day = DAYS[cohort]
        assert (str(starts_at)[:10], label) == (day, f"Day {interval}")
        if cohort + interval < 7:
            both = f"has(days, toDate('{day}')) AND has(days, toDate('{day}') + {interval})"
            ((expected,),) = box.sql(f"SELECT countIf({both}) FROM ({active})")
            assert persons == expected


def test_paths(box: Sandbox, warehouse: Warehouse) -> None:
    filters = {"includeEventTypes": ["custom_event"], "edgeLimit": 1000}
    warehouse.load(
        box,
        {"insights": {"ways": {"kind": "PathsQuery", "dateRange": WEEK, "pathsFilter": filters}}},
        tables=("insight_paths",),
    )
    # The first edges of paths: a person's next event of another name within half an hour, where none came before.
    expected = box.sql(f"""
        SELECT event, following, count() FROM (
            SELECT event, at, who,
                leadInFrame(event) OVER sorted AS following, leadInFrame(at) OVER sorted AS then,
                lagInFrame(at, 1, toInt64(0)) OVER sorted AS before
            FROM (SELECT who, event, toUnixTimestamp64Micro(timestamp) AS at, toString(uuid) AS tie FROM {WHO}
                WHERE {IN_WEEK} AND NOT startsWith(event, '$'))
            WINDOW sorted AS (
                PARTITION BY who ORDER BY at, tie ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
            )
        ) WHERE at - before >= 1800000000 AND then - at < 1800000000 AND then > 0 AND following != event
        GROUP BY 1, 2""")
    firsts = warehouse.rows(
        "SELECT source_item, target_item, value FROM insight_paths "
        "WHERE insight_id = 'config:ways' AND source_step = 1 AND average_conversion_time >= 0"
    )
    found = {(source, target): value for source, target, value in firsts}
    # Repetitions are taken together, which adds to these; where there are none the counts agree.
    assert expected
    for source, target, count in expected:
        assert found[source, target] >= count
    assert warehouse.rows("SELECT count(*) FROM insight_paths WHERE source != source_step || '_' || source_item") == [
        (0,)
    ]


def test_correlation(box: Sandbox, warehouse: Warehouse) -> None:
    actors = {"kind": "FunnelsActorsQuery", "source": FUNNEL, "funnelStep": 1}
    warehouse.load(
        box,
        {"insights": {"why": {"kind": "FunnelCorrelationQuery", "source": actors}}},
        tables=("insight_correlation",),
    )
    ((won, lost),) = box.sql(
        "SELECT countIf(level = 2), countIf(level = 1) FROM (SELECT windowFunnel(1209600000000)("
        "toUInt64(toUnixTimestamp64Micro(timestamp)), event = '$pageview', event = '$autocapture') AS level "
        f"FROM {WHO} WHERE {IN_WEEK} GROUP BY who)"
    )
    rows = warehouse.rows(
        "SELECT correlation_type, odds_ratio, success_count, failure_count FROM insight_correlation "
        "WHERE insight_id = 'config:why'"
    )
    assert rows
    for kind, odds, success, failure in rows:
        assert odds == pytest.approx(
            ((success + 1) * (lost - failure + 1)) / ((won - success + 1) * (failure + 1)), rel=1e-9
        )
        assert kind == ("success" if odds > 1 else "failure")


def test_an_old_server_gives_the_same_figures(start_sandbox: Any, warehouse: Warehouse) -> None:
    old = start_sandbox(events=2_000, persons=100, seed=3, days=10, profile="selfhosted-2023")
    insights = {
        "trend": {
            "kind": "TrendsQuery",
            "series": [series("$pageview")],
            "dateRange": WEEK,
            "breakdownFilter": {"breakdowns": [{"property": "$os", "type": "event"}], "breakdown_limit": 100},
        },
        "funnel": FUNNEL,
        "filters": {"insight": "TRENDS", "events": [{"id": "$pageleave"}], "date_from": FIRST, "date_to": LAST},
        "back": {"kind": "RetentionQuery", "dateRange": {"date_to": LAST}, "retentionFilter": {"totalIntervals": 5}},
        "why": {"kind": "FunnelCorrelationQuery", "source": {"kind": "FunnelsActorsQuery", "source": FUNNEL}},
    }
    warehouse.load(old, {"insights": insights}, saved=True)
    for name, event in (("trend", "$pageview"), ("filters", "$pageleave")):
        # This server leaves out events whose distinct_id belongs to nobody any more where it asks for persons only.
        ((count,),) = old.sql(f"SELECT count() FROM events WHERE event = '{event}' AND {IN_WEEK}")
        assert warehouse.rows(f"SELECT sum(value) FROM insight_trends WHERE insight_id = 'config:{name}'") == [(count,)]
    assert warehouse.rows("SELECT count(*) FROM insight_retention WHERE insight_id = 'config:back'") == [(15,)]
    steps = warehouse.rows("SELECT persons FROM insight_funnel_steps WHERE insight_id = 'config:funnel' ORDER BY step")
    assert steps[0][0] > steps[1][0] > 0
    statuses = warehouse.rows("SELECT status, count(*) FROM insight_results GROUP BY 1 ORDER BY 1")
    assert {status for status, _ in statuses} == {"computed", "not_tabular"}
    kinds = {request["kind"] for request in old.requests() if request["path"].endswith("/query/")}
    assert "TrendsQuery" not in kinds
