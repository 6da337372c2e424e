"""Tables of tests: where they lie, how a pipeline fills them, and what the formats' own libraries read of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from pyiceberg.table import StaticTable, Table

from posthog_warehouse.destinations.open_tables import OpenTables, open_tables
from tests.destinations.lake.lakes import DATASET, EVENT_COLUMNS, Row, as_arrow
from tests.destinations.lake.s3 import KEY, SECRET, S3Server
from tests.destinations.open_tables.duckdb_reader import reader_of

FORMATS = ("delta", "iceberg")


@dataclass(frozen=True)
class Tables:
    """The tables of one dataset, in one format."""

    format: str
    url: str

    def opened(self) -> OpenTables:
        return OpenTables(self.url, DATASET, table_format=self.format)

    def read(self, table: str) -> pa.Table:
        """All rows, as whoever knows the format reads them: without anything of this project's.

        The format's own library reads them, and so does DuckDB, and both have to find the same.
        """
        found = pa.table(
            self.delta(table).to_pyarrow_table() if self.format == "delta" else self.iceberg(table).scan().to_arrow()
        )
        rows = self.duckdb.execute(f"SELECT * FROM {self.scan(table)}").to_arrow_table()
        assert rows.column_names == found.column_names
        assert told(rows) == told(found)
        return found

    def scan(self, table: str) -> str:
        """What a reader writes who has DuckDB: the contract."""
        return f"{self.format}_scan('{self.url}/{DATASET}/{table}')"

    @property
    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """DuckDB with its readers of these formats."""
        return reader_of(None)

    def commits(self, table: str) -> int:
        """How many there were."""
        return (
            self.delta(table).version() + 1 if self.format == "delta" else len(self.iceberg(table).metadata.snapshots)
        )

    def delta(self, table: str) -> DeltaTable:
        return DeltaTable(f"{self.url}/{DATASET}/{table}", storage_options=self.delta_options)

    def iceberg(self, table: str) -> Table:
        newest = self.metadata_files(table)[-1]
        return StaticTable.from_metadata(newest, self.iceberg_options)

    @property
    def delta_options(self) -> dict[str, str]:
        return {}

    @property
    def iceberg_options(self) -> dict[str, str]:
        return {}

    def metadata_files(self, table: str) -> list[str]:
        """Of an Iceberg table, the newest last."""
        raise NotImplementedError


@dataclass(frozen=True)
class LocalTables(Tables):
    def metadata_files(self, table: str) -> list[str]:
        return sorted(map(str, Path(self.url, DATASET, table, "metadata").glob("*.metadata.json")))


@dataclass(frozen=True)
class S3Tables(Tables):
    server: S3Server

    @property
    def duckdb(self) -> duckdb.DuckDBPyConnection:
        return reader_of(self.server)

    @property
    def delta_options(self) -> dict[str, str]:
        return self.server.object_store

    @property
    def iceberg_options(self) -> dict[str, str]:
        return {
            "s3.endpoint": self.server.endpoint,
            "s3.access-key-id": KEY,
            "s3.secret-access-key": SECRET,
            "s3.region": "us-east-1",
        }

    def metadata_files(self, table: str) -> list[str]:
        found = self.server.fs.glob(f"{self.url}/{DATASET}/{table}/metadata/*.metadata.json")
        return sorted(f"s3://{path}" for path in found)


def told(rows: pa.Table) -> tuple[int, int]:
    """How many rows these are, and a sum over whole rows that does not depend on their order."""
    return len(rows), sum(hash(repr(row)) for row in rows.to_pylist())


def load_events(tables: Tables, rows: Sequence[Row], **hints: Any) -> None:
    """Merges rows of events, as Arrow, as the source does."""
    load(tables, "events", rows, columns={**EVENT_COLUMNS, **hints}, primary_key="uuid")


def load(
    tables: Tables,
    name: str,
    rows: Sequence[Row],
    *,
    columns: Any = None,
    write_disposition: Any = None,
    fresh: bool = True,
    **hints: Any,
) -> None:
    """One load package with one table. `fresh`: without what dlt knows of earlier ones on this machine."""
    merge: Any = {"disposition": "merge", "strategy": "delete-insert"}
    given: Any = {"columns": columns, "write_disposition": write_disposition or merge, **hints}
    resource: Any = dlt.resource([as_arrow(rows, columns)] if columns and rows else list(rows), name=name, **given)
    destination = open_tables(tables.url, table_format=tables.format)
    try:
        pipeline = dlt.pipeline("test", destination=destination, dataset_name=DATASET)
        if fresh:
            pipeline = pipeline.drop()
            pipeline.sync_destination()
        pipeline.run(resource)
    finally:
        destination.close()


def numbers(tables: Tables) -> list[int]:
    """The numbers of the events that a reader finds, with those that it finds twice."""
    return sorted(int(uuid[-12:]) for uuid in tables.read("events").column("uuid").to_pylist())
