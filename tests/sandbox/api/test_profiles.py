"""The two kinds of server as a whole: today's Cloud, and a self-hosted one of 2023 (posthog-api section 13)."""

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
