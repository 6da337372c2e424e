"""The check finds what is missing, and calls nothing complete that is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_warehouse.destinations.lake import Lake
from posthog_warehouse.pipelines.check import TableCheck, _differences
from posthog_warehouse.pipelines.sync import Listener
from posthog_warehouse.sandbox.local import Sandbox
from tests.faults.syncing import sync_here
from tests.own_posthog import OwnPostHog
from tests.pipelines.test_sync import Warehouse
from tests.sandboxes import started


@pytest.fixture
def own() -> Iterator[OwnPostHog]:
    own = OwnPostHog(events=900, persons=80, seed=5, days=8)
    yield own
    own.close()


@pytest.fixture(scope="module")
def still() -> Iterator[Sandbox]:
    """Data that no test changes."""
    with started(events=900, persons=80, seed=5, days=8) as sandbox:
        yield sandbox


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    return Warehouse(tmp_path / "warehouse.duckdb")


class BeforeTheCheck(Listener):
    """Does something when all is loaded."""

    def __init__(self, then: Callable[[], object]) -> None:
        self._then = then

    def phase(self, what: str) -> None:
        if what == "check":
            self._then()


def checked(warehouse: Warehouse, posthog: Sandbox, *behind_its_back: str) -> dict[str, TableCheck]:
    """What the check says after these statements were run on the warehouse behind its back."""

    def tamper() -> None:
        assert warehouse.destination is not None
        for statement in behind_its_back:
            warehouse.destination.connection.execute(statement)

    result = warehouse.sync(posthog, listener=BeforeTheCheck(tamper))
    return {check.table: check for check in result.checks}


def test_equal_is_complete(warehouse: Warehouse, still: Sandbox) -> None:
    for check in checked(warehouse, still).values():
        assert (check.status, check.missing, check.extra, check.reason) == ("complete", 0, 0, "")
        assert check.posthog_rows == check.warehouse_rows
        assert str(check) == "complete"


# Older than the last ten minutes, which are left to the next run.
SETTLED = "created_at < (SELECT max(created_at) FROM posthog.events) - INTERVAL 1 DAY"


def test_rows_deleted_here_are_missing(warehouse: Warehouse, still: Sandbox) -> None:
    found = checked(
        warehouse,
        still,
        f"DELETE FROM posthog.events WHERE uuid IN (SELECT uuid FROM posthog.events WHERE {SETTLED} LIMIT 7)",
        "DELETE FROM posthog.persons WHERE person_id IN (SELECT person_id FROM posthog.persons LIMIT 3)",
        "DELETE FROM posthog.person_distinct_ids WHERE true",
    )
    assert {table: (check.status, check.missing) for table, check in found.items()} == {
        "events": ("short", 7),
        "persons": ("short", 3),
        "person_distinct_ids": ("short", still.counts()["person_distinct_ids"]),
    }
    assert str(found["events"]) == "short by 7"


def test_a_whole_empty_table_is_missing(warehouse: Warehouse, still: Sandbox) -> None:
    found = checked(warehouse, still, "DELETE FROM posthog.events")
    assert found["events"].status == "short"
    assert found["events"].missing == found["events"].posthog_rows


def test_rows_gone_from_posthog_hide_none_that_are_missing_here(warehouse: Warehouse, own: OwnPostHog) -> None:
    """As many extra rows as missing ones, in other cells: the sums alone are equal."""

    def tamper() -> None:
        assert warehouse.destination is not None
        con = warehouse.destination.connection
        con.execute(
            f"DELETE FROM posthog.events WHERE uuid IN "
            f"(SELECT uuid FROM posthog.events WHERE event = '$pageview' AND {SETTLED} ORDER BY uuid LIMIT 6)"
        )
        gone = con.execute(
            f"SELECT uuid::VARCHAR FROM posthog.events WHERE event <> '$pageview' AND {SETTLED} ORDER BY uuid LIMIT 20"
        ).fetchall()
        own.posthog.delete_events(uuids=[row[0] for row in gone])

    result = warehouse.sync(own.posthog, listener=BeforeTheCheck(tamper))
    events = next(check for check in result.checks if check.table == "events")
    assert (events.status, events.missing, events.extra) == ("short", 6, 20)


def test_a_uuid_in_two_cells_there_is_not_missing_here(warehouse: Warehouse, own: OwnPostHog) -> None:
    """The same event sent again with another time and name: two rows there, and one here, which is right."""
    own.execute(
        "INSERT INTO events SELECT * REPLACE (timestamp - INTERVAL 2 DAY AS timestamp, 'renamed' AS event) FROM events "
        "WHERE created_at < now() - INTERVAL 1 DAY ORDER BY uuid LIMIT 9"
    )
    events = checked(warehouse, own.posthog)["events"]
    assert (events.status, events.missing) == ("complete", 0)
    assert events.reason.startswith("9 uuids")

    # And they hide nothing.
    again = Warehouse(warehouse.path, "again")
    some = f"SELECT uuid FROM posthog.events WHERE {SETTLED} AND event = '$autocapture' LIMIT 4"
    tampered = checked(again, own.posthog, f"DELETE FROM again.events WHERE uuid IN ({some})")["events"]
    assert (tampered.status, tampered.missing) == ("short", 4)


def test_days_before_1970_are_the_same_days_on_both_sides(warehouse: Warehouse, own: OwnPostHog) -> None:
    own.posthog.add_events(5, timestamp="1969-12-30T12:00:00Z", event="early", seed=1)
    own.posthog.add_events(5, timestamp="2200-01-01T12:00:00Z", event="late", seed=2)
    own.posthog.advance_clock(timedelta(hours=1).total_seconds())
    events = checked(warehouse, own.posthog)["events"]
    assert (events.status, events.missing, events.extra) == ("complete", 0, 0)
    assert events.posthog_rows == own.posthog.counts()["events"]


def test_what_posthog_has_no_more_is_told(warehouse: Warehouse, own: OwnPostHog) -> None:
    def delete() -> None:
        own.posthog.delete_events(30)

    result = warehouse.sync(own.posthog, listener=BeforeTheCheck(delete))
    events = next(check for check in result.checks if check.table == "events")
    assert (events.status, events.missing) == ("complete", 0)
    assert events.extra > 20
    assert "no longer in PostHog" in events.reason


def test_one_key_in_two_rows_proves_nothing(warehouse: Warehouse, still: Sandbox) -> None:
    """As many rows as in PostHog, or more: one stands twice, and perhaps another one is missing."""
    one = f"SELECT uuid FROM posthog.events WHERE {SETTLED} ORDER BY uuid LIMIT"
    found = checked(
        warehouse,
        still,
        f"INSERT INTO posthog.events SELECT * FROM posthog.events WHERE uuid IN ({one} 3)",
        "INSERT INTO posthog.persons SELECT * FROM posthog.persons LIMIT 2",
    )
    assert {table: (check.status, check.repeated) for table, check in found.items()} == {
        "events": ("unknown", 3),
        "persons": ("unknown", 2),
        "person_distinct_ids": ("complete", 0),
    }
    assert found["events"].reason.startswith("3 rows here have the uuid of another row")
    assert "no longer in PostHog" not in found["events"].reason
    assert "Remove them" in found["events"].reason


def test_a_lake_removes_rows_that_have_one_key(still: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))

    def copy() -> None:
        for file in sorted((tmp_path / "lake").glob("posthog/events/**/*.parquet"))[:2]:
            shutil.copy(file, file.with_name(f"copy-of-{file.name}"))

    result = sync_here(still, Lake(str(tmp_path / "lake")), listener=BeforeTheCheck(copy)).result
    assert result.status == "complete"
    assert result.totals["events"] == still.counts()["events"]
    [note] = result.notes["events"]
    assert note.endswith("rows that had the key of another row were removed")


def test_a_check_that_cannot_be_made_is_unknown(warehouse: Warehouse, own: OwnPostHog) -> None:
    def fail() -> None:
        own.posthog.add_fault("status", path="/query/", always=True, status=403)

    result = warehouse.sync(own.posthog, listener=BeforeTheCheck(fail))
    assert result.status == "unknown"
    events = next(check for check in result.checks if check.table == "events")
    assert events.status == "unknown"
    assert events.reason


def test_an_unknown_row_cap_hides_no_cell(warehouse: Warehouse, own: OwnPostHog) -> None:
    """More days and names than one answer holds."""
    own.posthog.set_behaviour(max_rows=100)
    latest = f"SELECT uuid FROM posthog.events WHERE {SETTLED} ORDER BY timestamp DESC LIMIT 5"
    found = checked(warehouse, own.posthog, f"DELETE FROM posthog.events WHERE uuid IN ({latest})")["events"]
    assert found.cells > 100
    assert (found.status, found.missing, found.extra) == ("short", 5, 0)


cells = st.dictionaries(
    st.tuples(st.sampled_from(["2026-11-19", "2026-11-20"]), st.sampled_from("abc")), st.integers(0, 9), max_size=6
)


@given(cells, cells)
def test_differences_balance(there: dict[tuple[str, str], int], here: dict[tuple[str, str], int]) -> None:
    missing, extra = _differences(there, here)
    assert missing >= 0
    assert extra >= 0
    assert missing - extra == sum(there.values()) - sum(here.values())
