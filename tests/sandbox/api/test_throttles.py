"""Limits: requests, queries at once, bytes, and replayed failures (posthog-api sections 1.2 and 2)."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.conftest import Query

PATHS = {
    "crud": "/api/projects/1/",
    "clickhouse": "/api/projects/1/events/?limit=1",
    "persons": "/api/projects/1/persons/?limit=1",
    "query": "/api/projects/1/query/nobody/",
}

LIMITS = {"crud": "crud", "clickhouse": "clickhouse", "persons": "clickhouse", "query": "query"}


@pytest.mark.parametrize(("name", "path"), PATHS.items())
def test_the_request_over_the_limit_says_how_long_to_wait(
    box: Sandbox, http: httpx.Client, name: str, path: str
) -> None:
    box.set_behaviour(rate_limit_enabled=True, **{f"{LIMITS[name]}_per_minute": 3, f"{LIMITS[name]}_per_hour": None})
    first = [http.get(path).status_code for _ in range(3)]
    refused = http.get(path)

    assert 429 not in first
    assert refused.status_code == 429
    body = refused.json()
    assert (body["type"], body["code"]) == ("throttled_error", "throttled")
    seconds = int(refused.headers["Retry-After"])
    assert 55 <= seconds <= 60
    assert body["detail"] == f"Request was throttled. Expected available in {seconds} seconds."


def test_the_window_slides_and_can_be_shortened(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(rate_limit_enabled=True, clickhouse_per_minute=2, throttle_minute_seconds=0.5)
    deadline = time.monotonic() + 10
    served = 0
    while served < 5:
        assert time.monotonic() < deadline
        served += http.get(PATHS["persons"]).status_code == 200
    assert http.get(PATHS["crud"]).status_code == 200


def test_the_servers_clock_lets_a_limit_pass(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(rate_limit_enabled=True, clickhouse_per_hour=1)
    statuses = [http.get(PATHS["clickhouse"]).status_code for _ in range(2)]
    # Persons are counted by the minute only, and together with events.
    assert http.get(PATHS["persons"]).status_code == 200
    box.advance_clock(3600)
    assert [*statuses, http.get(PATHS["clickhouse"]).status_code] == [200, 429, 200]
    box.set_behaviour(clickhouse_per_minute=1)
    assert http.get(PATHS["persons"]).status_code == 429


def test_each_key_has_its_own_count(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(rate_limit_enabled=True, clickhouse_per_minute=1)
    other = {"Authorization": f"Bearer {box.create_key()}"}
    assert [http.get(PATHS["persons"]).status_code for _ in range(2)] == [200, 429]
    assert http.get(PATHS["persons"], headers=other).status_code == 200


def test_a_429_may_come_without_retry_after(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(rate_limit_enabled=True, clickhouse_per_minute=0, retry_after_header=False)
    refused = http.get(PATHS["persons"])
    assert "Retry-After" not in refused.headers
    assert re.search(r"available in \d+ seconds", refused.json()["detail"])


def test_a_query_too_many_waits_and_is_then_refused_without_retry_after(
    box: Sandbox, http: httpx.Client, query: Query
) -> None:
    box.set_behaviour(concurrency_limit=1, concurrency_wait_seconds=0.1, async_delay_seconds=30)
    running = query("select 'busy'", refresh="force_async").json()["query_status"]["id"]
    started = time.monotonic()
    refused = query("select 'one too many'", refresh="force_blocking")
    assert time.monotonic() - started >= 0.1
    assert refused.status_code == 429
    assert "Retry-After" not in refused.headers
    assert "maximum concurrency limit: 1" in refused.json()["detail"]
    # Lists are not queries.
    assert http.get(PATHS["persons"]).status_code == 200
    http.delete(f"/api/projects/1/query/{running}/")


def test_a_query_that_waits_gets_the_slot_when_it_is_free(box: Sandbox, query: Query) -> None:
    box.set_behaviour(concurrency_limit=2, concurrency_wait_seconds=20)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: query(f"select {n}", refresh="force_blocking"), range(8)))
    assert [answer.json()["results"] for answer in answers] == [[[n]] for n in range(8)]


def test_the_query_that_spends_the_budget_completes_and_the_next_is_refused(box: Sandbox, query: Query) -> None:
    box.set_behaviour(
        query_budget_enforced=True,
        query_budget_capacity_bytes=1000,
        query_budget_bytes_per_hour=1000,
        throttle_hour_seconds=3600,
    )
    spent = query("select max(properties) from events", refresh="force_blocking")
    assert spent.status_code == 200
    # It may be overdrawn by one hour's refill at most.
    assert int(spent.headers["X-PostHog-Query-Budget-Remaining-Bytes"]) >= -1000
    refused = query("select 1", refresh="force_blocking")
    assert refused.status_code == 429
    assert refused.json()["type"] == "throttled_error"
    assert 3500 <= int(refused.headers["Retry-After"]) <= 3600
    box.advance_clock(3700)
    assert query("select 1", refresh="force_blocking").status_code == 200


@pytest.mark.parametrize(
    ("limit", "failures"),
    [({"max_bytes_to_read": 10}, 1), ({"max_memory_usage": 1_000_000}, 3)],
    ids=["too many bytes: after the first", "memory: after the third"],
)
def test_the_breaker_replays_a_failure_without_running_the_query(
    box: Sandbox, query: Query, limit: dict[str, Any], failures: int
) -> None:
    text = f"select groupArray(properties), {failures} from events"
    box.set_behaviour(failure_breaker=True, failure_breaker_seconds=120, **limit)
    failed = [query(text, refresh="force_blocking").json() for _ in range(failures)]

    # From here on the query would succeed, but it is not run, forced or not.
    box.set_behaviour(**dict.fromkeys(limit))
    assert query(text, refresh="force_blocking").json() == failed[0]
    # Another text is another query.
    assert query(f"{text} where 1", refresh="force_blocking").status_code == 200
    box.advance_clock(121)
    assert query(text, refresh="force_blocking").status_code == 200
