"""One sync of all tables: each ends with the rows of the server, its key unique; the next one fetches what changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import duckdb
import pytest

from posthog_warehouse.pipelines.config import known_tables
from posthog_warehouse.pipelines.records import RECORD_TABLES
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import DEFAULT, TABLES
from tests.pipelines.conftest import InProcess, Outcome
from tests.sandboxes import started

#: What the sandbox calls a list, where that is not the table's name.
_LISTS: Mapping[str, str] = {
    "early_access_features": "early_access_feature",
    "error_tracking_issues": "issues",
    "file_download_exports": "file_downloads",
    "person_deletion_status": "deletion_status",
    "plugin_config_logs": "plugin_logs",
}
_COUNTS: Mapping[str, str] = {"session_recordings": "recordings"}
_CALCULATED = ("insight_trends", "insight_funnel_steps", "insight_retention", "insight_paths", "insight_correlation")
"""Whose rows the tests of the insights compare with plain SQL."""


def there(posthog: Sandbox) -> dict[str, int]:
    """Rows of each table at the server, by its own account."""
    counts, lists = posthog.counts(), posthog.list_counts()
    rows = {"projects": 1, "insight_results": lists["insights"]}
    for table in DEFAULT:
        name = _LISTS.get(table, table)
        if name in lists:
            rows[table] = lists[name]
        elif _COUNTS.get(table, table) in counts:
            rows[table] = counts[_COUNTS.get(table, table)]
    return rows


class Loaded:
    """A warehouse, and the runs that made it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "posthog_warehouse.duckdb"

    def rows(self, table: str) -> int:
        return self._one(f"SELECT count(*) FROM posthog.{table}")

    def keys(self, table: str) -> int:
        columns = ", ".join(f'"{column}"' for column in TABLES[table].keys)
        return self._one(f"SELECT count(*) FROM (SELECT DISTINCT {columns} FROM posthog.{table})")

    def tables(self) -> set[str]:
        with duckdb.connect(str(self._file), read_only=True) as connection:
            return {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}

    def _one(self, sql: str) -> int:
        with duckdb.connect(str(self._file), read_only=True) as connection:
            found = connection.execute(sql).fetchone()
        assert found is not None
        return int(found[0])


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    """A server whose tables change in these tests."""
    with started(events=6_000, persons=250, seed=11, days=12) as sandbox:
        yield sandbox


def _checks(outcome: Outcome) -> dict[str, str]:
    return {each["table"]: each["check"] for each in outcome.of("table")}


def test_every_table_is_loaded_whole_and_then_only_what_changed(quick: InProcess, server: Sandbox) -> None:
    quick.pointed_at(server)
    loaded = Loaded(quick.folder)

    first = quick("sync", "--format", "json")
    assert first.code == 0, first.err
    assert _checks(first) == dict.fromkeys(DEFAULT, "complete")
    expected = there(server)
    assert set(DEFAULT) - set(expected) == set(_CALCULATED)
    assert {table: loaded.rows(table) for table in expected} == expected
    for table in DEFAULT:
        assert loaded.keys(table) == loaded.rows(table), f"{table} holds a key twice"
    for table in _CALCULATED[:4]:
        assert loaded.rows(table) > 0
    assert {record.name for record in RECORD_TABLES} <= loaded.tables()

    # Nothing of the configuration is due, and nothing else has changed: no list and no insight is asked for.
    server.reset_counters()
    second = quick("sync", "--format", "json")
    assert second.code == 0, second.err
    due = {table for table, check in _checks(second).items() if check != "not due"}
    assert due == {name for name, table in DEFAULT.items() if table.every is None}
    asked = {entry["path"].split("/")[4] for entry in server.requests() if entry["path"].count("/") > 4}
    assert asked <= {"query", "session_recordings"}
    rows = {each["table"]: each["rows_read"] for each in second.of("table")}
    assert rows["persons"] == rows["person_distinct_ids"] == 0
    assert all(rows[table] < 0.2 * expected[table] for table in due & set(expected) if expected[table] > 20)

    # Named tables are read whatever the time, and follow what changed.
    server.change_list("annotations", insert=7, delete=3)
    server.change_list("feature_flags", update=2)
    third = quick("sync", "annotations", "feature_flags", "cohorts", "--format", "json")
    assert third.code == 0, third.err
    rows = {each["table"]: each["rows_read"] for each in third.of("table")}
    assert rows == {
        "annotations": expected["annotations"] + 4,
        "feature_flags": expected["feature_flags"],
        "cohorts": 0,
    }
    assert loaded.rows("annotations") == loaded.keys("annotations") == server.list_counts()["annotations"]


def test_tables_that_the_server_plan_or_key_lacks_are_listed_and_the_rest_is_complete(
    quick: InProcess, server: Sandbox
) -> None:
    before = server.behaviour()
    server.set_behaviour(missing_endpoints=["evaluations"], unpaid_endpoints=["activity_log"])
    scopes = {table.scope for table in DEFAULT.values()} - {"survey:read"}
    try:
        outcome = quick.pointed_at(server, server.create_key(sorted(scopes)))("sync", "--format", "json")
    finally:
        server.set_behaviour(**before)
    assert outcome.code == 0, outcome.err
    checks = _checks(outcome)
    skipped = {table for table, check in checks.items() if check == "skipped"}
    assert skipped == {"evaluations", "activity_log", "surveys"}
    assert {check for table, check in checks.items() if table not in skipped} == {"complete"}
    notes = [note["text"] for note in outcome.of("note")]
    for table in skipped:
        assert [note for note in notes if note.startswith("Skipped ") and table in note]
    assert any("survey:read" in note for note in notes)
    [lacking] = [note for note in notes if "evaluations" in note]
    assert "this server does not have" in lacking
    assert "after a week" in lacking
    assert not skipped & Loaded(quick.folder).tables()


def test_a_named_table_that_the_key_may_not_read_fails_the_run(quick: InProcess, server: Sandbox) -> None:
    outcome = quick.pointed_at(server, server.create_key(["project:read", "cohort:read"]))("sync", "cohorts", "surveys")
    assert outcome.code == 3
    assert "survey:read" in outcome.err
    assert Loaded(quick.folder).rows("cohorts") == server.list_counts()["cohorts"]


def test_all_tables_are_known_by_name() -> None:
    assert [table.name for table in known_tables(())] == list(DEFAULT)
    assert [table.name for table in known_tables(tuple(TABLES))] == list(TABLES)
