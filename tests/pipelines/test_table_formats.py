"""The program with Delta and Iceberg tables: every table of it, the other commands, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyiceberg.table import StaticTable

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE
from tests.faults.syncing import LONG
from tests.pipelines.conftest import InProcess, assert_one_screen


def rows_of(folder: Path, table_format: str, table: str) -> int:
    """Rows, as the format's own library counts them."""
    where = folder / "lake" / "posthog" / table
    if table_format == "delta":
        return len(DeltaTable(where).to_pyarrow_table())
    return StaticTable.from_metadata(str(max(where.glob("metadata/*.metadata.json")))).scan().count()


@pytest.mark.parametrize("table_format", ["delta", "iceberg"] if LONG else ["iceberg"])
def test_every_table_is_loaded_and_proven(
    table_format: str, quick: InProcess, posthog: Sandbox, tmp_path: Path
) -> None:
    quick.pointed_at(posthog)
    there = ("--destination", "parquet", "--bucket-url", "lake", "--table-format", table_format)
    assert "new" in quick("doctor", *there).out
    tables = () if LONG else (*CORE, "sessions", "session_recordings", "insight_results", "insights", "cohorts")
    outcome = quick("sync", *tables, *there, "--format", "json")
    assert outcome.code == 0, outcome.err
    assert outcome.of("result")[0]["status"] == "complete"
    held = {each["table"]: each["rows_total"] for each in outcome.of("table")}
    assert len(held) > (7 if tables else 35)
    for table in held.keys() - {"insight_correlation"}:  # nobody has one, so it is no table
        assert rows_of(tmp_path, table_format, table) == held[table], table

    quick.environment["DLT_DATA_DIR"] = str(tmp_path / "another-machine")
    again = quick("sync", "events", "cohorts", "insights", "insight_results", *there, "--format", "json")
    assert again.code == 0, again.err
    assert {each["table"]: each["rows_total"] for each in again.of("table")}.items() <= held.items()
    status = quick("status", *there, "--format", "json")
    assert {each["table"]: each["rows"] for each in status.of("table")}["events"] == held["events"]
    assert f"{table_format.capitalize()} tables" in quick("doctor", *there).out
    query = quick("query", "SELECT event, count() AS n FROM events GROUP BY event", *there, "--table", "per_event")
    assert query.code == 0, query.err
    compacted = quick("compact", *there[2:], "--format", "json")
    assert compacted.code == 0, compacted.err
    assert "sync_windows" in {each["folder"] for each in compacted.of("folder")}
    assert rows_of(tmp_path, table_format, "events") == held["events"]
    retype = quick("retype", *there)
    assert retype.code == 0, retype.err
    assert "events: every column is what the JSON of its rows says" in retype.out


def test_a_table_format_in_the_settings_is_one_as_well(quick: InProcess, posthog: Sandbox, tmp_path: Path) -> None:
    quick.settings('[sync]\ndestination = "parquet"\ntable_format = "delta"\n').pointed_at(posthog)
    assert quick("sync", "cohorts").code == 0
    assert rows_of(tmp_path, "delta", "cohorts") == posthog.list_counts()["cohorts"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--destination", "parquet", "--table-format", "detla"), ("detla (--table-format)", "Did you mean delta?")),
        (("--destination", "parquet", "--table-format", "hudi"), ("hudi", "delta, iceberg", "plain Parquet files")),
        (("--destination", "duckdb", "--table-format", "delta"), ("--table-format says nothing", "parquet")),
        (("--destination", "snowflake", "--table-format", "iceberg"), ("--table-format says nothing", "parquet")),
    ],
    ids=["misspelled", "unknown", "duckdb", "snowflake"],
)
def test_a_table_format_that_cannot_be_is_told(
    arguments: tuple[str, ...], words: tuple[str, ...], quick: InProcess, posthog: Sandbox
) -> None:
    posthog.reset_counters()
    outcome = quick.pointed_at(posthog)("sync", *arguments)
    assert outcome.code == 2
    assert_one_screen(outcome.err, *words)
    assert posthog.counters()["requests"] == 0


def test_a_missing_package_is_told_before_anything_is_asked(
    quick: InProcess, posthog: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "dlt.common.libs.deltalake", None)
    posthog.reset_counters()
    outcome = quick.pointed_at(posthog)("sync", "--destination", "parquet", "--table-format", "delta")
    assert outcome.code == 2
    assert_one_screen(outcome.err, 'pip install "dlt[deltalake]"')
    assert posthog.counters()["requests"] == 0
    assert not (tmp_path / "lake").exists()


def test_tables_of_one_format_are_not_taken_for_others(quick: InProcess, posthog: Sandbox) -> None:
    quick.pointed_at(posthog)
    there = ("--destination", "parquet", "--bucket-url", "lake")
    assert quick("sync", "cohorts", *there, "--table-format", "delta").code == 0
    posthog.reset_counters()
    for given in ((), ("--table-format", "iceberg")):
        outcome = quick("sync", *there, *given)
        assert outcome.code == 6
        assert_one_screen(outcome.err, "holds Delta tables", "--table-format delta", "nothing was changed")
    assert posthog.counters()["requests"] == 0
