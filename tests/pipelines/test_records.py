"""What a run leaves behind for people."""

from __future__ import annotations

from datetime import datetime, timezone

import dlt
import pytest

from posthog_warehouse.pipelines.records import RECORD_TABLES, SYNC_WINDOWS, RecordTable, window_row
from posthog_warehouse.sources.posthog.clock import DAY, MAX, MIN
from posthog_warehouse.sources.posthog.planning.intervals import Window

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


def test_open_bounds_of_a_window_are_null() -> None:
    row = window_row("run", "events", Window(MIN, 2 * DAY, MIN, MAX), 7, NOON)
    assert (row["timestamp_from"], row["created_from"], row["created_to"]) == (None, None, None)
    assert row["timestamp_to"] == datetime(1970, 1, 3, tzinfo=timezone.utc)
    assert (row["rows"], row["loaded_at"], row["table_name"]) == (7, NOON, "events")


def test_each_window_of_a_run_has_its_own_key() -> None:
    windows = [Window(0, 1, 0, 1), Window(0, 1, 0, 2), Window(MIN, 1, 0, 1), Window(0, 1, 1, 2)]
    keys = {window_row(run, "events", window, 0, NOON)["window_id"] for window in windows for run in ("a", "b")}
    assert len(keys) == 8


def test_rows_have_the_columns_that_are_declared() -> None:
    row = window_row("run", "events", Window(0, DAY, 0, DAY), 7, NOON)
    assert list(row) == [column.name for column in SYNC_WINDOWS.columns]


@pytest.mark.parametrize("table", RECORD_TABLES, ids=lambda table: table.name)
def test_every_column_says_what_it_is(table: RecordTable) -> None:
    assert table.description
    assert all(column.description for column in table.columns)
    key = next(column for column in table.columns if column.name == table.primary_key)
    assert not key.nullable


def test_a_repeated_load_changes_nothing(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    pipeline = dlt.pipeline("records", destination=dlt.destinations.duckdb(f"{tmp_path}/a.duckdb"), dataset_name="raw")
    row = window_row("run", "events", Window(MIN, DAY, MIN, MAX), 7, NOON)
    for _ in range(2):
        pipeline.run(SYNC_WINDOWS.resource(iter([row])))
    with pipeline.sql_client() as client:
        rows = client.execute_sql("SELECT window_id, timestamp_from, rows FROM sync_windows")
    assert rows == [(row["window_id"], None, 7)]
