"""Lakes of tests: where they lie, how a pipeline fills them, and what a reader's plain glob finds there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import dlt
import duckdb
import pyarrow as pa

from posthog_warehouse.destinations.lake import lake
from tests.destinations.lake.s3 import S3Server

DATASET = "posthog"
Row = dict[str, Any]

EVENT_COLUMNS: Any = {
    "uuid": {"data_type": "text", "nullable": False},
    "event": {"data_type": "text"},
    "timestamp": {"data_type": "timestamp", "timezone": True, "precision": 6},
    "created_at": {"data_type": "timestamp", "timezone": True, "precision": 6, "dedup_sort": "desc"},
    "properties": {"data_type": "json"},
}


class Place(Protocol):
    """Where a lake lies."""

    @property
    def url(self) -> str:
        """Its address."""

    def connect(self) -> duckdb.DuckDBPyConnection:
        """A reader: DuckDB alone, with nothing of this project's."""

    def files(self, table: str) -> dict[str, str]:
        """The Parquet files that a glob finds, relative to the dataset, each with what changes when it does."""

    def remove(self, path: str) -> None:
        """Removes a file, by its path relative to the dataset."""

    def put(self, path: str, content: bytes) -> None:
        """Makes a file."""

    def get(self, path: str) -> bytes:
        """A file's content."""

    def all_files(self) -> list[str]:
        """Whatever lies in the dataset."""


@dataclass(frozen=True)
class LocalPlace:
    folder: Path

    @property
    def url(self) -> str:
        return str(self.folder)

    def connect(self) -> duckdb.DuckDBPyConnection:
        return _connected()

    @property
    def _root(self) -> Path:
        return self.folder / DATASET

    def files(self, table: str) -> dict[str, str]:
        found = sorted((self._root / table).glob("**/*.parquet"))
        return {str(f.relative_to(self._root)): f"{f.stat().st_ino}-{f.stat().st_mtime_ns}" for f in found}

    def remove(self, path: str) -> None:
        (self._root / path).unlink()

    def put(self, path: str, content: bytes) -> None:
        (self._root / path).parent.mkdir(parents=True, exist_ok=True)
        (self._root / path).write_bytes(content)

    def get(self, path: str) -> bytes:
        return (self._root / path).read_bytes()

    def all_files(self) -> list[str]:
        return sorted(str(f.relative_to(self._root)) for f in self._root.glob("**/*") if f.is_file())


class ObjectServer(Protocol):
    """A server of an object store, and how dlt is told of it."""

    scheme: str

    @property
    def environment(self) -> dict[str, str]:
        """Settings of dlt for it."""

    def new_bucket(self) -> str:
        """An empty bucket."""

    @property
    def fs(self) -> Any:
        """Its files, for readers; lists are never remembered."""

    @property
    def object_store(self) -> dict[str, str] | None:
        """How the object_store crate, by which Polars reads, is told of it; None: it lacks what that asks."""


@dataclass(frozen=True)
class BucketPlace:
    """A lake in an object store."""

    server: ObjectServer
    bucket: str
    folder: str = "lake"

    @property
    def url(self) -> str:
        return f"{self.server.scheme}://{self.bucket}/{self.folder}"

    def connect(self) -> duckdb.DuckDBPyConnection:
        con = _connected()
        con.register_filesystem(self.server.fs)
        return con

    @property
    def _root(self) -> str:
        return f"{self.bucket}/{self.folder}/{DATASET}"

    def files(self, table: str) -> dict[str, str]:
        found = self.server.fs.find(f"{self._root}/{table}", detail=True)
        versions = ("ETag", "etag", "generation", "LastModified", "last_modified")
        return {
            name.removeprefix(f"{self._root}/"): "".join(str(info.get(version)) for version in versions)
            for name, info in sorted(found.items())
            if name.endswith(".parquet")
        }

    def remove(self, path: str) -> None:
        self.server.fs.rm_file(f"{self._root}/{path}")

    def put(self, path: str, content: bytes) -> None:
        self.server.fs.pipe_file(f"{self._root}/{path}", content)

    def get(self, path: str) -> bytes:
        return bytes(self.server.fs.cat_file(f"{self._root}/{path}"))

    def all_files(self) -> list[str]:
        return sorted(name.removeprefix(f"{self._root}/") for name in self.server.fs.find(self._root))


@dataclass(frozen=True)
class S3Place(BucketPlace):
    server: S3Server


def _connected() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    return con


def event(number: int, timestamp: str, **more: Any) -> Row:
    """A row of events; its key is of `number`."""
    return {
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "event": "$pageview",
        "timestamp": timestamp,
        "created_at": timestamp,
        "properties": '{"n": 1}',
        **more,
    }


def load_events(place: Place, rows: Sequence[Row], *, name: str = "events", **hints: Any) -> None:
    """Merges rows of events, as Arrow, as the source does."""
    load(place, name, rows, columns={**EVENT_COLUMNS, **hints}, primary_key="uuid")


def load(
    place: Place,
    name: str,
    rows: Sequence[Row],
    *,
    columns: Any = None,
    write_disposition: Any = None,
    pipeline_name: str = "test",
    fresh: bool = True,
    **hints: Any,
) -> None:
    """One load package with one table. `fresh`: without what dlt knows of earlier ones on this machine."""
    merge: Any = {"disposition": "merge", "strategy": "delete-insert"}
    given: Any = {"columns": columns, "write_disposition": write_disposition or merge, **hints}
    resource: Any = dlt.resource([as_arrow(rows, columns)] if columns and rows else list(rows), name=name, **given)
    destination = lake(place.url)
    try:
        pipeline = dlt.pipeline(pipeline_name, destination=destination, dataset_name=DATASET)
        if fresh:
            pipeline = pipeline.drop()
            pipeline.sync_destination()
        pipeline.run(resource)
    finally:
        destination.close()


_ARROW = {
    "text": pa.string(),
    "json": pa.string(),
    "timestamp": pa.timestamp("us", "UTC"),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.date32(),
}


def as_arrow(rows: Sequence[Row], columns: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    """Rows as an Arrow table, with the types that dlt's columns have."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    made = {}
    for name in names:
        kind = _arrow_type(columns[name])
        is_text = pa.types.is_temporal(kind) or pa.types.is_decimal(kind)
        made[name] = pa.array([row.get(name) for row in rows], pa.string() if is_text else kind).cast(kind)
    return pa.table(made)


def _arrow_type(column: Mapping[str, Any]) -> pa.DataType:
    if column["data_type"] == "decimal":
        return pa.decimal128(column["precision"], column["scale"])
    return _ARROW[column["data_type"]]


def glob_of(place: Place, table: str) -> str:
    """What a reader writes: the contract."""
    return f"read_parquet('{place.url}/{DATASET}/{table}/**/*.parquet', hive_partitioning=true, union_by_name=true)"


def read(place: Place, table: str, columns: Iterable[str], order: str = "1") -> list[tuple[Any, ...]]:
    """What the glob finds."""
    with place.connect() as con:
        return con.execute(f"SELECT {', '.join(columns)} FROM {glob_of(place, table)} ORDER BY {order}").fetchall()


def numbers(place: Place, table: str = "events") -> list[int]:
    """The numbers of the events that the glob finds, with those that it finds twice."""
    return sorted(int(uuid[-12:]) for (uuid,) in read(place, table, ["uuid"]))
