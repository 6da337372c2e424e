"""The persons behind a point: as many as the point says, and the right ones."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.insights.facts import WEEK, WHO, Ask, alive, events, series

DAY = "2026-11-17"
TRENDS = {"kind": "TrendsQuery", "series": [series("$autocapture"), series("$pageview", math="dau")], "dateRange": WEEK}
FUNNEL = {"kind": "FunnelsQuery", "series": [series("$pageview"), series("$autocapture")], "dateRange": WEEK}


def ids(ask: Ask, source: dict[str, Any]) -> set[str]:
    rows = ask("ActorsQuery", select=["id"], orderBy=["id ASC"], limit=1000, source=source)
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0] for row in rows}


def test_a_trends_point(box: Sandbox, ask: Ask) -> None:
    source = {"kind": "InsightActorsQuery", "source": TRENDS, "day": DAY, "series": 1}
    expected = {one.who for one in events(box, "event = '$pageview'") if one.day == DAY}
    assert ids(ask, source) == expected & alive(box)
    results = ask("TrendsQuery", **{name: value for name, value in TRENDS.items() if name != "kind"})
    assert len(expected) == results[1]["data"][results[1]["days"].index(DAY)]


def test_a_trends_point_of_a_breakdown_value(box: Sandbox, ask: Ask) -> None:
    broken_down = {**TRENDS, "breakdownFilter": {"breakdown": "$browser"}}
    source = {"kind": "InsightActorsQuery", "source": broken_down, "day": DAY, "series": 1, "breakdown": "Chrome"}
    chrome = "event = '$pageview' AND JSONExtractString(properties, '$browser') = 'Chrome'"
    assert ids(ask, source) == {one.who for one in events(box, chrome) if one.day == DAY} & alive(box)


@pytest.mark.parametrize(("step", "sql"), [(1, "level >= 1"), (2, "level >= 2"), (-2, "level = 1")])
def test_a_funnel_step_and_who_dropped_off(box: Sandbox, ask: Ask, step: int, sql: str) -> None:
    source = {"kind": "FunnelsActorsQuery", "source": FUNNEL, "funnelStep": step}
    levels = (
        "SELECT who, windowFunnel(1209600)(toDateTime(timestamp), event = '$pageview', event = '$autocapture') "
        f"AS level FROM {WHO} WHERE toDate(timestamp) BETWEEN '2026-11-13' AND '2026-11-19' GROUP BY who"
    )
    expected = {row[0] for row in box.sql(f"SELECT toString(who) FROM ({levels}) WHERE {sql}")}
    assert ids(ask, source) == expected & alive(box)
    assert expected


@pytest.mark.parametrize("status", ["new", "returning", "resurrecting", "dormant"])
def test_a_lifecycle_status(box: Sandbox, ask: Ask, status: str) -> None:
    lifecycle = {"series": [series("$pageview")], "dateRange": WEEK}
    figures = {
        (result["status"], day): abs(figure)
        for result in ask("LifecycleQuery", **lifecycle)
        for day, figure in zip(result["days"], result["data"], strict=True)
    }
    living = alive(box)
    for day in ("2026-11-15", DAY):
        chosen = {"kind": "InsightActorsQuery", "day": day, "status": status}
        found = ids(ask, {**chosen, "source": {"kind": "LifecycleQuery", **lifecycle}})
        assert found <= living
        gone = figures[status, day] - len(found)
        # Deleted persons are in the figure, and not among the persons.
        assert 0 <= gone <= 10


def test_days_of_stickiness(box: Sandbox, ask: Ask) -> None:
    stickiness = {"kind": "StickinessQuery", "series": [series("$pageview")], "dateRange": WEEK}
    rows = box.sql(
        f"SELECT toString(who) FROM {WHO} WHERE event = '$pageview' AND toDate(timestamp) BETWEEN '2026-11-13' "
        "AND '2026-11-19' GROUP BY who HAVING uniqExact(toDate(timestamp)) = 3"
    )
    source = {"kind": "StickinessActorsQuery", "source": stickiness, "day": 3}
    assert ids(ask, source) == {row[0] for row in rows} & alive(box)


def test_a_cohort_of_retention(box: Sandbox, ask: Ask) -> None:
    retention = {"kind": "RetentionQuery", "dateRange": {"date_to": "2026-11-19"}, "retentionFilter": {}}
    source = {"kind": "InsightActorsQuery", "source": retention, "interval": 4}
    expected = {one.who for one in events(box, "event = '$pageview'") if one.day == DAY}
    assert ids(ask, source) == expected & alive(box)
    by_os = {**retention, "breakdownFilter": {"breakdown": "$os", "breakdown_type": "event"}}
    ios = "event = '$pageview' AND JSONExtractString(properties, '$os') = 'iOS'"
    expected = {one.who for one in events(box, ios) if one.day == DAY}
    assert ids(ask, {**source, "source": by_os, "breakdown": ["iOS"]}) == expected & alive(box)
    assert expected


def test_who_did_a_correlated_event(ask: Ask) -> None:
    correlation = {"kind": "FunnelCorrelationQuery", "source": {"kind": "FunnelsActorsQuery", "source": FUNNEL}}
    result = ask("FunnelCorrelationQuery", source=correlation["source"])
    item = max(result["events"], key=lambda one: one["success_count"])
    source = {
        "kind": "FunnelCorrelationActorsQuery",
        "source": correlation,
        "funnelCorrelationPersonEntity": {"kind": "EventsNode", "event": item["event"]["event"]},
        "funnelCorrelationPersonConverted": True,
    }
    assert 0 < len(ids(ask, source)) <= item["success_count"]


def test_who_took_an_edge_of_a_path(ask: Ask) -> None:
    paths = {"dateRange": WEEK, "pathsFilter": {"includeEventTypes": ["custom_event"]}}
    edge = ask("PathsQuery", **paths)[0]
    keys = {"pathStartKey": edge["source"], "pathEndKey": edge["target"]}
    source = {"kind": "PathsQuery", "dateRange": WEEK, "pathsFilter": {**paths["pathsFilter"], **keys}}  # type: ignore[dict-item]
    rows = ask(
        "ActorsQuery", select=["id", "event_count"], source={"kind": "InsightActorsQuery", "source": source}, limit=1000
    )
    assert 0 < sum(count for _, count in rows) <= edge["value"]


def test_pages_of_actors(box: Sandbox, http: httpx.Client, ask: Ask) -> None:
    source = {"kind": "FunnelsActorsQuery", "source": FUNNEL, "funnelStep": 1}
    everyone = ids(ask, source)
    seen: list[str] = []
    while True:
        query = {"kind": "ActorsQuery", "select": ["actor", "id"], "orderBy": ["id ASC"], "limit": 40}
        body = {"query": {**query, "source": source, "offset": len(seen)}}
        answer = http.post("/api/projects/1/query/", json=body).json()
        assert (answer["columns"], answer["offset"], answer["missing_actors_count"]) == (["actor", "id"], len(seen), 0)
        assert all(actor["id"] == person_id and "distinct_ids" in actor for actor, person_id in answer["results"])
        seen += [row[1] for row in answer["results"]]
        if not answer["hasMore"]:
            break
    assert len(seen) == len(everyone) > 40
    assert set(seen) == everyone


def test_all_persons_without_a_source(box: Sandbox, ask: Ask) -> None:
    rows = ask("ActorsQuery", select=["id", "created_at"], limit=1000)
    assert {row[0] for row in rows} == alive(box)
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)
