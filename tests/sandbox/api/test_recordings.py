"""``session_recordings``: cursor and offset mode, windows, and recordings that grow (posthog-api section 5)."""

from __future__ import annotations

import base64
import json
from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.conftest import StartSandbox
from tests.sandbox.api.clients import client_of

PATH = "/api/projects/1/session_recordings/"
ALL = {"date_from": "-90d"}

FIELDS = {
    "active_seconds",
    "activity_score",
    "click_count",
    "console_error_count",
    "console_log_count",
    "console_warn_count",
    "distinct_id",
    "end_time",
    "expiry_time",
    "external_references",
    "has_summary",
    "id",
    "inactive_seconds",
    "keypress_count",
    "matches_filters",
    "mouse_activity_count",
    "ongoing",
    "person",
    "recording_duration",
    "recording_ttl",
    "retention_period_days",
    "snapshot_library",
    "snapshot_source",
    "start_time",
    "start_url",
    "summary_outcome",
    "viewed",
    "viewers",
}


def follow(http: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    """All recordings, by passing ``next_cursor`` back as ``after``."""
    answer = http.get(PATH, params={**ALL, **params}).json()
    found = list(answer["results"])
    while answer["has_next"]:
        answer = http.get(PATH, params={**ALL, **params, "after": answer["next_cursor"]}).json()
        found += answer["results"]
    return found


def test_the_envelope_is_its_own(http: httpx.Client) -> None:
    page = http.get(PATH, params={**ALL, "limit": 3}).json()
    assert set(page) == {"results", "has_next", "version", "next_cursor"}
    assert page["version"] == 4
    assert all(set(recording) == FIELDS for recording in page["results"])
    assert set(json.loads(base64.b64decode(page["next_cursor"]))) == {"order_value", "secondary_value"}


@pytest.mark.parametrize(
    "order", ["start_time", "click_count", "recording_duration", "activity_score", "surfacing_score"]
)
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
def test_the_cursor_reads_each_recording_once_in_any_order(
    box: Sandbox, http: httpx.Client, order: str, direction: str
) -> None:
    found = [recording["id"] for recording in follow(http, limit=7, order=order, order_direction=direction)]
    assert len(found) == len(set(found)) == box.counts()["recordings"]


def test_any_offset_switches_to_pages_without_a_cursor(box: Sandbox, http: httpx.Client) -> None:
    found: list[str] = []
    has_next = True
    while has_next:
        page = http.get(PATH, params={**ALL, "limit": 20, "offset": len(found)}).json()
        assert "next_cursor" not in page
        found += [recording["id"] for recording in page["results"]]
        has_next = page["has_next"]
    assert len(set(found)) == box.counts()["recordings"]


def test_an_old_server_knows_no_cursor(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(recordings_cursor=False, recordings_version=3)
    page = http.get(PATH, params={**ALL, "limit": 3}).json()
    assert set(page) == {"results", "has_next", "version"}
    assert "storage" in page["results"][0]


def test_default_limit_and_default_window(box: Sandbox, http: httpx.Client) -> None:
    assert len(http.get(PATH, params=ALL).json()["results"]) == 50
    recent = http.get(PATH, params={"limit": 1000}).json()["results"]
    assert 0 < len(recent) < box.counts()["recordings"]
    assert min(recording["start_time"] for recording in recent) >= "2026-11-17"


@pytest.mark.parametrize(
    "params",
    [{"no_such_field": 1}, {"limit": "many"}, {"after": "no cursor"}, {"events": '[{"id": "x"}]'}],
    ids=lambda params: next(iter(params)),
)
def test_what_is_refused(http: httpx.Client, params: dict[str, Any]) -> None:
    response = http.get(PATH, params=params)
    assert response.status_code == 400
    assert response.json()["type"] == "validation_error"


def test_filters_and_retrieve(http: httpx.Client) -> None:
    one = follow(http)[5]
    for params in (
        {"session_ids": json.dumps([one["id"]])},
        {"session_recording_id": one["id"]},
        {"distinct_ids": json.dumps([one["distinct_id"]])},
        {"date_from": one["start_time"], "date_to": one["start_time"]},
    ):
        found = http.get(PATH, params={**ALL, **params}).json()["results"]
        assert one["id"] in [recording["id"] for recording in found]
    assert http.get(f"{PATH}{one['id']}/").json()["click_count"] == one["click_count"]
    missing = http.get(f"{PATH}nothing/")
    assert (missing.status_code, missing.json()["detail"]) == (404, "Recording not found")


def test_a_recording_grows_until_its_data_is_five_minutes_old(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=500, persons=20, days=5)
    with client_of(sandbox) as http:
        grown = sandbox.grow_recordings(1)[0]
        before = http.get(f"{PATH}{grown}/").json()
        assert before["ongoing"] is True
        sandbox.advance_clock(60)
        sandbox.grow_recordings(1)
        after = http.get(f"{PATH}{grown}/").json()
        assert after["click_count"] > before["click_count"]
        sandbox.advance_clock(301)
        assert http.get(f"{PATH}{grown}/").json()["ongoing"] is False
