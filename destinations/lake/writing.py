"""How a Parquet file of a lake is written: zstd, sorted, in row groups that readers can leave out, with our mark."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from .engine import literal, names
from .layout import FORMAT, MARK, ROW_GROUP_ROWS
from .store import File, Store

_ORDER = "posthog_warehouse_sorted_by"


def write_rows(
    store: Store, con: duckdb.DuckDBPyConnection, rows: str, relative: str, *, table: str, order: Sequence[str]
) -> File:
    """Makes or replaces a file of `table` with the rows of a query, sorted by `order`."""
    scratch = store.scratch_file()
    try:
        write_scratch(con, rows, scratch, table=table, order=order)
        return store.put(scratch, relative)
    finally:
        scratch.unlink(missing_ok=True)


def write_scratch(
    con: duckdb.DuckDBPyConnection, rows: str, scratch: Path, *, table: str, order: Sequence[str]
) -> None:
    """Writes such a file where no reader looks."""
    by = f" ORDER BY {names(order)}" if order else ""
    con.execute(
        f"COPY (SELECT * FROM ({rows}){by}) TO {literal(str(scratch))} (FORMAT parquet, COMPRESSION zstd, "
        f"ROW_GROUP_SIZE {ROW_GROUP_ROWS}, KV_METADATA {{{MARK}: '{FORMAT}', "
        f"posthog_warehouse_table: {literal(table)}, {_ORDER}: {literal(chr(31).join(order))}}})"
    )


def order_of(local: Path) -> tuple[str, ...]:
    """By which columns the rows of a file are sorted."""
    told = (pq.read_metadata(local).metadata or {}).get(_ORDER.encode(), b"").decode()
    return tuple(told.split(chr(31))) if told else ()
