"""A DuckLake loaded through files that stay where they are holds what dlt's own destination loads, written once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from dlt.destinations.impl.ducklake.ducklake import DuckLakeClient
from dlt.destinations.impl.ducklake.sql_client import DuckLakeSqlClient
from dlt.destinations.job_client_impl import SqlLoadJob
from dlt.pipeline.exceptions import PipelineStepFailed

from posthog_warehouse.destinations.destination import Place
from posthog_warehouse.destinations.ducklake import DuckLake
from posthog_warehouse.destinations.ducklake_in_place import FILES, LakeClient, LakeSqlClient, ducklake_in_place
from posthog_warehouse.destinations.errors import DestinationUnusable
from posthog_warehouse.destinations.kinds import BY_NAME
from posthog_warehouse.destinations.read_in_place import InPlaceJob
from tests.destinations.test_read_in_place import LOADS, contents, resource, rows
from tests.faults.syncing import LONG

Load = Callable[[], Any]
ALIKE = (
    "rows again",
    "a key twice in one package",
    "rows that are deleted",
    "tables within a table, as files",
    "a column more in one file",
    "a table that is replaced",
    "other columns than before",
)
"""Of the loads of a DuckDB file those for which dlt writes different SQL."""


class Lake:
    """A lake of its own, its catalog in a DuckDB file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def opened(self) -> Iterator[DuckLake]:
        with pytest.MonkeyPatch.context() as patch:
            settings = "DESTINATION__DUCKLAKE__CREDENTIALS"
            patch.setenv(f"{settings}__CATALOG", f"duckdb:///{self._folder}.duckdb")
            patch.setenv(f"{settings}__STORAGE__BUCKET_URL", str(self._folder))
            with DuckLake(BY_NAME["ducklake"], Place("lake", "", "", "300MB")) as destination:
                yield destination

    @contextmanager
    def connected(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with self.opened() as destination, destination.session():
            connection: duckdb.DuckDBPyConnection = destination.client.sql_client.native_connection
            yield connection

    def load(self, *loads: Load) -> None:
        with self.opened() as destination:
            for each in loads:
                pipeline = dlt.pipeline(
                    "test",
                    pipelines_dir=f"{self._folder}.dlt",
                    destination=destination.dlt_destination(),
                    dataset_name="lake",
                )
                pipeline.run(each())

    def contents(self) -> dict[str, Any]:
        with self.connected() as connection:
            return contents(connection)

    def files(self, table: str) -> list[pq.FileMetaData]:
        """Of a table of the dataset, or of `*/TABLE`: of one of any dataset."""
        return [pq.read_metadata(file) for file in sorted(self._folder.glob(f"{table}/*.parquet"))]


@pytest.fixture
def new_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Lake]:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("LOAD__TRUNCATE_STAGING_DATASET", "true")
    return lambda name: Lake(tmp_path / name)


@pytest.mark.parametrize("what", ALIKE if LONG else ALIKE[1:4:2])
def test_the_same_as_with_the_destination_of_dlt(
    what: str, new_lake: Callable[[str], Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = new_lake("ours"), new_lake("theirs")
    ours.load(*LOADS[what])
    with monkeypatch.context() as patch:
        patch.setattr("posthog_warehouse.destinations.ducklake.ducklake_in_place", dlt.destinations.ducklake)
        theirs.load(*LOADS[what])

    assert ours.contents() == theirs.contents()
    assert ours.contents()["things"][1], "something was loaded"


def test_rows_are_written_once(new_lake: Callable[[str], Lake]) -> None:
    lake = new_lake("ours")
    lake.load(lambda: resource([rows(range(20)), rows(range(20, 40))]))
    assert [file.num_rows for file in lake.files("*/things")] == [40]
    # The files of a lake stay, for those who look back: a staged copy would be there for good.
    lake.load(lambda: resource([rows(range(15, 40))], write_disposition="replace"))
    assert sorted(file.num_rows for file in lake.files("*/things")) == [25, 40]


def test_row_groups_are_as_large_as_memory_allows_for_wide_rows(new_lake: Callable[[str], Lake]) -> None:
    page = pa.table({"id": [str(n) for n in range(80_000)], "doc": [f'"{n}{"x" * 1_500}"' for n in range(80_000)]})
    narrow = pa.table({"id": [str(n) for n in range(80_000)]})
    lake = new_lake("ours")
    lake.load(
        lambda: resource([page], columns={"doc": {"data_type": "json"}}),
        lambda: resource([narrow], columns={}, name="narrow"),
    )
    [wide], [slim] = lake.files("lake/things"), lake.files("lake/narrow")
    assert wide.num_row_groups in (2, 3), "120 MB of texts"
    assert slim.num_row_groups == 1
    assert wide.row_group(0).column(1).compression == "ZSTD"


@pytest.mark.parametrize("scope", ["", ", schema => 'lake'"])
def test_what_the_lake_says_of_its_files_stays(scope: str, new_lake: Callable[[str], Lake]) -> None:
    lake = new_lake("ours")
    lake.load(lambda: resource([rows(range(1))]))
    with lake.connected() as connection:
        connection.execute("DELETE FROM __ducklake_metadata_ducklake.ducklake_metadata WHERE key LIKE 'parquet%'")
    with lake.connected() as connection:
        connection.execute(f"CALL ducklake.set_option('parquet_row_group_size', 2048{scope})")
        connection.execute(f"CALL ducklake.set_option('parquet_compression', 'gzip'{scope})")
    lake.load(lambda: resource([pa.table({"id": [str(n) for n in range(5_000)]})], columns={}, name="more"))
    with lake.connected() as connection:
        options = connection.execute(
            "SELECT option_name, value FROM ducklake_options('ducklake') WHERE option_name LIKE 'parquet%'"
        ).fetchall()
    assert sorted(options) == [("parquet_compression", "gzip"), ("parquet_row_group_size", "2048")]
    [file] = lake.files("lake/more")
    assert (file.num_row_groups, file.row_group(0).column(0).compression) == (3, "GZIP")


def test_a_lake_of_before_gets_files_like_these_from_now_on(
    new_lake: Callable[[str], Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = new_lake("ours")
    with monkeypatch.context() as patch:
        patch.setattr("posthog_warehouse.destinations.ducklake.ducklake_in_place", dlt.destinations.ducklake)
        lake.load(lambda: resource([rows(range(20))]))
    lake.load(lambda: resource([rows(range(20, 40))]))
    with lake.connected() as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT id) FROM lake.things").fetchall() == [(40, 40)]
        options = connection.execute("SELECT option_name, scope, scope_entry FROM ducklake_options('ducklake')")
        assert {(name, "SCHEMA", "lake") for name in FILES} <= set(options.fetchall())


@pytest.mark.parametrize(("columns", "limits"), [(300, []), (500, ["SET memory_limit = '501000000B'"])])
def test_a_wide_table_gets_the_memory_it_needs(
    columns: int, limits: list[str], new_lake: Callable[[str], Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    merge = SqlLoadJob.run

    def spy(job: Any) -> None:
        said.extend(line for line in Path(job._file_path).read_text().splitlines() if line.startswith("SET"))
        merge(job)

    monkeypatch.setattr(SqlLoadJob, "run", spy)
    page = pa.table({"id": ["a", "b"], **{f"c{number}": [1, 2] for number in range(columns)}})
    lake = new_lake("ours")
    lake.load(lambda: resource([page], columns={}))
    assert said == limits
    assert lake.contents()["things"][1]


def test_a_file_that_cannot_be_read_changes_nothing(
    new_lake: Callable[[str], Lake], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = new_lake("ours")
    lake.load(lambda: resource([rows(range(10))]))
    before = lake.contents()
    monkeypatch.setattr(InPlaceJob, "run", lambda job: Path(job._file_path).write_bytes(b"PAR1"))
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    with pytest.raises(PipelineStepFailed):
        lake.load(lambda: resource([rows(range(20))]))
    assert lake.contents() == before


def test_too_little_memory_is_told_with_what_gives_more(new_lake: Callable[[str], Lake]) -> None:
    with (
        new_lake("ours").opened() as destination,
        duckdb.connect(config={"memory_limit": "1MB", "temp_directory": ""}) as connection,
    ):
        with pytest.raises(duckdb.OutOfMemoryException) as error:
            connection.execute("CREATE TABLE t AS SELECT hash(range) FROM range(10_000_000)")
        told = destination.explain(error.value)
    assert isinstance(told, DestinationUnusable)
    assert "memory_limit in [sync]" in told.advice


def test_the_names_of_dlt_that_this_relies_on(new_lake: Callable[[str], Lake]) -> None:
    assert dlt.destinations.ducklake().client_class is DuckLakeClient
    assert ducklake_in_place().client_class is LakeClient
    with new_lake("ours").opened() as destination:
        client = destination.client
        assert isinstance(client, LakeClient)
        theirs = DuckLakeClient(client.schema, client.config, client.capabilities)
        assert type(theirs.sql_client) is DuckLakeSqlClient
        assert type(client.sql_client) is LakeSqlClient
        # All that a SQL client of theirs is made of.
        assert vars(theirs.sql_client).keys() == vars(client.sql_client).keys()
        for name in ("dataset_name", "staging_dataset_name", "credentials"):
            assert getattr(client.sql_client, name) == getattr(theirs.sql_client, name)
        assert client.sql_client.attach_statement == theirs.sql_client.attach_statement
