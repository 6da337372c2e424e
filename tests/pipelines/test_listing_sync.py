"""Where queries are closed, PostHog's lists bring the same tables; and either engine goes on where the other was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE
from tests.conftest import StartSandbox
from tests.faults.syncing import LONG
from tests.pipelines.conftest import InProcess, assert_one_screen
from tests.pipelines.test_check import BeforeTheCheck
from tests.pipelines.test_sync import SMALL, Warehouse, assert_equal
from tests.sandboxes import started

WITHOUT_QUERIES = {"missing_endpoints": ["query"]}


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    return Warehouse(tmp_path / "warehouse.duckdb")


@pytest.fixture(scope="module")
def still() -> Iterator[Sandbox]:
    """Data that no test changes."""
    with started(**SMALL) as sandbox:
        yield sandbox


def rows_by_key(warehouse: Warehouse, table: str, columns: str) -> dict[str, Any]:
    key = CORE[table].key
    return {str(row[0]): row[1:] for row in warehouse.rows(f"SELECT {key}, {columns} FROM {table}")}


COLUMNS = {
    "events": "event, timestamp, distinct_id, session_id, window_id, elements_chain",
    "persons": "created_at, is_identified, is_deleted",
    "person_distinct_ids": "person_id, is_deleted",
}
"""Columns that the lists have too, but for properties."""


@pytest.mark.parametrize("profile", ["cloud", "selfhosted-2023"] if LONG else ["selfhosted-2023"])
def test_the_lists_load_what_queries_load(
    warehouse: Warehouse, tmp_path: Path, start_sandbox: StartSandbox, profile: str
) -> None:
    posthog = start_sandbox(**SMALL, profile=profile)
    # More events of one moment than an answer has; each offset would take a second on PostHog Cloud.
    cap = posthog.behaviour()["events_page_cap"]
    posthog.set_behaviour(events_page_cap=min(cap, 300), events_offset_delay_seconds=0.0)
    posthog.add_events(400, timestamp="2026-11-13T12:00:00.123456Z", seed=3)
    posthog.delete_persons(3)
    posthog.advance_clock(1_200)
    by_queries = Warehouse(tmp_path / "queries.duckdb")
    assert by_queries.sync(posthog, engine="hogql").status == "complete"

    result = warehouse.sync(posthog, engine="listing")
    assert [(check.table, check.status, check.reason) for check in result.checks] == [
        (name, "complete", "") for name in CORE
    ]
    assert_equal(warehouse, posthog)
    for table, columns in COLUMNS.items():
        ours, theirs = (rows_by_key(each, table, columns) for each in (warehouse, by_queries))
        assert ours == theirs, table
    for table in ("events", "persons"):
        ours, theirs = (rows_by_key(each, table, "properties") for each in (warehouse, by_queries))
        assert {key: orjson.loads(row[0]) for key, row in ours.items()} == {
            key: orjson.loads(row[0]) for key, row in theirs.items()
        }
    assert warehouse.rows("SELECT count(created_at) FROM events") == [(0,)]
    # The lists show no person that is gone.
    live = {row[0] for row in by_queries.rows("SELECT person_id FROM persons_current")}
    ours, theirs = (rows_by_key(each, "events", "person_id") for each in (warehouse, by_queries))
    assert ours == {key: row if row[0] in live else (None,) for key, row in theirs.items()}
    types = "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE schema_name = 'posthog' ORDER BY ALL"
    core = [row for row in by_queries.rows(types) if row[0] in CORE]
    assert [row for row in warehouse.rows(types) if row[0] in CORE] == core


def test_late_events_merges_and_deletes_are_there_after_the_next_sync(
    warehouse: Warehouse, start_sandbox: StartSandbox
) -> None:
    posthog = start_sandbox(**SMALL)
    warehouse.sync(posthog, engine="listing")
    posthog.advance_clock(24 * 3600)
    late = posthog.add_events(150, days_back=20, seed=1)
    merged = posthog.merge_persons(8)
    deleted = posthog.delete_persons(5)
    posthog.advance_clock(1_200)

    result = warehouse.sync(posthog, engine="listing")

    assert result.status == "complete", [str(check.reason) for check in result.checks]
    assert set(late) <= warehouse.keys("events")
    assert_equal(warehouse, posthog)
    tombstones = warehouse.rows("SELECT person_id, created_at, is_identified, properties FROM persons WHERE is_deleted")
    assert {str(row[0]) for row in tombstones} == {*merged[: len(merged) // 2], *deleted}
    assert all(row[1:] == (None, None, None) for row in tombstones)
    assert result.rows["events"] == 150, "events that the warehouse holds are left alone"


def test_either_engine_goes_on_where_the_other_was(warehouse: Warehouse, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(**SMALL)
    created = "SELECT uuid, created_at FROM events"
    warehouse.sync(posthog, engine="hogql")
    before = dict(warehouse.rows(created))

    posthog.advance_clock(3 * 3600)
    fresh = posthog.add_events(60, days_back=1, seed=2)
    posthog.update_persons(4)
    posthog.delete_persons(2)
    posthog.advance_clock(1_200)
    posthog.reset_counters()
    by_listing = warehouse.sync(posthog, engine="listing")
    assert by_listing.status == "complete"
    assert by_listing.rows["events"] == 60
    assert posthog.counters()["queries"] == 0
    assert_equal(warehouse, posthog)
    now = dict(warehouse.rows(created))
    assert {uuid: now[uuid] for uuid in before} == before, "a created_at was lost"
    assert {str(uuid) for uuid, moment in now.items() if moment is None} == set(fresh)

    posthog.merge_persons(3)
    posthog.add_events(40, days_back=1, seed=4)
    posthog.advance_clock(1_200)
    back = warehouse.sync(posthog, engine="hogql")
    assert back.status == "complete"
    assert_equal(warehouse, posthog)
    assert warehouse.rows("SELECT count(*) FROM events WHERE created_at IS NULL") == [(0,)]
    assert warehouse.rows("SELECT count(*) FROM persons WHERE version IS NULL AND NOT is_deleted") == [(0,)]

    again = warehouse.sync(posthog, engine="listing")
    assert again.status == "complete"
    assert_equal(warehouse, posthog)


def test_a_listing_that_was_stopped_goes_on(warehouse: Warehouse, tmp_path: Path, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(**SMALL, behaviour={"events_page_cap": 200})
    # How many requests a whole reading takes depends on the hour at which the data ends.
    assert Warehouse(tmp_path / "whole.duckdb").sync(posthog, engine="listing", leaf_rows=200).status == "complete"
    asked = sum(entry["path"].endswith("/events/") for entry in posthog.requests())
    late = list(range(asked * 17 // 20, 400))
    posthog.add_fault("status", path="/events/", at=late, status=429, headers={"Retry-After": "7200"})
    stopped = warehouse.sync(posthog, engine="listing", leaf_rows=200, package_rows=200)
    assert stopped.status == "stopped"
    assert 0 < stopped.totals["events"] < posthog.counts()["events"]
    posthog.clear_faults()
    posthog.reset_counters()
    result = warehouse.sync(posthog, engine="listing", leaf_rows=200)
    assert result.status == "complete"
    assert_equal(warehouse, posthog)
    assert result.rows["events"] + stopped.totals["events"] == posthog.counts()["events"]


def test_rows_lost_here_are_missing_by_the_check(warehouse: Warehouse, still: Sandbox) -> None:
    def lose() -> None:
        assert warehouse.destination is not None
        warehouse.destination.connection.execute(
            "DELETE FROM posthog.events WHERE uuid IN (SELECT uuid FROM posthog.events ORDER BY timestamp LIMIT 7)"
        )

    result = warehouse.sync(still, engine="listing", listener=BeforeTheCheck(lose))
    found = {check.table: (check.status, check.missing) for check in result.checks}
    assert found["events"] == ("short", 7)


def test_a_server_without_queries_is_read_by_its_lists(warehouse: Warehouse, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(**SMALL, behaviour=WITHOUT_QUERIES)
    result = warehouse.sync(posthog)
    assert result.status == "complete"
    assert_equal(warehouse, posthog)
    assert set(result.notes) == set(CORE)
    assert all("queries are closed" in notes[0] for notes in result.notes.values())


def test_a_key_without_queries_reads_persons_and_not_events(quick: InProcess, posthog: Sandbox) -> None:
    key = posthog.create_key(["project:read", "person:read"])
    outcome = quick.pointed_at(posthog, key)("sync", *CORE)
    assert outcome.code == 3
    error = outcome.err[outcome.err.index("Error:") :]
    assert_one_screen(error, "query:read", "Not loaded: events; the other tables are", "read by PostHog's lists")
    for table in ("persons", "person_distinct_ids"):
        assert f"{posthog.counts()[table]:,}" in outcome.out


def test_an_engine_that_there_is_not_is_told(quick: InProcess) -> None:
    quick.settings('[sources.posthog]\nengine = "rest"').environment["POSTHOG_PERSONAL_API_KEY"] = "phx_0123456789abcd"
    outcome = quick("sync")
    assert outcome.code == 2
    assert_one_screen(outcome.err, "rest", "auto", "hogql", "listing")


def test_a_key_that_may_do_nothing_is_told_of_the_one_scope_that_these_tables_need(
    quick: InProcess, posthog: Sandbox
) -> None:
    outcome = quick.pointed_at(posthog, posthog.create_key(["project:read"]))("sync", *CORE)
    assert outcome.code == 3
    assert_one_screen(outcome.err[outcome.err.index("Error:") :], "'query:read'", *CORE, "Personal API keys")
    assert quick.databases == []


def test_a_server_that_is_only_down_is_not_read_by_its_lists(quick: InProcess, posthog: Sandbox) -> None:
    posthog.add_fault(
        "status", status=503, path="/query/", always=True, headers={"Retry-After": "0.05"}, body="<h1>Down</h1>"
    )
    outcome = quick.pointed_at(posthog)("sync", *CORE)
    assert outcome.code == 7
    assert not any(request["path"].endswith(("/events/", "/persons/")) for request in posthog.requests())
