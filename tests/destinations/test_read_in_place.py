"""What is loaded through files that stay where they are is what dlt's own destination loads, written once."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob
from dlt.pipeline.exceptions import PipelineStepFailed

from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.destinations.duckdb_types import CompressingTypeMapper
from posthog_warehouse.destinations.read_in_place import InPlaceClient, InPlaceJob, duckdb_in_place

KEYS = [str(uuid.UUID(int=number)) for number in range(40)]
COLUMNS: Any = {"id": {"data_type": "text", "x-uuid": True, "nullable": False}, "doc": {"data_type": "json"}}
MERGE: Any = {"disposition": "merge", "strategy": "delete-insert"}


def rows(numbers: range, **more: Any) -> pa.Table:
    return pa.table(
        {
            "id": [KEYS[number] for number in numbers],
            "n": list(numbers),
            "doc": [f'{{"n": {number}}}' for number in numbers],
            **{name: [value] * len(numbers) for name, value in more.items()},
        }
    )


def resource(pages: list[Any], **hints: Any) -> Any:
    settings: dict[str, Any] = {
        "name": "things",
        "primary_key": "id",
        "write_disposition": MERGE,
        "columns": COLUMNS,
        "file_format": "parquet",
        **hints,
    }
    return dlt.resource(**settings)(lambda: iter(pages))()


NESTED = [{"id": KEYS[0], "n": 0, "parts": [{"a": 1}, {"a": 2}]}, {"id": KEYS[1], "n": 1, "parts": []}]

LOADS: dict[str, list[Callable[[], Any]]] = {
    "rows that are new": [lambda: resource([rows(range(10)), rows(range(10, 20))])],
    "rows again": [lambda: resource([rows(range(10))]), lambda: resource([rows(range(5, 15), at="later")])],
    "a key twice in one package": [lambda: resource([rows(range(10)), rows(range(3, 8))])],
    "keys known to be different": [
        lambda: resource([rows(range(10))], write_disposition={**MERGE, "deduplicated": True}),
        lambda: resource([rows(range(8, 12))], write_disposition={**MERGE, "deduplicated": True}),
    ],
    "rows that are deleted": [
        lambda: resource([rows(range(10), gone=False)], columns={**COLUMNS, "gone": {"hard_delete": True}}),
        lambda: resource([rows(range(5), gone=True)], columns={**COLUMNS, "gone": {"hard_delete": True}}),
    ],
    "a column more in one file": [lambda: resource([rows(range(5)), rows(range(5, 10), late=1.5)])],
    "no rows at all": [lambda: resource([rows(range(0))]), lambda: resource([rows(range(3))])],
    "a table that is replaced": [
        lambda: resource([rows(range(10))], write_disposition="replace"),
        lambda: resource([rows(range(20, 25))], write_disposition="replace"),
    ],
    "rows that are appended": [lambda: resource([rows(range(3))], write_disposition="append")] * 2,
    "tables within a table": [
        lambda: resource([NESTED], max_table_nesting=1, file_format=None),
        lambda: resource([NESTED[:1]], max_table_nesting=1, file_format=None),
    ],
    "tables within a table, as files": [
        lambda: resource([NESTED], max_table_nesting=1),
        lambda: resource([NESTED[:1]], max_table_nesting=1),
    ],
    "a replaced table with tables within": [
        lambda: resource([NESTED], max_table_nesting=1, write_disposition="replace"),
        lambda: resource([NESTED[1:]], max_table_nesting=1, write_disposition="replace"),
    ],
    "other columns than before": [
        lambda: resource([rows(range(4), one=1)]),
        lambda: resource([rows(range(2, 6), two=2)]),
    ],
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., duckdb.DuckDBPyConnection]]:
    """Loads into a new file, and gives a connection to it."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("LOAD__TRUNCATE_STAGING_DATASET", "true")
    opened = []

    def load(name: str, kind: Any, loads: list[Callable[[], Any]], **how: Any) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(
            str(tmp_path / f"{name}.duckdb"), config={"storage_compatibility_version": "latest"}
        )
        opened.append(connection)
        destination: Any = kind(
            connection,
            type_mapper=CompressingTypeMapper,
            replace_strategy="insert-from-staging",
            destination_name="duckdb",
        )
        for each in loads:
            pipeline = dlt.pipeline(
                name, pipelines_dir=str(tmp_path / "dlt"), destination=destination, dataset_name="lake"
            )
            pipeline.run(each(), **how)
        return connection

    yield load
    for connection in opened:
        connection.close()


def contents(connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """All tables of the dataset with their columns and rows, without what is of the one run."""
    tables = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'lake' AND NOT starts_with(table_name, '_dlt')"
    ).fetchall()
    found = {}
    for (table,) in tables:
        described = connection.execute(f"DESCRIBE lake.{table}").fetchall()
        columns = [(name, kind) for name, kind, *_ in described]
        names = ", ".join(f'"{name}"' for name, _ in columns if not name.startswith("_dlt"))
        found[table] = (
            sorted(columns),
            sorted(connection.execute(f"SELECT {names} FROM lake.{table}").fetchall(), key=str),
        )
    return found


@pytest.mark.parametrize("what", LOADS)
def test_the_same_as_with_the_destination_of_dlt(what: str, run: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    ours = run("ours", duckdb_in_place, LOADS[what])
    theirs = run("theirs", dlt.destinations.duckdb, LOADS[what])

    assert contents(ours) == contents(theirs)
    assert contents(ours)["things"][1], "something was loaded"
    assert ours.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall() == []


@pytest.mark.parametrize("what", ["rows again", "a table that is replaced", "tables within a table"])
def test_there_is_no_staging_dataset(what: str, run: Callable[..., duckdb.DuckDBPyConnection]) -> None:
    connection = run("ours", duckdb_in_place, LOADS[what])
    assert connection.execute(
        "SELECT DISTINCT schema_name, temporary FROM duckdb_tables() ORDER BY ALL"
    ).fetchall() == [("lake", False)]


def test_a_schema_called_like_one_for_staging_is_left_alone(
    run: Callable[..., duckdb.DuckDBPyConnection], tmp_path: Path
) -> None:
    connection = run("ours", duckdb_in_place, [])
    connection.execute("CREATE SCHEMA lake_staging")
    connection.execute("CREATE TABLE lake_staging.things AS FROM range(5) AS ours(id)")
    connection.execute("CREATE TABLE lake_staging._dlt_version AS SELECT 1 AS version")
    run("ours", duckdb_in_place, LOADS["rows again"])
    for refresh in ("drop_data", "drop_resources", "drop_sources"):
        run("ours", duckdb_in_place, LOADS["rows that are new"], refresh=refresh)
    pipeline = dlt.pipeline(
        "ours", pipelines_dir=str(tmp_path / "dlt"), destination=duckdb_in_place(connection), dataset_name="lake"
    )
    with pipeline.destination_client() as client:
        client.drop_storage()
    schemas = connection.execute("SELECT DISTINCT schema_name FROM duckdb_tables()").fetchall()
    assert schemas == [("lake_staging",)]
    assert connection.execute("FROM lake_staging.things ORDER BY ALL").fetchall() == [(n,) for n in range(5)]
    assert connection.execute("FROM lake_staging._dlt_version").fetchall() == [(1,)]


def test_types_and_compression_are_those_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    page = pa.table({"id": [str(uuid.uuid4()) for _ in range(5_000)], "doc": ['{"a": "' + "x" * 900 + '"}'] * 5_000})
    packed: list[str] = []
    monkeypatch.setattr(
        InPlaceJob,
        "run",
        lambda job: packed.append(pq.read_metadata(job._file_path).row_group(0).column(1).compression),
    )
    with DuckDbFile(tmp_path / "warehouse.duckdb") as file:
        pipeline = dlt.pipeline(
            "types", pipelines_dir=str(tmp_path), destination=file.dlt_destination(), dataset_name="posthog"
        )
        pipeline.run(resource([page]))
        file.connection.execute("CHECKPOINT")
        kinds = dict(
            file.connection.execute(
                "SELECT column_name, data_type FROM duckdb_columns() "
                "WHERE schema_name = 'posthog' AND table_name = 'things'"
            ).fetchall()
        )
        assert (kinds["id"], kinds["doc"]) == ("UUID", "JSON")
        stored = file.connection.execute(
            "SELECT DISTINCT compression FROM pragma_storage_info('posthog.things') "
            "WHERE column_name = 'doc' AND segment_type != 'VALIDITY'"
        ).fetchall()
        assert stored == [("ZSTD",)]
    assert packed == ["UNCOMPRESSED"], "what lives for seconds is not packed"


def test_a_file_that_cannot_be_read_changes_nothing(
    run: Callable[..., duckdb.DuckDBPyConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = run("ours", duckdb_in_place, [lambda: resource([rows(range(10))])])
    before = contents(connection)

    def spoil(job: Any) -> None:
        Path(job._file_path).write_bytes(b"PAR1")

    monkeypatch.setattr(InPlaceJob, "run", spoil)
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    with pytest.raises(PipelineStepFailed):
        run("ours", duckdb_in_place, [lambda: resource([rows(range(20))])])
    assert contents(connection) == before


def test_a_folder_whose_name_would_end_a_text_or_a_statement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    folder = tmp_path / "it's; a\nfolder"
    folder.mkdir()
    with DuckDbFile(tmp_path / "warehouse.duckdb") as file:
        pipeline = dlt.pipeline(
            "odd", pipelines_dir=str(folder), destination=file.dlt_destination(), dataset_name="posthog"
        )
        pipeline.run(resource([rows(range(3))]))
        assert file.totals(["things"]) == {"things": 3}


def test_ours_are_what_runs() -> None:
    assert duckdb_in_place().client_class is InPlaceClient
    assert issubclass(InPlaceJob, DuckDbCopyJob)
