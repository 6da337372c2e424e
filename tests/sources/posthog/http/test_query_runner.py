"""Queries of other kinds than HogQL: the same care for caches, the background and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from posthog_warehouse.sources.posthog import errors
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget
from tests.sources.posthog.httpserver import Answer, FakeClock, HttpServer, Script, envelope, in_turn

NODE = {"kind": "TrendsQuery", "series": []}
RESULTS = {"results": [{"data": [1, 2]}], "timezone": "UTC", "is_cached": False}


@pytest.fixture
def ask() -> Iterator[Any]:
    with ExitStack() as stack:

        def start(script: Script | Answer, **options: Any) -> tuple[PostHogClient, HttpServer]:
            clock = FakeClock()
            server = HttpServer(script if callable(script) else in_turn(script))
            stack.callback(server.close)
            budget = Budget(clock=clock, sleep=clock.sleep)
            client = PostHogClient("phx_verysecretverysecret", server.url, 1, budget=budget, **options)
            return stack.enter_context(client), server

        yield start


def test_the_whole_answer_comes_back(ask: Any) -> None:
    client, server = ask(Answer(body=RESULTS, headers={"X-PostHog-Query-Bytes-Read": "77"}))
    assert client.query_node(NODE) == RESULTS
    [request] = server.requests
    assert request.json["query"] == NODE
    assert request.json["refresh"] == "force_blocking"
    assert (client.usage.queries, client.usage.bytes_read) == (1, 77)


def test_a_cached_answer_is_asked_again_and_never_taken(ask: Any) -> None:
    cached = Answer(body={**RESULTS, "is_cached": True})
    client, server = ask(in_turn(cached, Answer(body=RESULTS)))
    assert client.query_node(NODE) == RESULTS
    assert len(server.requests) == 2
    client, _ = ask(cached)
    with pytest.raises(errors.AnswerFromCache):
        client.query_node(NODE)


def test_in_the_background(ask: Any) -> None:
    running = Answer(202, {"query_status": {"id": "x", "complete": False, "error": False}})
    done = Answer(body={"query_status": {"id": "x", "complete": True, "error": False, "results": RESULTS}})
    client, server = ask(in_turn(running, running, done))
    answer = client.query_node(NODE, long=True)
    assert answer["results"] == RESULTS["results"]
    [posted] = server.asked("POST")
    assert posted.json["refresh"] == "force_async"
    assert len(server.asked("GET")) == 2


def test_refusals_have_their_class(ask: Any) -> None:
    client, _ = ask(envelope(400, "invalid_input", "Invalid date: soon", "validation_error"))
    with pytest.raises(errors.QueryRefused, match="soon"):
        client.query_node(NODE)
    client, _ = ask(Answer(body=["no", "object"]), attempts=1)
    with pytest.raises(errors.Unreachable):
        client.query_node(NODE)
