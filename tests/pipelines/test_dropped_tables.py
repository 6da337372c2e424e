"""What somebody dropped behind our back is never called complete, and what can be loaded again is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE, TABLES
from tests.conftest import StartSandbox
from tests.faults.syncing import LONG
from tests.local_postgres import LocalPostgres
from tests.pipelines.elsewhere import Elsewhere, set_to, settings_of
from tests.pipelines.test_sync import SMALL, Warehouse, assert_equal

KINDS = ("postgres", *(("duckdb", "ducklake in duckdb", "sqlalchemy in sqlite") if LONG else ()))
LOADED = (*CORE.values(), TABLES["cohorts"])
NAMED = tuple(table.name for table in LOADED)


@pytest.fixture
def filled(
    request: pytest.FixtureRequest,
    postgres: LocalPostgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start_sandbox: StartSandbox,
) -> Iterator[tuple[Warehouse, Sandbox]]:
    """A warehouse of a kind that was synced, and where from."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    posthog = start_sandbox(**SMALL)
    is_file = request.param == "duckdb"
    with set_to({} if is_file else settings_of(request.param, postgres, tmp_path)):
        warehouse = Warehouse(tmp_path / "w.duckdb") if is_file else Elsewhere(request.param, tmp_path)
        assert warehouse.sync(posthog, tables=LOADED).status == "complete"
        yield warehouse, posthog


def alter(warehouse: Warehouse, sql: str) -> None:
    """Somebody changes a table, and the views that stand in the way."""
    views = ("events_resolved", "persons_current")
    if isinstance(warehouse, Elsewhere):
        with warehouse.opened() as destination, destination.session() as session:  # type: ignore[attr-defined]  # SQL's
            for view in views:
                session.run([f"DROP VIEW IF EXISTS {session.table(view)}"])
            session.run([sql.format(**{name: session.table(name) for name in NAMED})])
        return
    for view in views:
        warehouse.rows(f"DROP VIEW IF EXISTS {view}")
    warehouse.rows(sql.format(**{name: name for name in NAMED}))


def nulls(warehouse: Warehouse, table: str, column: str) -> int:
    """Rows without a value."""
    name = f"{{{table}}}" if isinstance(warehouse, Elsewhere) else table
    [(found,)] = warehouse.rows(f"SELECT count(*) - count({column}) AS n FROM {name}")
    return int(found)


@pytest.mark.parametrize("filled", KINDS, indirect=True)
@pytest.mark.parametrize(
    ("table", "column"),
    [("events", "distinct_id"), *([("persons", "properties"), ("cohorts", "name")] if LONG else [])],
)
def test_a_column_that_was_dropped_is_told_until_it_is_loaded_again(
    filled: tuple[Warehouse, Sandbox], table: str, column: str
) -> None:
    warehouse, posthog = filled
    alter(warehouse, f"ALTER TABLE {{{table}}} DROP COLUMN {column}")
    for _ in range(2):
        # News of everything: dlt would make the column again, empty, with whatever else is new in its schema.
        posthog.advance_clock(26 * 3600)
        posthog.add_events(30, days_back=1)
        posthog.advance_clock(1_200)
        result = warehouse.sync(posthog, tables=LOADED, named=NAMED)
        assert result.status == "blocked"
        [error] = result.unusable.pop(table)
        assert not result.unusable
        assert f"The table {table} in " in error.message
        assert f"has lost the column {column}" in error.message
        found = {check.table: check.status for check in result.checks}
        assert {name: status for name, status in found.items() if status != "complete"} == {table: "unknown"}
    alter(warehouse, f"DROP TABLE {{{table}}}")
    assert warehouse.sync(posthog, tables=LOADED).status == "complete"
    assert_equal(warehouse, posthog)
    assert nulls(warehouse, table, column) == 0


@pytest.mark.parametrize("filled", KINDS, indirect=True)
def test_a_column_that_is_made_again_is_filled_again(filled: tuple[Warehouse, Sandbox]) -> None:
    warehouse, posthog = filled
    alter(warehouse, "ALTER TABLE {events} DROP COLUMN distinct_id")
    assert warehouse.sync(posthog, tables=LOADED).status == "blocked"
    alter(warehouse, "ALTER TABLE {events} ADD COLUMN distinct_id VARCHAR(4000)")
    assert warehouse.sync(posthog, tables=LOADED).status == "complete"
    assert nulls(warehouse, "events", "distinct_id") == 0
    assert_equal(warehouse, posthog)


@pytest.mark.parametrize("filled", KINDS, indirect=True)
@pytest.mark.parametrize("table", ["events", "cohorts", *(["persons"] if LONG else [])])
def test_a_table_that_was_dropped_is_loaded_again(filled: tuple[Warehouse, Sandbox], table: str) -> None:
    warehouse, posthog = filled
    for _ in range(2):  # the second time dlt has stored such a schema before
        alter(warehouse, f"DROP TABLE {{{table}}}")
        result = warehouse.sync(posthog, tables=LOADED, named=NAMED)
        assert result.status == "complete"
        assert result.rows[table] >= result.totals[table] > 0
        assert_equal(warehouse, posthog)
