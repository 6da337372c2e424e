"""Kinds of server as a whole: self-hosted ones of December 2023 and August 2025 beside today's Cloud.

What a server of August 2025 answers here was recorded from PostHog's own server code of that time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.sandbox.api.clients import client_of
from tests.sandboxes import started


@pytest.fixture(scope="module")
def old() -> Iterator[httpx.Client]:
    with (
        started(events=2_000, persons=100, seed=5, days=10, profile="selfhosted-2023") as sandbox,
        client_of(sandbox) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def of_2025() -> Iterator[httpx.Client]:
    with (
        started(events=2_000, persons=100, seed=5, days=10, profile="selfhosted-2025") as sandbox,
        client_of(sandbox) as client,
    ):
        yield client


def ask(http: httpx.Client, text: str, **node: Any) -> httpx.Response:
    body = {"query": {"kind": "HogQLQuery", "query": text, **node}}
    return http.post("/api/projects/1/query/", json=body)


def test_what_an_old_server_allows(old: httpx.Client) -> None:
    assert ask(old, "select uuid from events limit 5 offset 5").status_code == 200
    manifest = "select id, max(version), argMax(is_deleted, version) from raw_persons group by id limit 10"
    assert len(ask(old, manifest).json()["results"]) == 10
    body = ask(old, "select uuid, toString(timestamp), timestamp from events limit 2000").json()
    assert len(body["results"]) == 2000
    assert max(len(row[1]) for row in body["results"]) == len("2026-11-20 09:00:00.123456")
    assert max(len(row[2]) for row in body["results"]) == len("2026-11-20T09:00:00.123Z")


@pytest.mark.parametrize(
    "text",
    [
        "select cityHash64(distinct_id) from events limit 1",
        "select toUnixTimestamp64Micro(timestamp) from events limit 1",
        "select toDateTime64('2026-01-01 00:00:00', 6) from events limit 1",
        "select * from system.information_schema.tables limit 1",
        "select * from nothing",
        "select 1;",
    ],
)
def test_what_an_old_server_refuses(old: httpx.Client, text: str) -> None:
    response = ask(old, text)
    assert (response.status_code, response.json()["type"]) == (400, "validation_error")


@pytest.mark.parametrize(
    ("modifiers", "status"),
    [
        ({"convertToProjectTimezone": False}, 400),
        ({"personsOnEventsMode": "person_id_no_override_properties_on_events"}, 400),
        ({"personsOnEventsMode": "v1_enabled"}, 200),
        ({"personsOnEventsMode": "disabled"}, 200),
    ],
)
def test_modifiers_of_then(old: httpx.Client, modifiers: dict[str, Any], status: int) -> None:
    response = ask(old, "select person_id from events limit 1", modifiers=modifiers)
    assert response.status_code == status
    if status == 400:
        assert response.json()["detail"].startswith("86 validation errors for QuerySchema")


def test_nan_and_infinity_are_bare_words(old: httpx.Client) -> None:
    response = ask(old, "select 1 / 0, -1 / 0, 0 / 0, 1 / 4, 'NaN', null")
    assert response.content.startswith(b'{"results":[[Infinity,-Infinity,NaN,0.25,"NaN",null]],')
    assert [type_ for _, type_ in response.json()["types"]][:2] == ["Float64", "Float64"]


def test_the_rest_of_an_old_server(old: httpx.Client) -> None:
    assert old.get("/api/environments/1/persons/").status_code == 404
    assert "X-PostHog-Query-Bytes-Read" not in ask(old, "select 1").headers
    assert set(old.get("/api/projects/1/session_recordings/").json()) == {"results", "has_next", "version"}
    assert len(old.get("/api/projects/1/events/?limit=10000").json()["results"]) > 1000
    assert "query_metadata" not in ask(old, "select 1").json()


REFUSED_IN_2025 = {
    "select toDateTime64('2026-01-01 00:00:00', 6)": "Unsupported function call 'toDateTime64(...)'",
    "select now64()": "Unsupported function call 'now64(...)'",
    "select retention(event = 'a', event = 'b') from events": "Unsupported function call 'retention(...)'",
    "select toDate(timestamp, 'UTC') from events": "Function 'toDate' expects 1 argument, found 2",
    "select max_inserted_at from sessions": "Unable to resolve field: max_inserted_at",
    "select $entry_referrer from sessions": "Unable to resolve field: $entry_referrer",
    "select name from system.feature_flags": "Unknown table",
    "select count() c from events": "no viable alternative at input 'select count() c'",
    "select count() from events where timestamp >= '2026-11-01T00:00:00Z'": (
        "Cannot convert string '2026-11-01T00:00:00Z' to type DateTime64(6, 'UTC')"
    ),
    "select key from groups where updated_at >= '2026-11-01 00:00:08.000000'": (
        "Cannot convert string '2026-11-01 00:00:08.000000' to type DateTime('UTC')"
    ),
    "select key from groups where toTimeZone(updated_at, 'UTC') >= '2026-11-01 00:00:08.000000'": "Cannot convert",
}


@pytest.mark.parametrize("text", REFUSED_IN_2025)
def test_what_a_server_of_2025_refuses(of_2025: httpx.Client, text: str) -> None:
    response = ask(of_2025, text)
    assert (response.status_code, response.json()["type"]) == (400, "validation_error")
    assert response.json()["code"] == ("type_mismatch" if "Cannot" in REFUSED_IN_2025[text] else "invalid_input")
    assert REFUSED_IN_2025[text] in response.json()["detail"]


@pytest.mark.parametrize(
    "text",
    [
        "select count() AS c, event as e from events group by event",
        "select key from groups where updated_at >= '2026-11-01 00:00:08'",
        "select uuid from events where timestamp >= '2026-11-01 00:00:08.000001'",
        "select toString(now(), 'UTC'), groupBitXor(cityHash64('a'))",
        "select toUnixTimestamp(updated_at) from groups",
        "select uuid from events limit 5 offset 5",
    ],
)
def test_what_a_server_of_2025_takes(of_2025: httpx.Client, text: str) -> None:
    assert ask(of_2025, text).status_code == 200


def test_answers_of_2025(of_2025: httpx.Client) -> None:
    body = ask(of_2025, "select 1 / 0, 0 / 0").json()
    assert (body["results"], body["limit"], body["hasMore"]) == ([[None, None]], 100, False)
    body = ask(of_2025, "select timestamp from events limit 60000").json()
    assert (body["limit"], body["hasMore"]) == (None, None)
    assert max(len(row[0]) for row in body["results"]) == len("2026-11-20T09:00:00.123456Z")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [("name", "mine", "Extra inputs are not permitted"), ("refresh", True, "Input should be 'async'")],
)
def test_fields_of_a_body_of_2025(of_2025: httpx.Client, field: str, value: object, said: str) -> None:
    body = {"query": {"kind": "HogQLQuery", "query": "select 1"}, field: value}
    response = of_2025.post("/api/projects/1/query/", json=body)
    assert (response.status_code, response.json()["code"]) == (400, "parse_error")
    assert f"1 validation error for QueryRequest\n{field}\n  {said}" in response.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("persons/deletion_status", 400),
        ("experiments", 404),
        ("groups_types", 404),
        ("groups", 404),
        ("error_tracking/issues", 404),
        ("persons/funnel", 403),
        ("feature_flags", 200),
        ("session_recordings", 200),
    ],
)
def test_endpoints_of_2025(of_2025: httpx.Client, path: str, status: int) -> None:
    response = of_2025.get(f"/api/projects/1/{path}/")
    assert response.status_code == status
    if path == "session_recordings":
        assert set(response.json()) == {"results", "has_next", "version"}
        assert response.json()["version"] == 4
