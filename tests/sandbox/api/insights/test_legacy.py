"""The endpoints of the days before queries give what the queries give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.clients import client_of
from tests.sandbox.api.insights.facts import WEEK, Ask, alive, series


@pytest.fixture
def http(box: Sandbox) -> Iterator[httpx.Client]:
    """A client with a key of the days before scopes: some of these endpoints take no other."""
    with client_of(box, box.create_key(None)) as client:
        yield client


EVENTS = [{"id": "$pageview", "order": 0}, {"id": "$autocapture", "order": 1, "math": "dau"}]
PLAIN = [{"id": "$pageview", "order": 0}, {"id": "$autocapture", "order": 1}]
BOTH = [series("$pageview"), series("$autocapture")]
DATES = WEEK
RETENTION = {"date_to": "2026-11-19", "period": "Day", "total_intervals": 5}

CASES: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    (
        "trend",
        {"events": EVENTS, **DATES, "breakdown": "$os", "compare": True},
        "TrendsQuery",
        {
            "series": [series("$pageview"), series("$autocapture", math="dau")],
            "dateRange": WEEK,
            "breakdownFilter": {"breakdown": "$os", "breakdown_type": "event"},
            "compareFilter": {"compare": True},
        },
    ),
    ("trend", {"events": PLAIN[:1], **DATES, "shown_as": "Stickiness"}, "StickinessQuery", {"series": BOTH[:1]}),
    ("trend", {"events": PLAIN[:1], **DATES, "insight": "LIFECYCLE"}, "LifecycleQuery", {"series": BOTH[:1]}),
    (
        "funnel",
        {"events": PLAIN, **DATES, "funnel_window_interval": 1, "funnel_window_interval_unit": "hour"},
        "FunnelsQuery",
        {"series": BOTH, "funnelsFilter": {"funnelWindowInterval": 1, "funnelWindowIntervalUnit": "hour"}},
    ),
    (
        "path",
        {**DATES, "include_event_types": ["custom_event"], "step_limit": 3},
        "PathsQuery",
        {"pathsFilter": {"includeEventTypes": ["custom_event"], "stepLimit": 3}},
    ),
    (
        "funnel/correlation",
        {"events": PLAIN, **DATES, "funnel_correlation_type": "events"},
        "FunnelCorrelationQuery",
        {
            "source": {
                "kind": "FunnelsActorsQuery",
                "source": {"kind": "FunnelsQuery", "series": BOTH, "dateRange": WEEK},
            }
        },
    ),
]


def get(http: httpx.Client, path: str, filters: dict[str, Any]) -> dict[str, Any]:
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in filters.items()}
    answer = http.get(f"/api/projects/1/{path}/", params=texts)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("case", CASES, ids=[f"{case[0]} {case[2]}" for case in CASES])
def test_filters_give_what_the_query_gives(
    http: httpx.Client, ask: Ask, method: str, case: tuple[str, dict[str, Any], str, dict[str, Any]]
) -> None:
    path, filters, kind, query = case
    dates = {} if kind == "FunnelCorrelationQuery" else {"dateRange": WEEK}
    expected = ask(kind, **{**dates, **query})
    if method == "GET":
        body = get(http, f"insights/{path}", filters)
    else:
        body = http.post(f"/api/projects/1/insights/{path}/", json=filters).json()
    assert body["result"] == expected
    assert expected
    assert body["timezone"] == "UTC"
    assert "next" in body or path != "trend"


def test_retention_ends_with_the_period(http: httpx.Client, ask: Ask) -> None:
    body = get(http, "insights/retention", RETENTION)
    expected = ask("RetentionQuery", dateRange={"date_to": "2026-11-19"}, retentionFilter={"totalIntervals": 5})
    assert [len(row["values"]) for row in body["result"]] == [5, 4, 3, 2, 1]
    for row, whole in zip(body["result"], expected, strict=True):
        assert row["values"] == whole["values"][: len(row["values"])]


def test_answers_are_cached_until_refreshed(http: httpx.Client) -> None:
    filters = {"events": [{"id": "$pageleave"}], **DATES}
    first = get(http, "insights/trend", filters)
    again = get(http, "insights/trend", filters)
    assert [first["is_cached"], again["is_cached"]] == [False, True]
    assert again["last_refresh"] == first["last_refresh"]
    forced = get(http, "insights/trend", {**filters, "refresh": "true"})
    assert forced["is_cached"] is False
    assert forced["last_refresh"] > first["last_refresh"]


def people(http: httpx.Client, path: str, filters: dict[str, Any]) -> list[dict[str, Any]]:
    """All pages; the ids of deleted persons fill a page without being on it."""
    body = get(http, f"persons/{path}", {**filters, "limit": 30})
    found: list[dict[str, Any]] = []
    while True:
        (page,) = body["results"]
        assert page["count"] == len(page["people"]) <= 30
        found += page["people"]
        if body["next"] is None:
            return found
        body = http.get(body["next"]).json()


def ids(ask: Ask, source: dict[str, Any]) -> set[str]:
    return {row[0] for row in ask("ActorsQuery", select=["id"], limit=1000, source=source)}


def test_persons_of_a_funnel_step(box: Sandbox, http: httpx.Client, ask: Ask) -> None:
    funnel = {"kind": "FunnelsQuery", "series": BOTH, "dateRange": WEEK}
    for step in (1, -2):
        found = people(http, "funnel", {"events": PLAIN, **DATES, "funnel_step": step})
        expected = ids(ask, {"kind": "FunnelsActorsQuery", "source": funnel, "funnelStep": step})
        assert {one["id"] for one in found} == expected
        assert len(found) == len(expected) > 0
    assert expected <= alive(box)


def test_persons_of_a_lifecycle_status(http: httpx.Client, ask: Ask) -> None:
    filters = {"events": PLAIN[:1], **DATES, "shown_as": "Lifecycle"}
    chosen = {"target_date": "2026-11-17", "lifecycle_type": "dormant"}
    source = {"kind": "LifecycleQuery", "series": BOTH[:1], "dateRange": WEEK}
    expected = ids(ask, {"kind": "InsightActorsQuery", "source": source, "day": "2026-11-17", "status": "dormant"})
    assert {one["id"] for one in people(http, "lifecycle", {**filters, **chosen})} == expected
    assert expected
    refused = http.get("/api/projects/1/persons/lifecycle/", params={"lifecycle_type": "new"})
    assert (refused.status_code, refused.json()["detail"]) == (400, "Must include specified date")


def test_persons_of_stickiness(http: httpx.Client, ask: Ask) -> None:
    entity = {"entity_id": "$pageview", "entity_type": "events", "stickiness_days": 2, **DATES}
    source = {"kind": "StickinessQuery", "series": BOTH[:1], "dateRange": WEEK}
    expected = ids(ask, {"kind": "StickinessActorsQuery", "source": source, "day": 2})
    assert {one["id"] for one in people(http, "stickiness", entity)} == expected
    assert expected


def test_persons_of_a_trends_point(box: Sandbox, http: httpx.Client) -> None:
    day = {"date_from": "2026-11-17", "date_to": "2026-11-17"}
    found = people(http, "trends", {"entity_id": "$pageview", "entity_type": "events", **day})
    rows = box.sql("SELECT count() FROM events WHERE event = '$pageview' AND toDate(timestamp) = '2026-11-17'")
    values = [one["value_at_data_point"] for one in found]
    assert values[:30] == sorted(values[:30], reverse=True)
    assert 0 < sum(values) <= rows[0][0]


def test_persons_of_a_correlated_event(http: httpx.Client) -> None:
    filters = {"events": PLAIN, **DATES, "funnel_correlation_type": "events"}
    item = max(
        get(http, "insights/funnel/correlation", filters)["result"]["events"], key=lambda one: one["success_count"]
    )
    entity = {"funnel_correlation_person_entity": {"id": item["event"]["event"], "type": "events"}}
    found = people(http, "funnel/correlation", {**filters, **entity, "funnel_correlation_person_converted": "true"})
    assert 0 < len(found) <= item["success_count"]


def test_keys_need_the_scopes(box: Sandbox) -> None:
    with client_of(box, box.create_key(["query:read"])) as http:
        assert http.get("/api/projects/1/insights/trend/").status_code == 403
    with client_of(box, box.create_key(["insight:read"])) as http:
        assert http.get("/api/projects/1/insights/path/").status_code == 200


@pytest.mark.parametrize("path", ["persons/funnel", "persons/stickiness", "insights/funnel/correlation"])
def test_what_no_scope_opens_is_for_keys_without_scopes(box: Sandbox, path: str) -> None:
    with client_of(box, box.create_key(["*"])) as http:
        refused = http.get(f"/api/projects/1/{path}/")
    assert refused.status_code == 403
    assert refused.json()["detail"] == "This action does not support personal API key access"


def test_a_server_of_2023_has_no_scopes(box: Sandbox) -> None:
    box.set_behaviour(closed_actions=False)
    with client_of(box, box.create_key(["*"])) as http:
        assert people(http, "funnel", {"events": PLAIN, **DATES})
