"""Queries in the background: 202, polling, results, errors, cancelling, expiry (posthog-api section 6.4)."""

from __future__ import annotations

import time

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.conftest import Query

STATUS_FIELDS = {
    "bytes_read",
    "budget_remaining_bytes",
    "cache_key",
    "complete",
    "dashboard_id",
    "end_time",
    "error",
    "error_code",
    "error_message",
    "expiration_time",
    "id",
    "insight_id",
    "labels",
    "pickup_time",
    "query_async",
    "query_progress",
    "query_scan",
    "results",
    "start_time",
    "task_id",
    "team_id",
}

LONG = "select sum(length(a.event) * length(c.event)) from events a cross join events b cross join events c"


def poll(http: httpx.Client, query_id: str) -> httpx.Response:
    """The first answer other than 202."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        response = http.get(f"/api/projects/1/query/{query_id}/")
        if response.status_code != 202:
            return response
    raise AssertionError(f"{query_id} did not end")


@pytest.mark.parametrize("refresh", ["async", "lazy_async", "force_async"])
def test_a_background_query_is_taken_polled_and_answered(http: httpx.Client, query: Query, refresh: str) -> None:
    text = f"select event, '{refresh}' from events limit 7"
    taken = query(text, refresh=refresh)
    status = taken.json()["query_status"]
    assert taken.status_code == 202
    assert set(status) == STATUS_FIELDS
    assert (status["complete"], status["results"], status["query_async"]) == (False, None, True)

    done = poll(http, status["id"])
    status = done.json()["query_status"]
    assert done.status_code == 200
    assert set(status) == STATUS_FIELDS
    assert status["complete"] is True
    # The results are the whole response object, which has results of its own.
    assert len(status["results"]["results"]) == 7
    assert status["results"]["columns"][0] == "event"
    assert int(done.headers["X-PostHog-Query-Bytes-Read"]) == status["bytes_read"] > 0


def test_the_old_field_async_means_the_same(http: httpx.Client, query: Query) -> None:
    assert query("select 'old async'", **{"async": True}).status_code == 202


def test_progress_is_shown_on_request(box: Sandbox, http: httpx.Client, query: Query) -> None:
    box.set_behaviour(async_delay_seconds=0.5)
    query_id = query("select 'progress'", refresh="force_async").json()["query_status"]["id"]
    running = http.get(f"/api/projects/1/query/{query_id}/", params={"show_progress": "true"})
    assert running.status_code == 202
    assert set(running.json()["query_status"]["query_progress"]) == {
        "active_cpu_time",
        "bytes_read",
        "estimated_rows_total",
        "rows_read",
        "time_elapsed",
    }


def test_a_failed_query_says_why_with_400(box: Sandbox, http: httpx.Client, query: Query) -> None:
    query_id = query("select nothing from events", refresh="force_async").json()["query_status"]["id"]
    failed = poll(http, query_id)
    status = failed.json()["query_status"]
    assert failed.status_code == 400
    assert (status["error"], status["complete"], status["results"]) == (True, True, None)
    assert "nothing" in status["error_message"]


def test_a_background_query_has_more_time_than_a_blocking_one(box: Sandbox, http: httpx.Client, query: Query) -> None:
    box.set_behaviour(query_seconds=0.05, async_query_seconds=0.2)
    query_id = query(LONG, refresh="force_async").json()["query_status"]["id"]
    status = poll(http, query_id).json()["query_status"]
    assert "max execution time" in status["error_message"]
    assert query(LONG, refresh="force_blocking").status_code == 504


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_query(http: httpx.Client, method: str) -> None:
    response = http.request(method, "/api/projects/1/query/nobody/")
    if method == "GET":
        assert response.status_code == 404
        assert response.json()["detail"] == "Query nobody not found for team 1"
    else:
        assert response.status_code == 200


def test_a_status_expires_by_the_clock_of_the_server(box: Sandbox, http: httpx.Client, query: Query) -> None:
    query_id = query("select 'expiring'", refresh="force_async").json()["query_status"]["id"]
    assert poll(http, query_id).status_code == 200
    box.set_behaviour(query_status_ttl_seconds=1200)
    box.advance_clock(1201)
    assert http.get(f"/api/projects/1/query/{query_id}/").status_code == 404


def test_cancelling(box: Sandbox, http: httpx.Client, query: Query) -> None:
    box.set_behaviour(async_delay_seconds=30, concurrency_limit=1)
    running = query("select 'running'", refresh="force_async").json()["query_status"]["id"]
    deadline = time.monotonic() + 20
    while http.get(f"/api/projects/1/query/{running}/").json()["query_status"]["pickup_time"] is None:
        assert time.monotonic() < deadline
    queued = query("select 'queued'", refresh="force_async").json()["query_status"]["id"]

    assert http.delete(f"/api/projects/1/query/{queued}/").json() == {"message": "Query task revoked"}
    response = http.delete(f"/api/projects/1/query/{running}/")
    assert (response.status_code, response.json()) == (200, {"message": "Cancelled query on clickhouse"})
    assert http.get(f"/api/projects/1/query/{running}/").status_code == 404

    # Their slots are free again.
    box.set_behaviour(async_delay_seconds=0, concurrency_wait_seconds=5)
    done = query("select 'after'", refresh="force_async").json()["query_status"]["id"]
    poll(http, done)
    assert http.delete(f"/api/projects/1/query/{done}/").json() == {"message": "Query already complete"}


def test_a_client_may_name_its_query_and_gets_the_stored_result_for_that_name(http: httpx.Client, query: Query) -> None:
    query("select 'named'", refresh="async", client_query_id="mine")
    assert poll(http, "mine").status_code == 200
    again = query("select 'another text'", refresh="async", client_query_id="mine")
    assert again.json()["query_status"]["results"]["results"] == [["named"]]
    forced = query("select 'another text'", refresh="force_async", client_query_id="mine")
    assert forced.status_code == 202
    assert poll(http, "mine").json()["query_status"]["results"]["results"] == [["another text"]]
