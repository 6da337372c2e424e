"""A sync leaves the warehouse equal to PostHog, whatever changed there and wherever the last one was stopped."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest

from posthog_warehouse.destinations.destination import Destination
from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.pipelines.sync import Listener, SyncOptions, SyncResult, sync
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE, PostHogClient, Settings
from posthog_warehouse.sources.posthog.clock import DAY, to_micros
from posthog_warehouse.sources.posthog.errors import ScopeMissing, Unreachable
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget
from posthog_warehouse.sources.posthog.readers.extraction import OtherProject
from posthog_warehouse.sources.posthog.settings import EngineChoice
from tests.conftest import StartSandbox
from tests.faults.syncing import LONG
from tests.sandboxes import started

SMALL: dict[str, Any] = {"events": 1_500, "persons": 120, "seed": 5, "days": 8}


class Warehouse:
    """A DuckDB file, and syncs into it."""

    def __init__(self, path: Path, dataset: str = "posthog") -> None:
        self.path = path
        self.dataset = dataset
        self.destination: DuckDbFile | None = None
        """While a sync runs."""

    def sync(
        self,
        posthog: Sandbox,
        *,
        listener: Listener | None = None,
        package_rows: int = 100_000,
        leaf_rows: int = 40_000,
        engine: EngineChoice = "auto",
        key: str | None = None,
        **options: Any,
    ) -> SyncResult:
        def connect() -> PostHogClient:
            budget = Budget(requests_per_minute=100_000, requests_per_hour=1_000_000)
            return PostHogClient(
                key or posthog.api_key, posthog.host, budget=budget, attempts=2, backoff_seconds=(0.01, 0.02)
            )

        with self.opened() as destination:
            settings = Settings(engine=engine, leaf_rows=leaf_rows)
            return sync(
                connect, destination, SyncOptions(package_rows=package_rows, settings=settings, **options), listener
            )

    def opened(self) -> Destination:
        """The destination of one sync."""
        self.destination = DuckDbFile(self.path, self.dataset)
        return self.destination

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path)) as con:
            con.execute(f"SET TimeZone = 'UTC'; SET schema = '{self.dataset}'")
            return con.execute(sql).fetchall()

    def keys(self, table: str) -> set[str]:
        where = "WHERE NOT is_deleted" if table == "persons" else ""
        found = [str(key) for (key,) in self.rows(f"SELECT {CORE[table].key} FROM {table} {where}")]
        assert len(found) == len(set(found)), f"{table} holds a key twice"
        return set(found)


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    return Warehouse(tmp_path / "warehouse.duckdb")


@pytest.fixture(scope="module")
def still() -> Iterator[Sandbox]:
    """Events, persons and keys that no test changes."""
    with started(**SMALL) as sandbox:
        yield sandbox


def keys_of(posthog: Sandbox, table: str) -> set[str]:
    queries = {
        "events": "SELECT DISTINCT toString(uuid) FROM events",
        "persons": "SELECT toString(id) FROM person GROUP BY id HAVING argMax(is_deleted, version) = 0",
        "person_distinct_ids": "SELECT distinct_id FROM person_distinct_id2 GROUP BY distinct_id "
        "HAVING argMax(is_deleted, version) = 0",
    }
    return {row[0] for row in posthog.sql(queries[table])}


def assert_equal(warehouse: Warehouse, posthog: Sandbox) -> None:
    for table in CORE:
        assert warehouse.keys(table) == keys_of(posthog, table), table


@pytest.fixture
def said_by_dlt() -> Iterator[list[str]]:
    """What dlt warns of meanwhile."""
    said: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign] # a handler's only part
    logger = logging.getLogger("dlt")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    yield said
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_a_sync_ends_complete_with_every_row_once(warehouse: Warehouse, still: Sandbox, said_by_dlt: list[str]) -> None:
    result = warehouse.sync(still)
    assert result.status == "complete"
    assert [check.status for check in result.checks] == ["complete"] * 3
    assert result.totals == {name: still.counts()[name] for name in CORE}
    assert_equal(warehouse, still)
    assert said_by_dlt == []


def test_a_second_sync_asks_for_the_overlap_alone(warehouse: Warehouse, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(**SMALL)
    warehouse.sync(posthog)
    posthog.advance_clock(2 * 3600)
    posthog.reset_counters()
    result = warehouse.sync(posthog)
    a_day_ago = f"parseDateTime64BestEffort('{posthog.now()}') - INTERVAL 1 DAY"
    recent = posthog.sql(f"SELECT count() FROM events WHERE created_at >= {a_day_ago}")[0][0]
    assert result.status == "complete"
    assert posthog.counters()["requests"] < 10
    assert result.rows["events"] <= recent
    assert result.rows["persons"] == result.rows["person_distinct_ids"] == 0


def test_late_events_merges_updates_and_deletes_are_there_after_the_next_sync(
    warehouse: Warehouse, start_sandbox: StartSandbox
) -> None:
    posthog = start_sandbox(**SMALL)
    warehouse.sync(posthog)
    posthog.advance_clock(24 * 3600)
    late = posthog.add_events(150, days_back=20, seed=1)
    merged = posthog.merge_persons(8)
    updated = posthog.update_persons(6)
    deleted = posthog.delete_persons(5)
    posthog.advance_clock(1_200)

    result = warehouse.sync(posthog)

    assert result.status == "complete"
    assert set(late) <= warehouse.keys("events")
    assert_equal(warehouse, posthog)
    gone = [*merged[: len(merged) // 2], *deleted]
    tombstones = warehouse.rows("SELECT person_id, created_at, is_identified, properties FROM persons WHERE is_deleted")
    assert {str(row[0]) for row in tombstones} == set(gone)
    assert all(row[1:] == (None, None, None) for row in tombstones), "something personal is left of a deleted person"
    assert result.rows["persons"] == len({*gone, *updated, *merged[len(merged) // 2 :]})
    theirs = {
        row[0]: row[1]
        for row in posthog.sql(
            "SELECT toString(id), argMax(properties, version) FROM person GROUP BY id "
            "HAVING argMax(is_deleted, version) = 0"
        )
    }
    ours = {str(row[0]): row[1] for row in warehouse.rows("SELECT person_id, properties FROM persons_current")}
    assert ours == theirs


def test_events_resolved_follows_merges(warehouse: Warehouse, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(**SMALL)
    posthog.merge_persons(20)
    warehouse.sync(posthog)
    posthog.merge_persons(20, seed=1)
    posthog.advance_clock(1_200)
    warehouse.sync(posthog)
    owner = "SELECT distinct_id, argMax(person_id, version) AS owner FROM person_distinct_id2 GROUP BY distinct_id"
    theirs = posthog.sql(
        f"SELECT DISTINCT toString(uuid), toString(owner) FROM events INNER JOIN ({owner}) AS ids USING distinct_id"
    )
    ours = {
        str(row[0]): row[1:]
        for row in warehouse.rows("SELECT uuid, person_id, person_id_at_ingestion FROM events_resolved")
    }
    assert len(ours) == posthog.counts()["events"]
    for uuid, person in theirs:
        assert str(ours[uuid][0]) == person
    assert any(now != then for now, then in ours.values()), "no merge to follow"


class Packages(Listener):
    """Does something after each load package."""

    def __init__(self, after: Callable[[int], None]) -> None:
        self.number = 0
        self._after = after

    def loaded(self, rows: dict[str, int]) -> None:
        del rows
        self.number += 1
        self._after(self.number)


class Killed(BaseException):
    """Ends a run as a signal would: nothing catches it."""


@pytest.mark.parametrize("at", [1, 2, 3] if LONG else [2])
def test_a_run_stopped_between_packages_is_taken_up_there(warehouse: Warehouse, still: Sandbox, at: int) -> None:
    def stop(number: int) -> None:
        if number == at:
            raise Killed

    with pytest.raises(Killed):
        warehouse.sync(still, listener=Packages(stop), package_rows=500, leaf_rows=200)
    held = {row[0] for row in warehouse.rows("SELECT uuid::VARCHAR FROM events")}
    assert held

    still.reset_counters()
    result = warehouse.sync(still, package_rows=500, leaf_rows=200)

    assert result.status == "complete"
    assert_equal(warehouse, still)
    # A window that was whole is not asked for again.
    assert result.rows["events"] < still.counts()["events"]


def test_rows_ledger_and_state_of_a_package_are_committed_together(warehouse: Warehouse, still: Sandbox) -> None:
    """After each package: the windows that are noted hold exactly what PostHog has in them."""
    seen: list[int] = []

    def look(number: int) -> None:
        assert number == len(seen) + 1
        assert warehouse.destination is not None
        con = warehouse.destination.connection
        windows = con.execute(
            "SELECT timestamp_from, timestamp_to, created_to, rows FROM posthog.sync_windows"
        ).fetchall()
        for low, high, created_to, rows in windows:
            bounds = [("timestamp >= ?", low), ("timestamp < ?", high), ("created_at < ?", created_to)]
            given = [(condition, bound) for condition, bound in bounds if bound is not None]
            where = " AND ".join(condition for condition, _ in given)
            (held,) = con.execute(
                f"SELECT count(*) FROM posthog.events WHERE {where}", [b for _, b in given]
            ).fetchall()
            # A re-sent event counts twice where it was answered, and once here.
            assert rows - 5 <= held[0] <= rows
        seen.append(len(windows))

    result = warehouse.sync(still, listener=Packages(look), package_rows=400, leaf_rows=150)
    # The last one records the run.
    assert result.packages == len(seen) - 1
    assert len(seen) > 4
    assert seen == sorted(seen)
    # A package may end within a day that is read by several leaves, and then notes no window.
    assert seen[0] > 0
    assert len(set(seen)) > 2


def test_the_windows_of_a_first_sync_are_recorded_without_a_gap(warehouse: Warehouse, still: Sandbox) -> None:
    result = warehouse.sync(still, leaf_rows=300)
    windows = warehouse.rows("SELECT timestamp_from, timestamp_to, rows FROM sync_windows ORDER BY 1 NULLS FIRST")
    assert windows[0][0] is None
    assert windows[-1][1] is None
    for before, after in pairwise(windows):
        assert before[1] == after[0]
    assert sum(row[2] for row in windows) == result.rows["events"]


def test_since_and_until_bound_what_is_loaded_and_since_can_move_back(
    warehouse: Warehouse, start_sandbox: StartSandbox
) -> None:
    posthog = start_sandbox(**SMALL)
    now = datetime.fromisoformat(posthog.now().replace("Z", "+00:00"))
    since, until = (to_micros(now - timedelta(days=days)) for days in (3, 1))
    warehouse.sync(posthog, since=since, until=until)
    ((low, high),) = warehouse.rows("SELECT min(timestamp), max(timestamp) FROM events")
    assert now - timedelta(days=3) <= low < high < now - timedelta(days=1)

    before = len(warehouse.keys("events"))
    result = warehouse.sync(posthog, since=since - 2 * DAY, until=until)
    assert result.status == "complete"
    assert result.rows["events"] <= len(warehouse.keys("events")) - before + 40

    posthog.advance_clock(3 * 24 * 3600)
    assert warehouse.sync(posthog, since=to_micros(now) - 4_000 * DAY).status == "complete"
    assert_equal(warehouse, posthog)


def test_nothing_is_lost_by_a_narrow_sync_in_between(warehouse: Warehouse, start_sandbox: StartSandbox) -> None:
    """A run with --until that is also the day's sweep leaves the rest to the next."""
    posthog = start_sandbox(**SMALL)
    warehouse.sync(posthog)
    posthog.advance_clock(30 * 3600)
    late = posthog.add_events(60, days_back=1, seed=3)
    posthog.advance_clock(3600)
    now = datetime.fromisoformat(posthog.now().replace("Z", "+00:00"))
    warehouse.sync(posthog, until=to_micros(now - timedelta(hours=30)))
    posthog.advance_clock(3600)
    warehouse.sync(posthog)
    assert set(late) <= warehouse.keys("events")


def test_two_datasets_of_one_file_do_not_know_each_other(warehouse: Warehouse, still: Sandbox) -> None:
    other = Warehouse(warehouse.path, "second")
    warehouse.sync(still)
    result = other.sync(still, tables=(CORE["persons"],))
    assert result.totals == {"persons": still.counts()["persons"]}
    assert other.keys("persons") == warehouse.keys("persons")
    assert warehouse.sync(still).status == "complete"


def test_another_project_is_refused_before_anything_is_written(
    warehouse: Warehouse, still: Sandbox, start_sandbox: StartSandbox
) -> None:
    warehouse.sync(still)
    before = warehouse.rows("SELECT count(*) FROM sync_runs")
    with pytest.raises(OtherProject) as refused:
        warehouse.sync(start_sandbox(events=50, persons=10, seed=1, days=2))
    assert still.host in str(refused.value)
    assert warehouse.rows("SELECT count(*) FROM sync_runs") == before
    assert warehouse.sync(still).status == "complete"


def test_a_key_without_the_scope_makes_no_file(warehouse: Warehouse, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(events=50, persons=10, seed=1, days=2)
    with pytest.raises(ScopeMissing):
        warehouse.sync(posthog, key=posthog.create_key(["project:read"]))
    assert not warehouse.path.exists()


def test_a_table_that_the_key_may_not_read_blocks_no_other(warehouse: Warehouse, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(events=100, persons=20, seed=1, days=2)
    # Project, two probes and the histogram come first: the events' rows are refused.
    posthog.add_fault("status", path="/query/", at=[4], status=403)
    result = warehouse.sync(posthog)
    assert result.status == "blocked"
    assert list(result.blocked) == ["events"]
    assert {check.table: check.status for check in result.checks} == {
        "events": "unknown",
        "persons": "complete",
        "person_distinct_ids": "complete",
    }
    posthog.clear_faults()
    assert warehouse.sync(posthog).status == "complete"
    assert_equal(warehouse, posthog)


def test_a_failure_in_the_middle_keeps_what_was_loaded(warehouse: Warehouse, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(**SMALL)

    def fail(number: int) -> None:
        if number == 2:
            posthog.add_fault("drop", path="/query/", always=True)

    result = warehouse.sync(posthog, listener=Packages(fail), package_rows=400, leaf_rows=50)
    assert result.status == "stopped"
    assert isinstance(result.stopped, Unreachable)
    held = warehouse.rows("SELECT count(*) FROM events")[0][0]
    assert 400 <= held < posthog.counts()["events"]
    posthog.clear_faults()
    assert warehouse.sync(posthog).status == "complete"
    assert_equal(warehouse, posthog)


def test_column_types_comments_and_compression(warehouse: Warehouse, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(events=4_000, persons=200, seed=5, days=3)
    warehouse.sync(posthog)
    types = {
        (table, column): kind
        for table, column, kind in warehouse.rows(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE schema_name = 'posthog'"
        )
    }
    for column, kind in {
        "uuid": "UUID",
        "person_id": "UUID",
        "timestamp": "TIMESTAMP WITH TIME ZONE",
        "created_at": "TIMESTAMP WITH TIME ZONE",
        "properties": "JSON",
        "event": "VARCHAR",
    }.items():
        assert types["events", column] == kind
    assert types["persons", "person_id"] == types["person_distinct_ids", "person_id"] == "UUID"
    assert types["persons", "version"] == "BIGINT"
    assert types["persons", "is_deleted"] == "BOOLEAN"

    stored = warehouse.rows(
        "SELECT DISTINCT compression FROM pragma_storage_info('posthog.events') "
        "WHERE column_name = 'properties' AND segment_type = 'JSON' AND count > 0"
    )
    assert stored == [("ZSTD",)]

    for table in CORE.values():
        missing = warehouse.rows(
            f"SELECT column_name FROM duckdb_columns() WHERE schema_name = 'posthog' AND table_name = '{table.name}' "
            "AND comment IS NULL AND column_name NOT LIKE '\\_dlt%' ESCAPE '\\'"
        )
        assert missing == []
    commented = warehouse.rows(
        "SELECT count(*) FROM duckdb_views() WHERE schema_name = 'posthog' AND comment IS NOT NULL"
    )
    assert commented == [(2,)]


def test_no_copy_of_the_rows_stays_in_the_file(warehouse: Warehouse, still: Sandbox) -> None:
    warehouse.sync(still)
    assert warehouse.rows("SELECT DISTINCT schema_name FROM duckdb_tables()") == [("posthog",)]


def test_a_run_leaves_a_record_for_people(warehouse: Warehouse, still: Sandbox) -> None:
    result = warehouse.sync(still)
    warehouse.sync(still)
    runs = warehouse.rows("SELECT run_id, status, host, project_id, rows FROM sync_runs ORDER BY started_at")
    assert len(runs) == 2
    assert runs[0] == (result.run_id, "complete", still.host, still.project_id, sum(result.rows.values()))
    checks = warehouse.rows("SELECT table_name, status, missing_rows FROM sync_checks")
    assert sorted(checks) == sorted([(name, "complete", 0) for name in CORE] * 2)
