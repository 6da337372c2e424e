"""Readers of a lake, each with a plain glob (or the folder, where it knows no glob), and nothing of this project's.

Every one answers the same: rows, distinct keys, and for each UTC day and event name the rows; and the sum of a number
of each row that depends on its uuid, its time to the microsecond, and its text.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from tests.destinations.lake.lakes import DATASET, BucketPlace, Place

HAS_JAVA = shutil.which("java") is not None


@dataclass(frozen=True)
class Seen:
    """What a reader found in events."""

    rows: int
    keys: int
    cells: tuple[tuple[str, str, int], ...]
    """Rows by partition (the UTC day) and event name."""
    checksum: str
    """Of uuid, microseconds and properties of all rows, in the order of their uuids."""


def _seen(table: pa.Table) -> Seen:
    """The facts of a table that a reader has read: columns day, uuid, event, micros, properties."""
    table = table.sort_by("uuid")
    cells = table.group_by(["day", "event"]).aggregate([([], "count_all")]).to_pylist()
    text = pc.binary_join_element_wise(
        table["uuid"].cast(pa.string()),
        table["micros"].cast(pa.int64()).cast(pa.string()),
        table["properties"].cast(pa.string()),
        "|",
    )
    digest = hashlib.sha256("\n".join(text.to_pylist()).encode()).hexdigest()
    rows = sorted((each["day"], each["event"], each["count_all"]) for each in cells)
    return Seen(table.num_rows, pc.count_distinct(table["uuid"]).as_py(), tuple(rows), digest)


def by_duckdb(place: Place) -> Seen:
    with place.connect() as con:
        glob = f"{place.url}/{DATASET}/events/**/*.parquet"
        found = con.execute(
            "SELECT CAST(date AS VARCHAR) AS day, uuid, event, epoch_us(timestamp) AS micros, properties "
            f"FROM read_parquet('{glob}', hive_partitioning=true)"
        )
        return _seen(found.to_arrow_table())


def by_pyarrow(place: Place) -> Seen:
    folder = f"{place.url}/{DATASET}/events"
    partitioning = ds.partitioning(pa.schema([("date", pa.date32())]), flavor="hive")
    if isinstance(place, BucketPlace):
        fs: Any = pa.fs.PyFileSystem(pa.fs.FSSpecHandler(place.server.fs))
        data = ds.dataset(folder.partition("://")[2], filesystem=fs, partitioning=partitioning)
    else:
        data = ds.dataset(folder, partitioning=partitioning)
    table = data.to_table()
    return _seen(
        pa.table(
            {
                "day": table["date"].cast(pa.string()),
                "uuid": table["uuid"],
                "event": table["event"],
                "micros": table["timestamp"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()),
                "properties": table["properties"],
            }
        )
    )


def by_polars(place: Place) -> Seen:
    with ExitStack() as opened:
        folder, options = f"{place.url}/{DATASET}/events", {}
        if isinstance(place, BucketPlace):
            if place.server.object_store is None:
                folder = opened.enter_context(_copied(place))
            else:
                options = place.server.object_store
        frame = pl.scan_parquet(f"{folder}/**/*.parquet", hive_partitioning=True, storage_options=options or None)
        columns = [
            pl.col("date").cast(pl.String).alias("day"),
            pl.col("uuid"),
            pl.col("event"),
            pl.col("timestamp").dt.epoch("us").alias("micros"),
            pl.col("properties"),
        ]
        return _seen(frame.select(columns).collect().to_arrow())


@contextmanager
def _copied(place: BucketPlace) -> Iterator[str]:
    """A folder of this machine with the files of events, for who does not read this store."""
    with TemporaryDirectory() as folder:
        place.server.fs.get(f"{place.bucket}/{place.folder}/{DATASET}/events", folder, recursive=True)
        yield f"{folder}/events"


@lru_cache(maxsize=1)
def _spark() -> Any:
    from pyspark.sql import SparkSession  # noqa: PLC0415 - it starts a JVM

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    return (
        SparkSession.builder.master("local[1]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.driver.memory", "600m")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .getOrCreate()
    )


def by_spark(place: Place) -> Seen:
    # Spark reads object stores by Hadoop's connectors, which Maven has and PyPI has not: it is given copies.
    with ExitStack() as opened:
        folder = f"{place.url}/{DATASET}/events"
        if isinstance(place, BucketPlace):
            folder = opened.enter_context(_copied(place))
        frame = (
            _spark()
            .read.parquet(folder)
            .selectExpr(
                "cast(date as string) as day", "uuid", "event", "unix_micros(timestamp) as micros", "properties"
            )
        )
        rows = [tuple(row) for row in frame.collect()]
    names = ("day", "uuid", "event", "micros", "properties")
    return _seen(pa.table({name: [row[n] for row in rows] for n, name in enumerate(names)}))


READERS: dict[str, Callable[[Place], Seen]] = {
    "duckdb": by_duckdb,
    "pyarrow": by_pyarrow,
    "polars": by_polars,
    "spark": by_spark,
}


def of_database(path: str) -> Seen:
    """The same of a DuckDB file's table, to compare with."""
    with duckdb.connect(path, read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        found = con.execute(
            "SELECT strftime(timestamp AT TIME ZONE 'UTC', '%Y-%m-%d') AS day, CAST(uuid AS VARCHAR) AS uuid, event, "
            f"epoch_us(timestamp) AS micros, CAST(properties AS VARCHAR) AS properties FROM {DATASET}.events"
        )
        return _seen(found.to_arrow_table())


def can_read(reader: str) -> bool:
    """Whether this machine has what the reader needs."""
    return reader != "spark" or HAS_JAVA
