"""The control API: data that changes, the clock, the behaviour, the log and its sums."""

from __future__ import annotations

from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.behaviour import PROFILES
from posthog_warehouse.sandbox.local import Sandbox, SandboxError
from tests.conftest import StartSandbox
from tests.sandbox.api.conftest import Query


def test_data_changes_while_it_runs(start_sandbox: StartSandbox) -> None:
    box = start_sandbox(events=2_000, persons=100, days=10)
    start = box.counts()

    late = box.add_events(50, days_back=9, seed=1)
    assert len(set(late)) == 50
    ages = box.sql(
        "SELECT min(age), max(age), count() FROM "
        "(SELECT uuid, dateDiff('second', timestamp, created_at) AS age FROM events) "
        f"WHERE toString(uuid) IN ({', '.join(repr(uuid) for uuid in late)})"
    )[0]
    assert 0 <= ages[0] <= ages[1] <= 9 * 86_400
    assert ages[2] == 50

    ties = box.add_events(30, timestamp="2026-01-01T00:00:00Z", distinct_id="one person", event="tie")
    assert box.sql("SELECT count(), uniqExact(timestamp), uniqExact(distinct_id) FROM events WHERE event = 'tie'") == [
        [30, 1, 1]
    ]
    assert len(box.delete_events(uuids=ties[:5])) == 5
    assert len(box.delete_events(10)) == 10
    counts = box.counts()
    assert counts["events"] == start["events"] + 50 + 30 - 15

    assert len(box.merge_persons(4)) == 8
    assert len(box.delete_persons(3)) == 3
    assert len(box.update_persons(6)) == 6
    # One person came with the ties.
    assert box.counts()["persons"] == start["persons"] + 1 - 4 - 3
    assert len(box.grow_recordings(2)) == 2


def test_the_clock_moves_on_and_never_back(start_sandbox: StartSandbox) -> None:
    box = start_sandbox(events=100, persons=10, days=2, now="2030-05-05T05:00:00Z")
    assert box.now().startswith("2030-05-05T05:0")
    assert box.advance_clock(86_400).startswith("2030-05-06T05:0")
    with pytest.raises(SandboxError):
        box.advance_clock(-1)


def test_answers_carry_the_time_of_the_clock(box: Sandbox, http: httpx.Client) -> None:
    said = parsedate_to_datetime(http.get("/api/projects/1/").headers["date"])
    assert abs(said - datetime.fromisoformat(box.now().replace("Z", "+00:00"))).total_seconds() < 60


def test_equal_starts_hold_equal_data(start_sandbox: StartSandbox) -> None:
    boxes = [start_sandbox(events=500, persons=20, days=3, now="2026-11-20T12:00:30Z") for _ in range(2)]
    sums = [box.sql("SELECT groupBitXor(cityHash64(uuid, timestamp, properties)) FROM events") for box in boxes]
    assert sums[0] == sums[1]


def test_the_log_tells_what_each_request_cost(box: Sandbox, http: httpx.Client, query: Query) -> None:
    query("select properties from events limit 20", refresh="force_blocking")
    http.get("/api/projects/1/persons/?limit=1")
    http.get("/api/projects/1/nothing/")

    entries = box.requests()
    assert [(entry["n"], entry["method"], entry["path"], entry["status"]) for entry in entries] == [
        (1, "POST", "/api/projects/1/query/", 200),
        (2, "GET", "/api/projects/1/persons/", 200),
        (3, "GET", "/api/projects/1/nothing/", 404),
    ]
    assert (entries[0]["kind"], entries[0]["rows"]) == ("HogQLQuery", 20)
    assert entries[0]["query"] == "select properties from events limit 20"
    assert min(entries[0]["bytes_read"], entries[0]["rows_read"], entries[0]["ms"]) > 0
    assert box.api_key not in str(entries)

    counters = box.counters()
    assert (counters["requests"], counters["queries"], counters["rows"]) == (3, 1, 20)
    assert counters["by_path"]["/api/projects/1/query/"] == 1
    assert counters["bytes_read"] == entries[0]["bytes_read"]

    box.reset_counters()
    assert (box.requests(), box.counters()["requests"]) == ([], 0)


def test_polls_of_many_queries_are_counted_under_one_path(box: Sandbox, http: httpx.Client) -> None:
    for query_id in ("a", "b", "c"):
        http.get(f"/api/projects/1/query/{query_id}/")
    assert box.counters()["by_path"] == {"/api/projects/1/query/:id/": 3}


def test_the_behaviour_can_be_read_and_switched(box: Sandbox) -> None:
    assert box.behaviour() == PROFILES["cloud"].as_json()
    changed = box.set_behaviour(max_rows=10, missing_functions=["cityHash64"])
    assert (changed["max_rows"], changed["missing_functions"]) == (10, ["cityHash64"])


@pytest.mark.parametrize(
    "fields", [{"no_such_switch": True}, {"max_rows": "many"}, {"refuse_offset": 1}, {"environments_prefix": "?"}]
)
def test_a_switch_that_makes_no_sense_is_refused(box: Sandbox, fields: dict[str, Any]) -> None:
    with pytest.raises(SandboxError):
        box.set_behaviour(**fields)


def test_mistakes_are_answered_with_what_is_wrong(box: Sandbox) -> None:
    for call in (
        lambda: box.sql("SELECT nonsense"),
        lambda: box.add_events(-1),
        lambda: box.add_events(1, timestamp="noon"),
        lambda: box.create_key(kind="gold"),
    ):
        with pytest.raises(SandboxError):
            call()
