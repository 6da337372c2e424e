"""What DuckDB's own readers find, besides all rows (which `Tables.read` compares in every test of this folder)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from pyiceberg.table import StaticTable

from posthog_warehouse.destinations.open_tables.iceberg import Iceberg
from tests.destinations.lake.lakes import event
from tests.destinations.open_tables.tables import LocalTables, Tables, load_events, numbers
from tests.destinations.open_tables.test_dying import dead

ROWS = [event(n, f"2026-11-{20 + n % 3}T12:00:00Z", properties=f'{{"n": {n}.5}}', n=n) for n in range(9)]


def rows_of(tables: Tables, sql: str) -> list[tuple[object, ...]]:
    return tables.duckdb.execute(sql).fetchall()


def test_a_column_of_another_type_and_the_table_as_it_was(tables: Tables) -> None:
    load_events(tables, ROWS, n={"data_type": "bigint"})
    with tables.opened() as destination, destination.columns("events") as columns:

        def pages() -> Iterator[pa.Table]:
            for page in columns.texts("properties", 5):
                found = pc.extract_regex(page["properties"], r'"n": (?P<n>[0-9.]+)')
                yield pa.table({"_row": page["_row"], "n": pc.struct_field(found, "n").cast(pa.float64())})

        columns.replace({"n": "double"}, pages())
        destination.compact(["events"])
    scan = tables.scan("events")
    assert numbers(tables) == list(range(9))
    assert rows_of(tables, f"SELECT typeof(n), sum(n) FROM {scan} GROUP BY ALL") == [("DOUBLE", 40.5)]
    assert rows_of(tables, f"SELECT count(*) FROM {scan} WHERE n > 3.7 AND timestamp < '2026-11-22'") == [(3,)]
    before = "version = 0" if tables.format == "delta" else f"snapshot_from_id = {_first_snapshot(tables)}"
    was = f"{scan[:-1]}, {before})"
    assert rows_of(tables, f"SELECT typeof(n), sum(n) FROM {was} GROUP BY ALL") == [("BIGINT", 36)]


def _first_snapshot(tables: Tables) -> int:
    return tables.iceberg("events").metadata.snapshots[0].snapshot_id


def test_tables_that_were_moved(local: LocalTables, tmp_path: Path) -> None:
    load_events(local, ROWS[:3], n={"data_type": "bigint"})
    shutil.move(local.url, tmp_path / "elsewhere")
    moved = LocalTables(local.format, str(tmp_path / "elsewhere"))
    scan = moved.scan("events")
    if moved.format == "iceberg":
        with pytest.raises(duckdb.IOException):
            rows_of(moved, f"SELECT sum(n) FROM {scan}")
        scan = f"{scan[:-1]}, allow_moved_paths = true)"
    assert rows_of(moved, f"SELECT sum(n), max(event) FROM {scan}") == [(3, "$pageview")]


def test_dead_ahead_of_saying_which_metadata_is_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = LocalTables("iceberg", str(tmp_path / "lake"))
    load_events(tables, ROWS[:3], n={"data_type": "bigint"})
    with dead(monkeypatch, Iceberg, "_point", before=True), pytest.raises(PipelineStepFailed):
        load_events(tables, ROWS, n={"data_type": "bigint"})
    assert tables.iceberg("events").scan().count() == 9
    count = f"SELECT count(*) FROM {tables.scan('events')}"
    assert rows_of(tables, count) == [(3,)], "the table as it was, and whole"
    with tables.opened() as destination:
        destination.dlt_destination()
    assert rows_of(tables, count) == [(9,)]
    assert StaticTable.from_metadata(f"{tables.url}/posthog/events").scan().count() == 9
