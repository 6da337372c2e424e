"""The persons behind a point, by queries and by the endpoints of old."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.errors import NothingRequested
from posthog_warehouse.sources.posthog.readers.insights import actors
from tests.conftest import StartSandbox
from tests.sandbox.api.insights.facts import FIRST, LAST, WEEK, WHO, alive, series
from tests.sources.posthog.readers.insights.warehouse import Warehouse

DAY = "2026-11-17"
IN_WEEK = f"toDate(timestamp) BETWEEN '{FIRST}' AND '{LAST}'"
PAGES = {"series": [series("$pageview")], "dateRange": WEEK}
INSIGHTS = {
    "trend": {"kind": "TrendsQuery", "series": [series("$autocapture"), series("$pageview")], "dateRange": WEEK},
    "life": {"kind": "LifecycleQuery", **PAGES},
    "sticky": {"kind": "StickinessQuery", **PAGES},
    "funnel": {"kind": "FunnelsQuery", "series": [series("$pageview"), series("$autocapture")], "dateRange": WEEK},
    "back": {"kind": "RetentionQuery", "dateRange": {"date_to": LAST}, "retentionFilter": {"totalIntervals": 7}},
    "ways": {"kind": "PathsQuery", "dateRange": WEEK, "pathsFilter": {"includeEventTypes": ["custom_event"]}},
}
ACTIVE = "SELECT who, groupUniqArray(toDate(timestamp)) AS days FROM {who} WHERE event = '$pageview' GROUP BY who"
LEVELS = (
    "SELECT who, windowFunnel(1209600000000)(toUInt64(toUnixTimestamp64Micro(timestamp)), event = '$pageview', "
    f"event = '$autocapture') AS level FROM {{who}} WHERE {IN_WEEK} GROUP BY who"
)

#: What is asked of `insight_actors`, and the persons by plain SQL.
POINTS: list[tuple[dict[str, Any], str]] = [
    (
        {"insight": "trend", "series": 1, "day": DAY},
        f"SELECT who FROM {{who}} WHERE event = '$pageview' AND toDate(timestamp) = '{DAY}'",
    ),
    ({"insight": "funnel", "step": 2}, f"SELECT who FROM ({LEVELS}) WHERE level = 2"),
    ({"insight": "config:funnel", "step": -2}, f"SELECT who FROM ({LEVELS}) WHERE level = 1"),
    (
        {"insight": "life", "status": "dormant", "day": DAY},
        f"SELECT who FROM ({ACTIVE}) WHERE has(days, toDate('{DAY}') - 1) AND NOT has(days, toDate('{DAY}'))",
    ),
    (
        {"insight": "sticky", "day": 2},
        f"SELECT who FROM ({ACTIVE}) WHERE arrayCount(d -> d BETWEEN '{FIRST}' AND '{LAST}', days) = 2",
    ),
]
COHORT = (
    {"insight": "back", "cohort": 4},
    f"SELECT who FROM {{who}} WHERE event = '$pageview' AND toDate(timestamp) = '{DAY}'",
)

#: Who an event belongs to on servers that look persons up by their distinct_id.
MAPPED = """
(
    SELECT e.*, m.owner AS who FROM events AS e INNER JOIN (
        SELECT distinct_id, argMax(person_id, version) AS owner FROM person_distinct_id2
        GROUP BY distinct_id HAVING argMax(is_deleted, version) = 0
    ) AS m ON m.distinct_id = e.distinct_id
)"""


def ids(warehouse: Warehouse, asked: dict[str, Any]) -> set[str]:
    selector = {name: value for name, value in asked.items() if name != "insight"}
    name = asked["insight"].removeprefix("config:")
    text = json.dumps(selector, sort_keys=True, separators=(",", ":"))
    rows = warehouse.rows(
        f"SELECT person_id FROM insight_actors WHERE insight_id = 'config:{name}' AND selector = '{text}'"
    )
    return {str(row[0]) for row in rows}


def expected(box: Sandbox, sql: str, who: str = WHO) -> set[str]:
    return {row[0] for row in box.sql(f"SELECT DISTINCT toString(who) FROM ({sql.format(who=who)})")} & alive(box)


def load(box: Sandbox, warehouse: Warehouse, *points: dict[str, Any]) -> Any:
    requests = {"insights": INSIGHTS, "insight_actors": list(points)}
    return warehouse.load(box, requests, tables=("insight_actors",))["insight_actors"]


@pytest.mark.parametrize("page_rows", [30, 5_000])
def test_by_query(box: Sandbox, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, page_rows: int) -> None:
    monkeypatch.setattr(actors, "PAGE_ROWS", page_rows)
    every = [*POINTS, COHORT]
    load(box, warehouse, *(asked for asked, _ in every))
    for asked, sql in every:
        assert ids(warehouse, asked) == expected(box, sql)
        assert ids(warehouse, asked)


def test_of_a_server_of_2023(start_sandbox: StartSandbox, warehouse: Warehouse) -> None:
    old = start_sandbox(events=2_000, persons=100, seed=3, days=10, profile="selfhosted-2023")
    load(old, warehouse, *(asked for asked, _ in POINTS))
    for asked, sql in POINTS:
        assert ids(warehouse, asked) == expected(old, sql, MAPPED)
        assert ids(warehouse, asked)
    failed = load(old, warehouse, COHORT[0]).outcome.failed
    assert "RetentionQuery" in failed.message


def test_of_a_saved_insight_by_its_short_id(box: Sandbox, warehouse: Warehouse) -> None:
    funnel = next(row for row in box.list_rows("insights") if row["name"] == "From page to share")
    for name in (str(funnel["id"]), funnel["short_id"]):
        asked = {"insight_actors": [{"insight": name, "step": 1}]}
        warehouse.load(box, asked, tables=("insight_actors", "insight_funnel_steps"), saved=True)
        ((found,),) = warehouse.rows(f"SELECT count(*) FROM insight_actors WHERE insight_id = '{funnel['id']}'")
        ((figure,),) = warehouse.rows(
            f"SELECT persons FROM insight_funnel_steps WHERE insight_id = '{funnel['id']}' AND step = 1"
        )
        # Deleted persons count in the figure, and are nobody any more.
        assert 0 < found <= figure


def test_of_an_insight_that_is_not_computed_and_dates_of_toml(box: Sandbox, warehouse: Warehouse) -> None:
    trend = next(row for row in box.list_rows("insights") if row["name"] == "Pageviews a day")
    asked = {"insight_ids": [999_999], "insight_actors": [{"insight": trend["id"], "day": date.fromisoformat(DAY)}]}
    warehouse.load(box, asked, tables=("insight_actors",))
    found = {str(row[0]) for row in warehouse.rows("SELECT person_id FROM insight_actors")}
    assert found == expected(box, f"SELECT who FROM {{who}} WHERE event = '$pageview' AND toDate(timestamp) = '{DAY}'")


def test_of_an_edge(box: Sandbox, warehouse: Warehouse) -> None:
    warehouse.load(box, {"insights": INSIGHTS}, tables=("insight_paths",))
    source, target, value = warehouse.rows(
        "SELECT source, target, value FROM insight_paths WHERE insight_id = 'config:ways' ORDER BY value DESC, 1, 2"
    )[0]
    load(box, warehouse, {"insight": "ways", "source": source, "target": target})
    assert 0 < warehouse.rows("SELECT count(*) FROM insight_actors")[0][0] <= value


def test_who_is_no_longer_behind_a_point_goes(start_sandbox: StartSandbox, warehouse: Warehouse) -> None:
    posthog = start_sandbox(events=500, persons=50, seed=3, days=10)
    asked = {"insight": "funnel", "step": 1}
    other = {"insight": "funnel", "step": 2}
    load(posthog, warehouse, asked, other)
    before = ids(warehouse, asked)
    posthog.delete_persons(20)
    load(posthog, warehouse, asked)
    assert ids(warehouse, asked) == before & alive(posthog)
    assert len(ids(warehouse, asked)) < len(before)
    assert ids(warehouse, other), "what was not asked for again stays"


def test_nobody_behind_a_point(box: Sandbox, warehouse: Warehouse) -> None:
    load(box, warehouse, {"insight": "sticky", "day": 70}, {"insight": "sticky", "day": 1})
    assert ids(warehouse, {"insight": "sticky", "day": 70}) == set()
    assert warehouse.rows("SELECT count(*) FROM insight_actors WHERE is_gone") == [(0,)]


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([], "insight_actors"),
        ([{"insight": "missing", "step": 1}], "'missing'"),
        ([{"insight": "funnel", "colour": "red"}], "step"),
    ],
)
def test_what_cannot_be_asked_is_told(
    box: Sandbox, warehouse: Warehouse, points: list[dict[str, Any]], words: str
) -> None:
    failed = load(box, warehouse, *points).outcome.failed
    assert isinstance(failed, NothingRequested)
    assert words in str(failed)
