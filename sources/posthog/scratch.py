"""A DuckDB in memory for work on texts: one for each thread, with one thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa

_local = threading.local()


def column_of(sql: str, texts: pa.Array | pa.ChunkedArray, values: Sequence[object] = ()) -> pa.Array:
    """The one column that `sql` makes of the one column `json_text` of `page`; `values` are its parameters."""
    connection = _connection()
    connection.register("page", pa.table({"json_text": texts}))
    try:
        column = connection.execute(sql, list(values)).to_arrow_table().column(0)
    finally:
        connection.unregister("page")
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _connection() -> duckdb.DuckDBPyConnection:
    """This thread's."""
    connection: duckdb.DuckDBPyConnection | None = getattr(_local, "connection", None)
    if connection is None:
        # What its allocator keeps for later is 128 MB a thread by default.
        config: dict[str, Any] = {"threads": 1, "allocator_flush_threshold": "16MB"}
        connection = _local.connection = duckdb.connect(":memory:", config=config)
    return connection
