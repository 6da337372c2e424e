"""``events``: the deprecated list that loses rows, on purpose (posthog-api section 4)."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.conftest import StartSandbox
from tests.sandbox.api.clients import client_of

PATH = "/api/projects/1/events/"


def follow(http: httpx.Client, **params: Any) -> list[list[dict[str, Any]]]:
    """All pages, following ``next``."""
    answer = http.get(PATH, params=params).json()
    pages = [answer["results"]]
    while answer["next"]:
        answer = http.get(answer["next"]).json()
        pages.append(answer["results"])
    return pages


def test_an_event_has_the_lists_fields(http: httpx.Client) -> None:
    event = http.get(PATH, params={"limit": 1}).json()["results"][0]
    assert set(event) == {
        "distinct_id",
        "elements",
        "elements_chain",
        "event",
        "id",
        "person",
        "properties",
        "timestamp",
    }
    assert event["timestamp"].endswith("+00:00")
    assert isinstance(event["properties"], dict)
    assert event["person"] is None


def test_a_person_comes_on_request(http: httpx.Client) -> None:
    events = http.get(PATH, params={"limit": 50, "include_person": "true"}).json()["results"]
    assert any(event["person"] and event["person"]["properties"] for event in events)


@pytest.mark.parametrize(("asked", "given"), [({}, 100), ({"limit": 7}, 7), ({"limit": 5000}, 1000)])
def test_pages_are_capped(http: httpx.Client, asked: dict[str, int], given: int) -> None:
    order = {"orderBy": '["timestamp"]'}
    assert len(http.get(PATH, params={**asked, **order}).json()["results"]) == given


def test_events_of_one_timestamp_are_lost_between_pages_by_next_and_not_by_offset(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=50, persons=10, days=2)
    sandbox.set_behaviour(events_offset_delay_seconds=0, events_window_probing=False)
    for minute in range(10):
        sandbox.add_events(7, timestamp=f"2026-11-20T09:{minute:02}:00Z", event="tie", seed=minute)
    with client_of(sandbox) as http:
        found = [event["id"] for page in follow(http, limit=10, event="tie") for event in page]
        by_offset = [
            event["id"]
            for offset in range(0, 70, 10)
            for event in http.get(PATH, params={"limit": 10, "offset": offset, "event": "tie"}).json()["results"]
        ]
    assert len(set(found)) < 70
    assert len(by_offset) == 70


def test_next_can_be_null_although_older_events_exist(box: Sandbox, http: httpx.Client) -> None:
    total = box.counts()["events"]
    lying = sum(len(page) for page in follow(http, limit=200))
    assert lying < total
    box.set_behaviour(events_window_probing=False)
    honest = sum(len(page) for page in follow(http, limit=200))
    assert honest > lying


def test_ascending_order_follows_after(http: httpx.Client) -> None:
    answer = http.get(PATH, params={"limit": 5, "orderBy": '["timestamp"]', "after": "2026-11-15T00:00:00Z"}).json()
    times = [event["timestamp"] for event in answer["results"]]
    assert times == sorted(times)
    assert times[0] > "2026-11-15"
    assert "after=" in answer["next"]


def test_bounds_are_exclusive(http: httpx.Client) -> None:
    one = http.get(PATH, params={"limit": 1, "orderBy": '["timestamp"]'}).json()["results"][0]
    params = {"after": one["timestamp"], "orderBy": '["timestamp"]', "limit": 1000}
    assert one["id"] not in [event["id"] for event in http.get(PATH, params=params).json()["results"]]
    params = {"before": one["timestamp"], "limit": 1000}
    assert http.get(PATH, params=params).json()["results"] == []


@pytest.mark.parametrize("bound", ["after", "before"])
def test_a_date_that_is_none_finds_nothing_and_no_error(http: httpx.Client, bound: str) -> None:
    response = http.get(PATH, params={bound: "yesterday-ish"})
    assert (response.status_code, response.json()) == (200, {"next": None, "results": []})


def test_offset_is_warned_about_and_limited(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(events_offset_delay_seconds=0)
    assert "X-PostHog-Warn" in http.get(PATH, params={"offset": 10}).headers
    refused = http.get(PATH, params={"offset": 50_001})
    assert refused.status_code == 400
    assert refused.json()["detail"] == "Offset is deprecated. Max supported offset value is 50000"


def test_filters(box: Sandbox, http: httpx.Client) -> None:
    distinct_id, event = box.sql(
        "SELECT distinct_id, event FROM events GROUP BY distinct_id, event ORDER BY count() DESC LIMIT 1"
    )[0]
    params = {"distinct_id": distinct_id, "event": event, "orderBy": '["timestamp"]'}
    found = http.get(PATH, params=params).json()["results"]
    assert found
    assert {(one["distinct_id"], one["event"]) for one in found} == {(distinct_id, event)}


def test_retrieve(http: httpx.Client) -> None:
    event = http.get(PATH, params={"limit": 1}).json()["results"][0]
    assert http.get(f"{PATH}{event['id']}/").json()["properties"] == event["properties"]

    bad = http.get(f"{PATH}nonsense/")
    assert (bad.status_code, bad.json()) == (
        400,
        {"detail": "Invalid UUID", "code": "invalid", "type": "validation_error"},
    )
    absent = http.get(f"{PATH}00000000-0000-0000-0000-000000000000/")
    assert absent.status_code == 404
    assert absent.json()["detail"] == "No events exist for event UUID 00000000-0000-0000-0000-000000000000"


def test_values_of_a_property(box: Sandbox, http: httpx.Client) -> None:
    params = {"key": "$browser", "event_name": "$pageview"}
    response = http.get(f"{PATH}values/", params=params)
    assert response.headers["Cache-Control"] == "max-age=10"
    assert "Chrome" in [value["name"] for value in response.json()["results"]]
    assert http.get(f"{PATH}values/", params={"key": "$browser"}).status_code == 400
    box.set_behaviour(old_response_shape=True)
    assert isinstance(http.get(f"{PATH}values/", params=params).json(), list)
