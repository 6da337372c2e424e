from __future__ import annotations

import gzip
import io
import json
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from posthog_warehouse.sources.posthog import errors
from posthog_warehouse.sources.posthog.http.answers import QueryAnswer
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget, Wait
from tests.sources.posthog.httpserver import (
    Answer,
    FakeClock,
    HttpServer,
    Request,
    Script,
    envelope,
    in_turn,
    page,
    serve,
)

KEY = "phx_verysecretverysecretverysecret"
PROMPT = 10.0
OK = Answer(body=page([1]))
HTML = Answer(body=b"<html>busy</html>", headers={"Content-Type": "text/html; charset=utf-8"})
SQL = "select 1 as n limit 1"


class Bench:
    """A server, a client of it on a clock that stands still, and what the client waited for."""

    def __init__(self, script: Script, **options: Any) -> None:
        self.clock = FakeClock()
        self.waits: list[Wait] = []
        self.server = HttpServer(script)
        limits = {name: options.pop(name) for name in ("max_wait", "queries_in_flight") if name in options}
        self.budget = Budget(clock=self.clock, sleep=self.clock.sleep, on_wait=self.waits.append, **limits)
        options = {"timeout_seconds": PROMPT, "host": self.server.url, "project_id": 1, **options}
        self.client = PostHogClient(KEY, budget=self.budget, **options)

    def close(self) -> None:
        self.client.close()
        self.server.close()


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(script: Script | Answer, **options: Any) -> Bench:
        made.append(Bench(script if callable(script) else in_turn(script), **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


Make = Callable[..., Bench]


# Queries


def test_a_query_asks_fresh_and_answers_with_types(bench: Make) -> None:
    rows: list[list[Any]] = [[9_007_199_254_740_993, None], [2, "x"]]
    headers = {
        "X-PostHog-Query-Bytes-Read": "1234",
        "X-PostHog-Query-Budget-Remaining-Bytes": "99.5",
        "Content-Encoding": "gzip",
    }
    types = [["n", "UInt64"], ["s", "Nullable(String)"]]
    body = {**page(*rows, columns=("n", "s")), "types": types, "timezone": "UTC", "hasMore": None}
    b = bench(Answer(body=gzip.compress(json.dumps(body).encode()), headers=headers))
    answer = b.client.query(SQL, modifiers={"a": 1}, values={"x": 2}, name="events 2026-01-01")

    assert answer.columns == ("n", "s")
    assert answer.types == ("UInt64", "Nullable(String)")
    assert answer.rows == rows
    assert (answer.bytes_read, answer.budget_remaining) == (1234, 99)
    assert answer.timezone == "UTC"
    [request] = b.server.requests
    assert (request.method, request.target) == ("POST", "/api/projects/1/query/")
    assert request.json == {
        "query": {"kind": "HogQLQuery", "query": SQL, "modifiers": {"a": 1}, "values": {"x": 2}},
        "refresh": "force_blocking",
        "name": "events 2026-01-01",
        "client_query_id": answer.query_id,
    }
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert request.headers["User-Agent"].startswith("posthog-warehouse/")
    assert request.headers["Accept-Encoding"] == "gzip", (
        "what else is installed is not asked for: it would not stay packed"
    )
    usage = b.client.usage
    assert (usage.requests, usage.queries, usage.bytes_read, usage.budget_remaining) == (1, 1, 1234, 99)


def test_read_turns_an_answer_into_something_else_one_at_a_time(bench: Make) -> None:
    b = bench(OK, queries_in_flight=8)
    inside = threading.Lock()

    def read(answer: QueryAnswer) -> int:
        assert inside.acquire(blocking=False), "two answers were read at once"
        try:
            return int(answer.rows[0][0])
        finally:
            inside.release()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: b.client.query(SQL, read=read), range(40))) == [1] * 40


def test_read_can_have_the_query_asked_again(bench: Make) -> None:
    b = bench(OK)
    faults: list[Exception] = [errors.AnswerMalformed("odd")]

    def read(answer: QueryAnswer) -> str:
        if faults:
            raise faults.pop()
        return "read"

    assert b.client.query(SQL, read=read) == "read"
    assert b.client.usage.retries == 1


def test_numbers_that_json_lacks_are_null_and_lone_surrogates_replaced(bench: Make) -> None:
    body = rb'{"columns":["a","b","c","d"],"types":[],"results":[[NaN,-Infinity,1,"\ud83d\ude00 \\ud83d \ud83d"]]}'
    assert bench(Answer(body=body)).client.query(SQL).rows == [[None, None, 1, "\U0001f600 \\ud83d \ufffd"]]


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"columns": ["n"]},
        {"results": {}, "columns": ["n"]},
        page([1, 2]),
        {**page([1]), "types": []} | {"types": [["n", "x"], ["m", "x"]]},
    ],
    ids=["list", "no results", "object", "wide row", "more types"],
)
def test_an_answer_of_another_shape_is_not_used(bench: Make, body: Any) -> None:
    b = bench(in_turn(Answer(body=body), OK))
    assert b.client.query(SQL).rows == [[1]]
    assert b.client.usage.retries == 1


def test_an_error_inside_an_answer_is_one(bench: Make) -> None:
    with pytest.raises(errors.QueryRefused, match="Unknown table"):
        bench(Answer(body={**page(), "error": "Unknown table"})).client.query(SQL)


# The error table (posthog-api.md 1.2)

AUTH, REQUEST, VALID, THROTTLE, SERVER = (
    "authentication_error",
    "invalid_request",
    "validation_error",
    "throttled_error",
    "server_error",
)
BAD_KEY = "Personal API key found in request Authorization header is invalid."
TOO_MANY = "Limit for rows or bytes to read exceeded"
MEMORY = "This query ran out of memory before it could finish, usually because it's scanning too much data."
OLD_MEMORY = "Query has reached the max memory limit before completing."
OTHER_PROJECT = "API key does not have access to the requested project: ID 1."
SLOW = "Query has hit the max execution time before completing."

REFUSALS = [
    (401, AUTH, "not_authenticated", "Authentication credentials were not provided.", errors.KeyRefused),
    (401, AUTH, "authentication_failed", BAD_KEY, errors.KeyRefused),
    (403, AUTH, "permission_denied", "API key missing required scope 'query:read'", errors.ScopeMissing),
    (403, AUTH, "permission_denied", "This action does not support personal API key access", errors.AccessDenied),
    (403, AUTH, "permission_denied", "You don't have access to the project.", errors.ProjectDenied),
    (403, AUTH, "permission_denied", OTHER_PROJECT, errors.ProjectDenied),
    (403, AUTH, "permission_denied", "This action does not support personal API key access", errors.AccessDenied),
    (404, REQUEST, "not_found", "Project not found.", errors.ProjectNotFound),
    (404, REQUEST, "not_found", "Endpoint not found.", errors.EndpointNotFound),
    (404, REQUEST, "not_found", "Not found.", errors.NotFound),
    (400, VALID, "parse_error", "1 validation error for QueryRequest", errors.QueryRefused),
    (400, VALID, "hogql_syntax_error", "mismatched input", errors.QueryRefused),
    (400, VALID, "hogql_query_error", "OFFSET is not supported", errors.QueryRefused),
    (400, VALID, "unknown_function", "Unknown function x", errors.QueryRefused),
    (400, VALID, "too_many_bytes", TOO_MANY, errors.TooManyBytes),
    (504, SERVER, "error", SLOW, errors.QueryTimedOut),
    (512, SERVER, "error", "Estimated query execution time is too long.", errors.QueryTimedOut),
    (524, SERVER, "error", "A timeout occurred", errors.QueryTimedOut),
    (513, SERVER, "clickhouse_memory_limit_exceeded", MEMORY, errors.MemoryLimitHit),
    (512, SERVER, "clickhouse_memory_limit_exceeded", MEMORY, errors.MemoryLimitHit),
    (504, SERVER, "error", OLD_MEMORY, errors.MemoryLimitHit),
    (500, SERVER, "error", "Query size exceeded.", errors.QueryTooLarge),
    (413, REQUEST, "error", "Request body too large", errors.QueryTooLarge),
    (402, SERVER, "api_queries_quota_exceeded", "Quota exceeded", errors.QuotaSpent),
    (402, SERVER, "payment_required", "This feature is part of the premium offering", errors.PaymentRequired),
    (405, REQUEST, "method_not_allowed", 'Method "POST" not allowed.', errors.RequestRefused),
    (406, REQUEST, "not_acceptable", "Could not satisfy the request Accept header.", errors.RequestRefused),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=[f"{r[0]}-{r[4].__name__}" for r in REFUSALS])
def test_a_refusal_is_told_at_once_by_its_class(
    bench: Make, refusal: tuple[int, str, str, str, type[errors.PostHogError]]
) -> None:
    status, kind, code, detail, expected = refusal
    b = bench(envelope(status, code, detail, kind))
    with pytest.raises(errors.PostHogError, match=r"HTTP") as caught:
        b.client.query(SQL)
    error = caught.value
    assert type(error) is expected
    assert (error.status, error.code, error.path) == (status, code, "/api/projects/1/query/")
    assert detail.rstrip(".") in str(error)
    assert len(b.server.requests) == 1
    assert b.waits == []


def test_a_missing_scope_is_named(bench: Make) -> None:
    b = bench(envelope(403, "permission_denied", "API key missing required scope 'session_recording:read'", AUTH))
    with pytest.raises(errors.ScopeMissing) as caught:
        b.client.get("session_recordings")
    assert caught.value.scope == "session_recording:read"


def test_the_place_of_a_fault_in_a_query_is_told(bench: Make) -> None:
    b = bench(envelope(400, "hogql_syntax_error", "no", VALID, extra={"start": 7, "end": 9}))
    with pytest.raises(errors.QueryRefused) as caught:
        b.client.query(SQL)
    assert caught.value.position == (7, 9)


def test_a_400_outside_queries_is_a_refused_request(bench: Make) -> None:
    with pytest.raises(errors.RequestRefused) as caught:
        bench(envelope(400, "invalid_input", "bad date", VALID)).client.get("events")
    assert type(caught.value) is errors.RequestRefused


def test_a_recording_that_is_gone_is_not_found_without_an_envelope(bench: Make) -> None:
    gone = Answer(410, {"error": "recording_deleted", "message": "Deleted by its owner"})
    with pytest.raises(errors.NotFound, match="Deleted by its owner"):
        bench(gone).client.get("session_recordings/x")


def test_an_html_404_means_another_kind_of_server(bench: Make) -> None:
    with pytest.raises(errors.EndpointNotFound, match="no PostHog at all"):
        bench(Answer(404, b"<html>", {"Content-Type": "text/html"})).client.get("events")


def test_a_timeout_of_recordings_that_pretends_to_be_a_throttle_asks_for_less(bench: Make) -> None:
    b = bench(envelope(429, "throttled", "Query timeout exceeded. Try again later.", THROTTLE))
    with pytest.raises(errors.QueryTimedOut):
        b.client.get("session_recordings")


# Faults that pass

FAULTS = [
    ("500", envelope(500, "error", "ClickHouse error while executing query."), errors.ServerFault),
    ("500 without envelope", Answer(500, {"error": "boom"}), errors.ServerFault),
    ("502", Answer(502, b"<html>", {"Content-Type": "text/html"}), errors.ServerFault),
    ("503 maintenance", Answer(503, b"", {"Content-Type": "text/plain"}), errors.ServerFault),
    ("520", Answer(520, b"error code: 520", {"Content-Type": "text/plain"}), errors.ServerFault),
    ("closed", Answer(drop="close"), errors.ConnectionFailed),
    ("reset", Answer(drop="reset"), errors.ConnectionFailed),
    ("truncated", Answer(body=page([1]), cut_at=20), errors.AnswerTruncated),
    ("truncated JSON", Answer(body=b'{"results": [[1'), errors.AnswerTruncated),
    ("empty", Answer(body=b""), errors.AnswerTruncated),
    ("malformed", Answer(body=b'{"results": oops}'), errors.AnswerMalformed),
    ("not UTF-8", Answer(body=b'{"results": "\xff"}'), errors.AnswerMalformed),
    ("broken gzip", Answer(body=b"no gzip", headers={"Content-Encoding": "gzip"}), errors.AnswerMalformed),
    ("page", HTML, errors.WrongContentType),
]


@pytest.mark.parametrize(("name", "fault", "kind"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_passing_fault_is_tried_again_with_growing_pauses(
    bench: Make, name: str, fault: Answer, kind: type[errors.Retryable]
) -> None:
    b = bench(in_turn(fault, fault, fault, OK))
    assert b.client.query(SQL).rows == [[1]]
    assert b.client.usage.retries == 3
    for slept, (low, high) in zip(b.clock.slept, [(0.5, 1), (0.5, 2), (0.5, 4)], strict=True):
        assert low <= slept <= high
    assert len({request.json["client_query_id"] for request in b.server.requests}) == 4


@pytest.mark.parametrize(("name", "fault", "kind"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_a_fault_that_stays_makes_posthog_unreachable(
    bench: Make, name: str, fault: Answer, kind: type[errors.Retryable]
) -> None:
    b = bench(fault, attempts=3)
    with pytest.raises(errors.Unreachable, match="all of 3 attempts") as caught:
        b.client.get("cohorts")
    assert type(caught.value.last) is kind
    assert len(b.server.requests) == 3


def test_a_host_that_refuses_connections_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    clock = FakeClock()
    with (
        PostHogClient(KEY, f"127.0.0.1:{port}", 1, budget=Budget(clock=clock, sleep=clock.sleep)) as client,
        pytest.raises(errors.Unreachable, match=f"127.0.0.1:{port} failed") as caught,
    ):
        client.query(SQL)
    assert isinstance(caught.value.last, errors.ConnectionFailed)
    assert len(clock.slept) == 5


def test_https_to_a_plain_http_port_is_told_at_once(bench: Make) -> None:
    b = bench(OK)
    with (
        PostHogClient(KEY, b.server.url.replace("http", "https"), 1) as client,
        pytest.raises(errors.HostUnusable, match="plain http"),
    ):
        client.query(SQL)


def test_a_database_blip_is_waited_out_as_long_as_it_says(bench: Make) -> None:
    b = bench(in_turn(envelope(503, "database_unavailable", "Blip", headers={"Retry-After": "7"}), OK))
    b.client.query(SQL)
    assert b.clock.slept == [7.0]


def test_a_silent_query_is_given_up_stopped_and_to_be_narrowed(bench: Make) -> None:
    gate = threading.Event()

    def script(request: Request) -> Answer:
        return Answer(gate=gate, body=page([1])) if request.method == "POST" else Answer(body={"message": "stopped"})

    b = bench(script, timeout_seconds=0.2)
    try:
        with pytest.raises(errors.QueryTimedOut) as caught:
            b.client.query(SQL)
    finally:
        gate.set()
    assert isinstance(caught.value, errors.Narrow)
    [asked], [stopped] = b.server.asked("POST"), b.server.asked("DELETE")
    assert stopped.path == f"/api/projects/1/query/{asked.json['client_query_id']}/"


def test_a_query_cut_off_by_a_proxy_after_minutes_is_to_be_narrowed(bench: Make) -> None:
    def script(request: Request) -> Answer:
        if request.method == "POST":
            b.clock.now += 300
            return Answer(drop="close")
        return Answer(body={"message": "Cancelled query on clickhouse"})

    b = bench(script, timeout_seconds=310)
    with pytest.raises(errors.QueryTimedOut, match="within 300 s"):
        b.client.query(SQL)
    assert len(b.server.asked("DELETE")) == 1


def test_a_silent_list_is_a_failed_connection(bench: Make) -> None:
    gate = threading.Event()
    b = bench(Answer(gate=gate), timeout_seconds=0.2, attempts=1)
    try:
        with pytest.raises(errors.Unreachable, match="No answer from"):
            b.client.get("cohorts")
    finally:
        gate.set()


def test_a_body_that_drips_is_given_up(bench: Make) -> None:
    class Dripping(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            for _ in range(1000):
                clock.now += 10
                yield b" "

    clock = FakeClock()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Dripping()))
    budget = Budget(clock=clock, sleep=clock.sleep)
    client = PostHogClient(KEY, project_id=1, budget=budget, timeout_seconds=100, transport=transport)
    with pytest.raises(errors.QueryTimedOut, match="310 s"):
        client.query(SQL)


# Limits


def throttled(detail: str = "Request was throttled.", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return envelope(429, "throttled", detail, THROTTLE, headers=named)


NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)


def http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("answer", "seconds", "reason"),
    [
        (throttled(Retry_After="30"), 30, "limit of requests"),
        (throttled(Retry_After="30.5"), 30.5, "limit of requests"),
        (throttled(Retry_After=http_date(NOW + timedelta(seconds=90)), Date=http_date(NOW)), 90, "limit of requests"),
        (throttled("Request was throttled. Expected available in 41 seconds."), 41, "limit of requests"),
        (throttled("Expected available in 42 seconds.", Retry_After="41"), 42, "limit of requests"),
        (envelope(429, "api_queries_budget_exceeded", "Spent", headers={"Retry-After": "600"}), 600, "read budget"),
        (throttled("Gone", Retry_After="5", X_PostHog_Query_Budget_Remaining_Bytes="-3"), 5, "read budget"),
    ],
    ids=["seconds", "fraction", "date", "body", "both", "budget", "budget by header"],
)
def test_a_throttle_is_waited_out_as_long_as_it_says(bench: Make, answer: Answer, seconds: float, reason: str) -> None:
    b = bench(in_turn(answer, OK))
    b.client.query(SQL)
    assert [wait.seconds for wait in b.waits] == [pytest.approx(seconds)]
    assert reason in b.waits[0].reason
    assert b.client.usage.retries == 0
    assert b.client.usage.waited_seconds == pytest.approx(seconds)


UNTIMED = [
    throttled("Exceeded maximum concurrency limit: 3 for key: api:query:per-team:1 and task: x"),
    throttled("You are running quite some queries already"),
    throttled("Throttled", Retry_After="0"),
    throttled("Throttled", Retry_After="-5"),
    throttled("Throttled", Retry_After="soon"),
    throttled("Throttled", Retry_After="nan"),
    throttled("Throttled", Retry_After="Fri, 20 Nov 2020 12:00:00 GMT"),
    throttled("ClickHouse is at capacity. Try again later."),
    envelope(503, "error", "Queries are a little too busy right now. We're working to free up resources."),
    envelope(513, "clickhouse_memory_limit_exceeded", "The cluster is short of memory, try again in a few minutes."),
]


@pytest.mark.parametrize("answer", UNTIMED, ids=range(len(UNTIMED)))
def test_a_limit_without_seconds_is_waited_out_with_growing_pauses_however_often(bench: Make, answer: Answer) -> None:
    b = bench(in_turn(*[answer] * 12, OK))
    b.client.query(SQL)
    assert len(b.clock.slept) == 12
    assert all(1 <= slept <= 60 for slept in b.clock.slept)
    assert b.client.usage.retries == 0


def test_waits_are_bounded_by_max_wait_in_all(bench: Make) -> None:
    b = bench(throttled(Retry_After="40"), max_wait=100)
    with pytest.raises(errors.WaitTooLong, match=r"PostHog's limit of requests would take 120 s") as caught:
        b.client.query(SQL)
    assert caught.value.seconds == 120
    assert b.clock.slept == [40, 40]


def test_a_wait_that_is_too_long_is_not_begun(bench: Make) -> None:
    b = bench(throttled(Retry_After="3581"))
    with pytest.raises(errors.WaitTooLong, match=r"3,581 s.*900 s"):
        b.client.query(SQL)
    assert b.clock.slept == []


def test_endless_business_ends_in_a_wait_too_long(bench: Make) -> None:
    b = bench(UNTIMED[0])
    with pytest.raises(errors.WaitTooLong, match="other queries of this project"):
        b.client.query(SQL)
    assert sum(b.clock.slept) <= 900


def test_a_throttle_holds_every_thread(bench: Make) -> None:
    b = bench(in_turn(throttled(Retry_After="60"), OK))
    b.client.query(SQL)
    b.budget.pause(60, "x")
    b.client.get("cohorts")
    assert b.clock.slept == [60, 60]


def test_queries_in_flight_are_bounded_but_lists_are_not(bench: Make) -> None:
    gate = threading.Event()
    started = threading.Semaphore(0)

    def script(request: Request) -> Answer:
        if request.method == "POST":
            started.release()
            return Answer(body=page([1]), gate=gate)
        return Answer(body={"results": []})

    b = bench(script, queries_in_flight=2)
    with ThreadPoolExecutor(6) as pool:
        queries = [pool.submit(b.client.query, SQL) for _ in range(5)]
        assert started.acquire(timeout=PROMPT)
        assert started.acquire(timeout=PROMPT)
        b.client.get("cohorts")
        assert len(b.server.asked("POST")) == 2
        gate.set()
        assert [query.result(PROMPT).rows for query in queries] == [[[1]]] * 5


# Answers from a cache


def ago(seconds: float) -> str:
    return (datetime.now(timezone.utc) - timedelta(seconds=seconds)).isoformat()


def test_an_answer_marked_as_cached_is_asked_again_in_other_words(bench: Make) -> None:
    b = bench(in_turn(Answer(body=page([0], is_cached=True)), OK))
    assert b.client.query(SQL).rows == [[1]]
    first, second = (request.sql for request in b.server.requests)
    assert first == SQL
    assert second.endswith(f"*/ {SQL}")


@pytest.mark.parametrize("zone", ["+00:00", "Z", "-05:00"])
@pytest.mark.parametrize("age", [30, 3600])
def test_an_answer_from_before_the_question_is_asked_again(bench: Make, zone: str, age: float) -> None:
    offset = timezone(timedelta(hours=-5)) if zone == "-05:00" else timezone.utc
    refreshed = (datetime.now(offset) - timedelta(seconds=age)).isoformat()
    refreshed = refreshed.replace("+00:00", zone)
    b = bench(in_turn(Answer(body=page([0], last_refresh=refreshed)), OK))
    assert b.client.query(SQL).rows == [[1]]
    assert len(b.server.requests) == 2


def test_an_answer_that_stays_cached_is_refused(bench: Make) -> None:
    b = bench(Answer(body=page([0], is_cached=True)))
    with pytest.raises(errors.AnswerFromCache):
        b.client.query(SQL)
    assert len({request.sql for request in b.server.requests}) == 3


@pytest.mark.parametrize("age", [0, 4, -7200])
def test_a_fresh_or_shared_answer_is_taken(bench: Make, age: float) -> None:
    b = bench(lambda _: Answer(body=page([1], last_refresh=ago(age))))
    b.client.query(SQL)
    assert len(b.server.requests) == 1


@pytest.mark.parametrize("refreshed", ["nonsense", None, 5])
def test_an_answer_that_does_not_tell_its_age_is_taken(bench: Make, refreshed: Any) -> None:
    b = bench(Answer(body=page([1], last_refresh=refreshed)))
    b.client.query(SQL)
    assert len(b.server.requests) == 1


def test_freshness_goes_by_the_servers_clock(bench: Make) -> None:
    slow_clock = datetime.now(timezone.utc) - timedelta(days=1)
    answer = Answer(body=page([1], last_refresh=slow_clock.isoformat()), headers={"Date": http_date(slow_clock)})
    b = bench(answer)
    assert b.client.query(SQL).rows == [[1]]
    b.clock.now += 5
    seen = b.client.server_time()
    assert seen is not None
    assert abs(seen - slow_clock - timedelta(seconds=5)) <= timedelta(seconds=1)


def test_server_time_is_unknown_before_an_answer(bench: Make) -> None:
    assert bench(OK).client.server_time() is None


# Long queries


def status(**fields: Any) -> dict[str, Any]:
    return {"query_status": {"id": "x", "complete": False, "error": False, "error_message": None, **fields}}


RUNNING = Answer(202, status())
DONE = Answer(body=status(complete=True, results=page([1]), bytes_read=77, budget_remaining_bytes=5))


def test_a_long_query_is_polled_with_growing_pauses(bench: Make) -> None:
    b = bench(in_turn(RUNNING, RUNNING, RUNNING, Answer(drop="reset"), RUNNING, DONE))
    answer = b.client.query(SQL, long=True)
    assert (answer.rows, answer.columns, answer.bytes_read, answer.budget_remaining) == ([[1]], ("n",), 77, 5)
    [posted] = b.server.asked("POST")
    assert posted.json["refresh"] == "force_async"
    polls = b.server.asked("GET")
    assert {poll.path for poll in polls} == {f"/api/projects/1/query/{answer.query_id}/"}
    assert len(polls) == 5
    assert b.clock.slept[:3] == [0.5, 0.75, 1.125]
    assert b.client.usage.retries == 1


def test_a_long_query_of_an_older_server_is_read_too(bench: Make) -> None:
    running = {"id": "x", "complete": False, "error": False, "results": None}
    done = {"id": "x", "complete": True, "error": False, "results": page([1])}
    assert bench(in_turn(Answer(body=running), Answer(body=done))).client.query(SQL, long=True).rows == [[1]]


@pytest.mark.parametrize(
    ("code", "fields", "expected"),
    [
        (400, {"error_message": SLOW}, errors.QueryTimedOut),
        (400, {"error_message": OLD_MEMORY}, errors.MemoryLimitHit),
        (400, {"error_message": "no", "error_code": "too_many_bytes"}, errors.TooManyBytes),
        (400, {"error_message": "Unable to resolve field: x"}, errors.QueryRefused),
        (200, {"error_message": "Unable to resolve field: x"}, errors.QueryRefused),
        (500, {}, errors.Unreachable),
    ],
    ids=["slow", "memory", "bytes", "refused", "refused in 200", "unknown"],
)
def test_a_long_query_that_fails_is_told_as_a_short_one(
    bench: Make, code: int, fields: dict[str, Any], expected: type[errors.PostHogError]
) -> None:
    failed = Answer(code, status(error=True, complete=True, **fields))
    b = bench(lambda request: RUNNING if request.method == "POST" else failed, attempts=2)
    with pytest.raises(expected) as caught:
        b.client.query(SQL, long=True)
    assert type(caught.value) is expected
    assert len(b.server.asked("GET")) == len(b.server.asked("POST")) == (2 if code == 500 else 1)


def test_a_long_query_that_posthog_lost_is_asked_again(bench: Make) -> None:
    lost = envelope(404, "not_found", "Query x not found for team 1", REQUEST)
    b = bench(in_turn(RUNNING, lost, RUNNING, DONE))
    assert b.client.query(SQL, long=True).rows == [[1]]
    assert len(b.server.asked("POST")) == 2


def test_a_long_query_without_end_is_stopped_and_to_be_narrowed(bench: Make) -> None:
    b = bench(RUNNING)
    with pytest.raises(errors.QueryTimedOut, match="1,200 s"):
        b.client.query(SQL, long=True)
    assert len(b.server.asked("DELETE")) == 1


def test_a_long_query_from_a_cache_is_refused(bench: Make) -> None:
    stale = Answer(body=status(complete=True, results=page([0], is_cached=True)))
    b = bench(in_turn(RUNNING, stale, RUNNING, DONE))
    assert b.client.query(SQL, long=True).rows == [[1]]


# Cancelling


@pytest.mark.parametrize("long", [False, True], ids=["blocking", "long"])
def test_cancel_all_stops_the_queries_at_posthog_and_ends_every_thread(*, long: bool) -> None:
    gate, started = threading.Event(), threading.Semaphore(0)

    def script(request: Request) -> Answer:
        if request.method == "DELETE":
            return Answer(body={"message": "Cancelled query on clickhouse"})
        started.release()
        return RUNNING if long else Answer(gate=gate)

    with serve(script) as server, PostHogClient(KEY, server.url, 1) as client, ThreadPoolExecutor(2) as pool:
        running = [pool.submit(client.query, SQL, long=long) for _ in range(2)]
        try:
            assert started.acquire(timeout=PROMPT)
            assert started.acquire(timeout=PROMPT)
            client.cancel_all()
            for query in running:
                with pytest.raises(errors.Cancelled):
                    query.result(PROMPT)
        finally:
            gate.set()
        asked = {request.json["client_query_id"] for request in server.asked("POST")}
        assert {request.path.split("/")[-2] for request in server.asked("DELETE")} == asked
        with pytest.raises(errors.Cancelled):
            client.get("cohorts")


def test_a_query_left_by_ctrl_c_is_stopped_by_cancel_all(bench: Make) -> None:
    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    b = bench(lambda request: RUNNING if request.method == "POST" else Answer(body={}))
    b.clock.sleep = interrupted  # type: ignore[method-assign] # Ctrl-C during a pause
    budget = Budget(clock=b.clock, sleep=interrupted)
    with PostHogClient(KEY, b.server.url, 1, budget=budget) as client:
        with pytest.raises(KeyboardInterrupt):
            client.query(SQL, long=True)
        client.cancel_all()
    assert len(b.server.asked("DELETE")) == 1


# Reading lists, projects, people


def test_lists_are_read_by_path_and_by_next(bench: Make) -> None:
    def script(request: Request) -> Answer:
        return Answer(body={"results": [request.target], "next": None})

    b = bench(script)
    assert b.client.get("cohorts", {"limit": 2})["results"] == ["/api/projects/1/cohorts/?limit=2"]
    assert b.client.get("/api/organizations/@current")["results"] == ["/api/organizations/@current/"]
    absolute = f"{b.server.url}/api/projects/1/cohorts/?limit=2&offset=2"
    assert b.client.get_url(absolute)["results"] == ["/api/projects/1/cohorts/?limit=2&offset=2"]
    assert b.client.get_url("/api/projects/1/cohorts/?cursor=a%3D")["results"] == [
        "/api/projects/1/cohorts/?cursor=a%3D"
    ]


def test_the_current_project_is_asked_once_and_kept(bench: Make) -> None:
    def script(request: Request) -> Answer:
        if request.method == "POST":
            return OK
        return Answer(
            body={"id": 42, "uuid": "u", "name": "Hedgebox", "timezone": "Europe/Berlin", "organization": "o"}
        )

    b = bench(script, project_id="@current")
    b.client.query(SQL)
    b.client.query(SQL)
    targets = [request.target for request in b.server.requests]
    assert targets == ["/api/projects/@current/", "/api/projects/42/query/", "/api/projects/42/query/"]
    assert b.client.project_id == "42"
    project = b.client.project()
    assert (project.id, project.name, project.timezone) == (42, "Hedgebox", "Europe/Berlin")
    assert (project.uuid, project.organization_id) == ("u", "o")


def test_a_key_that_may_not_read_the_project_goes_on_with_the_current_one(bench: Make) -> None:
    def script(request: Request) -> Answer:
        denied = envelope(403, "permission_denied", "API key missing required scope 'project:read'", AUTH)
        return OK if request.method == "POST" else denied

    b = bench(script, project_id="@current")
    b.client.query(SQL)
    b.client.query(SQL)
    assert [request.path for request in b.server.asked("POST")] == ["/api/projects/@current/query/"] * 2
    assert len(b.server.asked("GET")) == 1


def test_an_unknown_project_is_one_however_posthog_words_it(bench: Make) -> None:
    with pytest.raises(errors.ProjectNotFound):
        bench(envelope(404, "not_found", "Not found.", REQUEST)).client.project()


@pytest.mark.parametrize("project_id", ["", "Hedgebox", "1/../2", "phc_abc", "\u0661"])
def test_a_project_id_is_a_number(project_id: str) -> None:
    with pytest.raises(errors.ProjectNotFound, match="not a number"):
        PostHogClient(KEY, "us", project_id)


def test_whoami_says_whose_key_it_is(bench: Make) -> None:
    b = bench(Answer(body={"email": "a@b.c", "scopes": ["query:read"]}))
    me = b.client.whoami()
    assert (me.email, me.scopes) == ("a@b.c", ("query:read",))
    assert b.server.requests[0].target == "/api/users/@me/"


@pytest.mark.parametrize("found", [{"query_status": {"id": "q", "team_id": 7, "complete": False}}, {"team_id": 7}])
def test_the_status_of_a_query_tells_the_number_of_the_project(bench: Make, found: dict[str, Any]) -> None:
    b = bench(Answer(status=202, body=found), project_id="@current")
    assert (b.client.project_number(), b.client.project_number(), b.client.project_id) == (7, 7, "7")
    assert [request.target for request in b.server.requests] == ["/api/projects/@current/query/"]


@pytest.mark.parametrize("found", [{"results": [[1]]}, {"query_status": {"team_id": "7"}}, {"team_id": True}, []])
def test_a_query_that_tells_no_number_leaves_the_project_unknown(bench: Make, found: Any) -> None:
    b = bench(Answer(body=found), project_id="@current")
    assert (b.client.project_number(), b.client.project_id) == (None, "@current")


# Where the key goes


@pytest.mark.parametrize(
    "target",
    [
        "http://localhost:{port}/api/projects/1/cohorts/",
        "http://127.0.0.1:1/api/",
        "https://127.0.0.1:{port}/api/",
        "//evil.example/api/",
        "http://127.0.0.1:{port}@evil.example/",
        "http://me:pw@127.0.0.1:{port}/",
        "ftp://127.0.0.1:{port}/",
    ],
)
@pytest.mark.parametrize("how", ["next", "redirect"])
def test_no_other_host_is_asked(bench: Make, target: str, how: str) -> None:
    def script(request: Request) -> Answer:
        if how == "next" or request.target != "/api/projects/1/cohorts/":
            return Answer(body="asked")
        return Answer(302, b"", {"Location": target.format(port=b.server.url.rsplit(":")[-1])})

    b = bench(script)
    elsewhere = target.format(port=b.server.url.rsplit(":")[-1])
    with pytest.raises(errors.RedirectRefused, match="configured host only"):
        b.client.get_url(elsewhere) if how == "next" else b.client.get("cohorts")
    assert len(b.server.requests) == (0 if how == "next" else 1)


def test_what_is_no_address_is_not_followed(bench: Make) -> None:
    b = bench(Answer(302, b"", {"Location": "http://[::1/"}), attempts=1)
    with pytest.raises(errors.RedirectRefused):
        b.client.get_url("http://[::1/")
    with pytest.raises(errors.Unreachable, match="location header"):
        b.client.get("cohorts")
    assert len(b.server.requests) == 1


def test_redirects_within_the_host_are_followed(bench: Make) -> None:
    def script(request: Request) -> Answer:
        if "/environments/" in request.path:
            return Answer(307, b"", {"Location": request.target.replace("environments", "projects")})
        return OK if request.method == "POST" else Answer(body=[request.target])

    b = bench(script)
    assert b.client.get("/api/environments/1/cohorts/", {"limit": 1}) == ["/api/projects/1/cohorts/?limit=1"]


def test_a_redirect_that_would_lose_a_query_is_refused(bench: Make) -> None:
    with pytest.raises(errors.RedirectRefused, match="lose its body"):
        bench(Answer(301, b"", {"Location": "/api/projects/1/query"})).client.query(SQL)


def test_redirects_in_a_circle_end(bench: Make) -> None:
    b = bench(Answer(302, b"", {"Location": "/api/projects/1/cohorts/"}))
    with pytest.raises(errors.RedirectRefused, match="circle"):
        b.client.get("cohorts")
    assert len(b.server.requests) == 6


def test_cookies_of_the_server_are_not_kept(bench: Make) -> None:
    b = bench(Answer(body=[], headers={"Set-Cookie": "sessionid=1; Path=/"}))
    b.client.get("cohorts")
    b.client.get("cohorts")
    assert all("Cookie" not in request.headers for request in b.server.requests)


HEADER_ECHO = "echo in a header"
LEAKS = [
    *FAULTS,
    ("echo in a refusal", envelope(400, "x", f"bad header Bearer {KEY}", VALID), None),
    (HEADER_ECHO, Answer(body=b"x", headers={"Content-Type": f"text/{KEY}"}), None),
    (HEADER_ECHO, Answer(302, b"", {"Location": f"http://evil.example/?k={KEY}"}), None),
    ("echo as JSON", Answer(body=f'{{"results": {KEY}}}'.encode()), None),
    ("echo in an answer's error", Answer(body={**page(), "error": f"no {KEY}"}), None),
    ("echo of a long query", Answer(body=status(complete=True, error=True, error_message=f"no {KEY}")), None),
    ("throttle", throttled(f"no {KEY}", Retry_After="9999"), None),
]


@pytest.mark.parametrize(("name", "answer"), [leak[:2] for leak in LEAKS], ids=[leak[0] for leak in LEAKS])
def test_the_key_is_in_nothing_that_comes_out(
    bench: Make, name: str, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    # At DEBUG httpcore logs the server's headers, as they came: what a server does with the key there is its doing.
    caplog.set_level(logging.INFO if name == HEADER_ECHO else logging.DEBUG)
    b = bench(answer, attempts=2)
    shown = io.StringIO()
    with pytest.raises(errors.PostHogError) as caught:
        b.client.query(SQL)

    error: BaseException | None = caught.value
    while error is not None:
        shown.write("".join(traceback.format_exception(error)))
        shown.write(repr(vars(error)))
        shown.write(repr(error.args))
        assert not isinstance(error, httpx.HTTPError), "httpx's errors know the request, and so the key"
        error = error.__cause__ or error.__context__
    shown.write(caplog.text)
    shown.write(repr((b.client, b.client.usage, b.waits, vars(b.client), vars(b.budget))))
    assert KEY not in shown.getvalue()
    assert KEY.removeprefix("phx_") not in shown.getvalue()


def test_the_key_is_not_in_a_traceback_with_local_variables(bench: Make) -> None:
    b = bench(Answer(drop="reset"), attempts=2)
    with pytest.raises(errors.Unreachable) as caught:
        b.client.query(SQL)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert KEY not in "".join(line for line in told.format() if "KEY" not in line)
