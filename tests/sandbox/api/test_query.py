"""``POST /query/``: what an answer holds, what is refused, and how errors of ClickHouse reach the client."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.api.query_answer import drop_last_row
from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.conftest import Query

#: Every field of the answer to a HogQLQuery (posthog-api section 6.2).
FIELDS = {
    "cache_key",
    "cache_target_age",
    "calculation_trigger",
    "clickhouse",
    "columns",
    "error",
    "explain",
    "hasMore",
    "hogql",
    "is_cached",
    "last_refresh",
    "limit",
    "metadata",
    "modifiers",
    "next_allowed_client_refresh",
    "offset",
    "query",
    "query_metadata",
    "query_status",
    "results",
    "timezone",
    "timings",
    "types",
    "warnings",
}


def test_an_answer_has_every_field_and_types_as_pairs(box: Sandbox, query: Query) -> None:
    body = query("select event, timestamp, 1 as one from events limit 2").json()

    assert set(body) == FIELDS
    assert body["columns"] == ["event", "timestamp", "one"]
    assert body["types"] == [["event", "String"], ["timestamp", "DateTime64(6, 'UTC')"], ["one", "UInt8"]]
    assert len(body["results"]) == 2
    assert body["timezone"] == "UTC"
    assert body["error"] is None


def test_rows_equal_what_clickhouse_holds(box: Sandbox, query: Query) -> None:
    modifiers = {"convertToProjectTimezone": False}
    body = query(
        "select toString(uuid), distinct_id, properties from events order by toString(uuid) limit 3000",
        modifiers=modifiers,
    ).json()
    assert body["results"] == box.sql(
        "SELECT toString(uuid), distinct_id, properties FROM events ORDER BY toString(uuid) LIMIT 3000"
    )
    assert body["modifiers"]["convertToProjectTimezone"] is False


@pytest.mark.parametrize(
    ("text", "rows", "limit", "offset", "has_more"),
    [
        ("select uuid from events", 100, 100, 0, True),
        ("select event from events group by event limit 3", 3, None, None, None),
        ("select 1", 1, 100, 0, False),
        ("select uuid from events limit 100", 100, None, None, None),
    ],
)
def test_has_more_is_filled_only_without_a_limit_of_ones_own(
    query: Query, *, text: str, rows: int, limit: int | None, offset: int | None, has_more: bool | None
) -> None:
    body = query(text).json()
    assert len(body["results"]) == rows
    assert (body["limit"], body["offset"], body["hasMore"]) == (limit, offset, has_more)


def test_a_larger_limit_is_lowered_without_a_word(box: Sandbox, query: Query) -> None:
    box.set_behaviour(max_rows=50, default_rows=10)
    body = query("select uuid from events limit 1000").json()
    assert len(body["results"]) == 50
    assert body["hasMore"] is None
    body = query("select uuid from events").json()
    assert (len(body["results"]), body["limit"], body["hasMore"]) == (10, 10, True)


def test_offset_is_refused_for_keys_unless_the_server_is_old(box: Sandbox, query: Query) -> None:
    text = "select uuid from events limit 10 offset 10"
    refused = query(text)
    assert refused.status_code == 400
    assert refused.json()["code"] == "hogql_query_error"
    assert "OFFSET is not supported" in refused.json()["detail"]
    box.set_behaviour(refuse_offset=False)
    assert query(text).status_code == 200


def test_times_are_in_the_projects_time_zone_unless_told_otherwise(box: Sandbox, query: Query) -> None:
    box.set_behaviour(project_timezone="America/New_York")
    text = "select timestamp from events where event = '$pageview' order by timestamp limit 1"
    local = query(text).json()
    utc = query(text, modifiers={"convertToProjectTimezone": False}).json()
    assert local["timezone"] == "America/New_York"
    assert local["results"][0][0].endswith(("-04:00", "-05:00"))
    assert utc["results"][0][0].endswith("Z")


def test_an_old_server_cuts_datetimes_to_milliseconds(box: Sandbox, query: Query) -> None:
    box.set_behaviour(milliseconds_only=True)
    times = [row[0] for row in query("select timestamp from events limit 500").json()["results"]]
    fractions = [time.rstrip("Z").partition(".")[2] for time in times]
    assert {len(fraction) for fraction in fractions} <= {0, 3}
    assert any(fractions)


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        ({}, 400, "parse_error", "1 validation error for QueryRequest"),
        ({"query": {"kind": "Nonsense"}}, 400, "parse_error", "1 validation error for QueryRequest"),
        ({"query": {"kind": "HogQLQuery"}}, 400, "parse_error", "query"),
        ({"query": {"kind": "HogQLQuery", "query": "select 1"}, "refresh": "now"}, 400, "parse_error", "refresh"),
        (
            {"query": {"kind": "HogQLQuery", "query": "select 1"}, "limit_context": "all"},
            400,
            "parse_error",
            "limit",
        ),
        ({"query": {"kind": "HogQLQuery", "query": "select 1", "modifiers": {"no": 1}}}, 400, "parse_error", "no"),
        ({"query": {"kind": "EventsQuery", "select": ["*"]}}, 400, "invalid_input", "EventsQuery"),
        ({"query": {"kind": "HogQLQuery", "query": "select from where"}}, 400, "hogql_syntax_error", ""),
        ({"query": {"kind": "HogQLQuery", "query": "select x from nowhere"}}, 400, "hogql_query_error", "nowhere"),
    ],
)
def test_what_is_refused(http: httpx.Client, body: dict[str, Any], status: int, code: str, words: str) -> None:
    response = http.post("/api/projects/1/query/", json=body)
    assert response.status_code == status
    assert response.json()["code"] == code
    assert words in response.json()["detail"]


def test_a_body_that_is_not_json_is_a_parse_error(http: httpx.Client) -> None:
    response = http.post("/api/projects/1/query/", content=b'{"query": ')
    assert (response.status_code, response.json()["code"]) == (400, "parse_error")


def test_an_old_server_refuses_todays_modifiers_in_its_own_way(box: Sandbox, query: Query) -> None:
    box.set_behaviour(old_response_shape=True, known_modifiers=["personsOnEventsMode"])
    response = query("select 1", modifiers={"convertToProjectTimezone": False, "personsOnEventsMode": "of today"})
    assert response.status_code == 400
    assert response.json()["code"] == "parse_error"
    title, *told = response.json()["detail"].split("\n")
    assert title == "86 validation errors for QuerySchema"
    assert told[::2] == ["HogQLQuery.modifiers.convertToProjectTimezone", "HogQLQuery.modifiers.personsOnEventsMode"]


@pytest.mark.parametrize(
    ("behaviour", "text", "status", "kind", "code"),
    [
        (
            {"max_bytes_to_read": 1000},
            "select properties from events limit 3000",
            400,
            "validation_error",
            "too_many_bytes",
        ),
        (
            {"max_memory_usage": 1_000_000},
            "select groupArray(properties) from events",
            513,
            "server_error",
            "clickhouse_memory_limit_exceeded",
        ),
        (
            {"max_memory_usage": 1_000_000, "memory_limit_status": 504},
            "select groupArray(properties) from events",
            504,
            "server_error",
            "clickhouse_memory_limit_exceeded",
        ),
        (
            {"query_seconds": 0.05},
            "select sum(length(a.event) * length(c.event)) from events a cross join events b cross join events c",
            504,
            "server_error",
            "error",
        ),
    ],
    ids=["bytes", "memory", "memory of old", "time"],
)
def test_limits_of_clickhouse_become_envelopes(
    box: Sandbox, query: Query, *, behaviour: dict[str, Any], text: str, status: int, kind: str, code: str
) -> None:
    box.set_behaviour(**behaviour)
    response = query(text)
    body = response.json()
    assert (response.status_code, body["type"], body["code"]) == (status, kind, code)


def test_the_kind_in_the_url_has_to_match(http: httpx.Client) -> None:
    body = {"query": {"kind": "HogQLQuery", "query": "select 1"}}
    assert http.post("/api/projects/1/query/HogQLQuery/", json=body).json()["results"] == [[1]]
    assert http.post("/api/projects/1/query/EventsQuery/", json=body).status_code == 400


@pytest.mark.parametrize(
    ("path", "accepts", "compressed"),
    [
        ("/api/projects/1/query/", "gzip", True),
        ("/api/projects/1/query", "br, gzip", True),
        ("/api/environments/1/query/", "gzip", True),
        ("/api/projects/1/query/", "br", False),
        ("/api/projects/@current/query/", "gzip", False),
        ("/api/projects/1/query/HogQLQuery/", "gzip", False),
    ],
)
def test_gzip_only_where_posthog_compresses(http: httpx.Client, *, path: str, accepts: str, compressed: bool) -> None:
    body = {"query": {"kind": "HogQLQuery", "query": "select properties from events limit 200"}}
    with http.stream("POST", path, json=body, headers={"Accept-Encoding": accepts}) as response:
        raw = b"".join(response.iter_raw())
    assert (response.headers.get("Content-Encoding") == "gzip") is compressed
    assert int(response.headers["Content-Length"]) == len(raw)
    assert (gzip.decompress(raw) if compressed else raw).startswith(b'{"results":[[')


def test_cost_headers_only_where_the_server_has_them(box: Sandbox, query: Query) -> None:
    headers = query("select max(properties) from events").headers
    assert int(headers["X-PostHog-Query-Bytes-Read"]) > 1_000_000
    assert int(headers["X-PostHog-Query-Budget-Remaining-Bytes"]) > 0
    box.set_behaviour(query_cost_headers=False)
    assert "X-PostHog-Query-Bytes-Read" not in query("select 2").headers


def test_todays_server_writes_null_for_nan_and_infinity(query: Query) -> None:
    assert query("select 1 / 0, 0 / 0, 1 / 4").json()["results"] == [[None, None, 0.25]]


def test_a_value_stands_for_its_placeholder(http: httpx.Client) -> None:
    node = {"kind": "HogQLQuery", "query": "select {word}", "values": {"word": "it's"}}
    assert http.post("/api/projects/1/query/", json={"query": node}).json()["results"] == [["it's"]]


@pytest.mark.parametrize(
    ("rows", "rest"),
    [
        (b'[["a"],["b"]]', b'[["a"]]'),
        (b'[["a"]]', b"[]"),
        (rb'[["]\",["],[["x"],{"y":[1]}]]', rb'[["]\",["]]'),
    ],
)
def test_the_extra_row_is_cut_off_without_parsing(rows: bytes, rest: bytes) -> None:
    assert drop_last_row(rows) == rest
