"""A field of a query's body that the server at hand refuses costs that field, once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.errors import QueryRefused, RequestRefused
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.http.query_runner import FALLBACKS, QueryBody
from tests.sandboxes import started
from tests.sources.posthog.httpserver import Answer, HttpServer, Request, envelope, page
from tests.sources.posthog.reading import connected

#: As PostHog's server code of 4 August 2025 said it.
RECORDED = (
    "JSON parse error - 1 validation error for QueryRequest\nname\n  Extra inputs are not permitted "
    "[type=extra_forbidden, input_value='my query', input_type=str]\n    For further information visit "
    "https://errors.pydantic.dev/2.10/v/extra_forbidden"
)


@pytest.fixture(scope="module")
def small() -> Iterator[Sandbox]:
    with started(events=20, persons=5, seed=1, days=2) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("behaviour", "expected"),
    [
        ({"refused_query_fields": ["name"]}, {"name"}),
        ({"refused_query_fields": ["name", "client_query_id"]}, {"name", "client_query_id"}),
        ({"refresh_words": False}, {"refresh"}),
        ({"refresh_words": False, "refused_query_fields": ["name"]}, {"name", "refresh"}),
        ({"refresh_flags": False}, set()),
    ],
)
@pytest.mark.parametrize("is_long", [False, True])
def test_each_field_is_refused_once(
    small: Sandbox, behaviour: dict[str, object], expected: set[str], *, is_long: bool
) -> None:
    before = small.behaviour()
    small.set_behaviour(**behaviour)
    try:
        with connected(small) as client:
            small.reset_counters()
            answers = [client.query("select 1 limit 1", name="n", long=is_long).rows for _ in range(3)]
            refused = [entry for entry in small.requests() if entry["status"] >= 400]
            assert client.refused_fields == expected
            assert len(refused) == len(expected)
        assert answers == [[[1]]] * 3
        with connected(small) as client:
            client.refuse_fields([*expected, "not ours"])
            small.reset_counters()
            assert client.query("select 1 limit 1", name="n", long=is_long).rows == [[1]]
            assert [entry for entry in small.requests() if entry["status"] >= 400] == []
    finally:
        small.set_behaviour(**{name: before[name] for name in behaviour})


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (RECORDED, {"name"}),
        ("1 validation error for QueryRequest\nquery.HogQLQuery.name\n  Extra inputs are not permitted", set()),
        (
            "2 validation errors for QueryRequest\nname\n  Extra inputs are not permitted [type=x]\nclient_query_id\n  "
            "Extra inputs are not permitted [type=x]",
            {"name", "client_query_id"},
        ),
        ("1 validation error for QueryRequest\nrefresh\n  Input should be a valid boolean", {"refresh"}),
        ("1 validation error for QueryRequest\nnickname\n  Extra inputs are not permitted", set()),
        ("Unable to resolve field: name", set()),
    ],
)
def test_what_a_refusal_names(said: str, named: set[str]) -> None:
    body = QueryBody()
    error = RequestRefused("PostHog says: " + " ".join(said.split()))
    assert body.learn(error, frozenset()) is bool(named)
    assert body.refused == named
    assert not body.learn(error, body.refused), "what was not sent is not what is wrong"


def test_other_refusals_are_told_at_once(small: Sandbox) -> None:
    with connected(small) as client:
        small.reset_counters()
        with pytest.raises(QueryRefused):
            client.query("select name from nothing limit 1", name="n")
        assert len(small.requests()) == 1


def test_threads_that_are_refused_together_all_get_their_answers() -> None:
    waiting = threading.Barrier(3)

    def answer(request: Request) -> Answer:
        if "name" in request.json:
            waiting.wait(10)
            return envelope(400, "parse_error", RECORDED, "invalid_request")
        return Answer(body=page([1]))

    server = HttpServer(answer)
    try:
        with PostHogClient("phx_verysecretverysecret", server.url, 1) as client, ThreadPoolExecutor(3) as threads:
            rows = list(threads.map(lambda n: client.query(f"select {n}", name="n").rows, range(3)))
        assert rows == [[[1]]] * 3
        assert len(server.requests) == 6
    finally:
        server.close()


def test_what_is_declared_can_be_left_out() -> None:
    body = {"query": {}, "name": "n", "client_query_id": "x", "refresh": "force_async"}
    assert FALLBACKS["refresh"](body) == {**body, "refresh": True, "async": True}
    assert FALLBACKS["name"](body).keys() == body.keys() - {"name"}
