"""DuckDB as whoever knows it reads the tables: its own extensions, and nothing of this project's."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import duckdb

from tests.destinations.lake.s3 import KEY, SECRET, S3Server

EXTENSIONS = ("httpfs", "avro", "delta", "iceberg")
"""In the order in which one needs the other."""


@cache
def reader() -> duckdb.DuckDBPyConnection:
    """A connection that remembers nothing of files that it has read."""
    con = duckdb.connect(config={"autoinstall_known_extensions": False})
    for name in EXTENSIONS:
        package = find_spec(f"duckdb_extension_{name}")
        assert package is not None
        assert package.origin is not None
        file = f"extensions/v{duckdb.__version__}/{name}.duckdb_extension"
        con.execute(f"LOAD '{Path(package.origin).parent / file}'")
    con.execute("SET TimeZone = 'UTC'; SET enable_external_file_cache = false")
    return con


def reader_of(server: S3Server | None) -> duckdb.DuckDBPyConnection:
    """One that may read the buckets of a server."""
    con = reader()
    if server is not None:
        endpoint = server.endpoint.removeprefix("http://")
        con.execute(
            f"CREATE OR REPLACE SECRET (TYPE s3, KEY_ID '{KEY}', SECRET '{SECRET}', REGION 'us-east-1', "
            f"ENDPOINT '{endpoint}', USE_SSL false, URL_STYLE 'path')"
        )
    return con
