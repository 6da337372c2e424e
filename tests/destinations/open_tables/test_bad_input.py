"""What cannot be loaded into: one clear message before anything is fetched, and nothing touched."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from posthog_warehouse.destinations.errors import (
    DestinationForeign,
    DestinationHeld,
    DestinationUnready,
    DestinationUnusable,
)
from posthog_warehouse.destinations.lake import Lake
from posthog_warehouse.destinations.open_tables import OpenTables
from tests.destinations.lake.lakes import LocalPlace, event
from tests.destinations.lake.lakes import load_events as load_into_lake
from tests.destinations.lake.s3 import S3Server
from tests.destinations.open_tables.tables import LocalTables, S3Tables, load_events

ROWS = [event(n, "2026-11-20T12:00:00Z") for n in range(3)]


def all_files(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_tables_of_another_format_are_left_alone(local: LocalTables, tmp_path: Path) -> None:
    load_events(local, ROWS)
    before = all_files(tmp_path / "lake")
    other = "iceberg" if local.format == "delta" else "delta"
    for destination in (Lake(local.url), OpenTables(local.url, table_format=other)):
        with destination, pytest.raises(DestinationForeign, match=f"--table-format {local.format}, or give another"):
            destination.check()
        with destination, pytest.raises(DestinationForeign), destination.reading():
            pass
    assert all_files(tmp_path / "lake") == before


def test_a_plain_lake_is_left_alone(local: LocalTables, tmp_path: Path) -> None:
    load_into_lake(LocalPlace(tmp_path / "lake"), ROWS)
    before = all_files(tmp_path / "lake")
    with local.opened() as destination:
        with pytest.raises(DestinationForeign, match=r"holds plain Parquet files\. Leave --table-format out"):
            destination.check()
        with pytest.raises(DestinationForeign):
            destination.dlt_destination()
    assert all_files(tmp_path / "lake") == before


def test_tables_of_somebody_else_are_left_alone(local: LocalTables, tmp_path: Path) -> None:
    write_deltalake(str(tmp_path / "lake" / "posthog" / "theirs"), pa.table({"a": [1]}))
    with local.opened() as destination, pytest.raises(DestinationForeign, match="did not write: theirs"):
        destination.check()


def test_deletion_vectors_of_another_program_are_told(tmp_path: Path) -> None:
    tables = LocalTables("delta", str(tmp_path / "lake"))
    load_events(tables, ROWS)
    tables.delta("events").alter.set_table_properties({"delta.enableDeletionVectors": "true"})
    with tables.opened() as destination, pytest.raises(DestinationForeign, match=r"events .* deletionVectors"):
        destination.check()


@pytest.mark.parametrize("harm", ["cut off", "gone"])
def test_a_file_that_is_not_what_was_written_is_named(harm: str, local: LocalTables) -> None:
    load_events(local, ROWS)
    [file] = Path(local.url, "posthog", "events").rglob("*.parquet")
    if harm == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:-9])
    with (
        local.opened() as destination,
        pytest.raises(DestinationForeign, match=rf"A file of \w+ tables .*{re.escape(file.name)}"),
    ):
        destination.check()


def test_a_log_that_cannot_be_read_is_told(local: LocalTables) -> None:
    load_events(local, ROWS)
    log = "_delta_log" if local.format == "delta" else "metadata"
    for entry in Path(local.url, "posthog", "events", log).glob("*.json"):
        entry.write_text("{")
    with local.opened() as destination, pytest.raises(DestinationUnusable, match=r"table events in .* read"):
        destination.check()


def test_a_package_that_is_missing_is_named(local: LocalTables, monkeypatch: pytest.MonkeyPatch) -> None:
    package = {"delta": "deltalake", "iceberg": "pyiceberg"}[local.format]
    monkeypatch.setitem(sys.modules, f"dlt.common.libs.{package}", None)
    with local.opened() as destination, pytest.raises(DestinationUnready, match=rf'pip install "dlt\[{package}\]"'):
        destination.check()
    assert not Path(local.url).exists()


def test_a_package_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("deltalake.transaction.RemoveAction")
    with (
        OpenTables(str(tmp_path / "lake"), table_format="delta") as destination,
        pytest.raises(DestinationUnready, match=r"deltalake 1\.6\.6 or newer"),
    ):
        destination.check()


def test_one_program_at_a_time(s3: S3Server, tmp_path: Path) -> None:
    tables = S3Tables("delta", f"s3://{s3.new_bucket()}/lake", s3)
    with tables.opened() as one:
        one.check()
        one.dlt_destination()
        held = s3.fs.cat_file(f"{tables.url}/posthog/_posthog_warehouse/lease.json")
        s3.fs.pipe_file(
            f"{tables.url}/posthog/_posthog_warehouse/lease.json", held.replace(b'"owner": "', b'"owner": "other')
        )
        with tables.opened() as two, pytest.raises(DestinationHeld):
            two.check()
