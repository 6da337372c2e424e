"""Rows of a keyed table whose key another row has: how many are too many, and how they are removed.

A run alone leaves none. They come from what this program does not guard against: two runs at once in a store that does
not keep to conditions, files that were copied back, or lakes of versions that knew no fence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from ..duckdb_sql import count_repeated, identifier, literal, names
from .engine import connection, scan, scan_files
from .marks import order_of
from .store import File, Store
from .writing import write_rows

_BATCH_ROWS = 4_000


def count(store: Store, table: str, keys: Sequence[str], memory_limit: str) -> int:
    """Rows besides the first of each key. What does not fit in memory goes to the scratch folder."""
    files = store.files(table)
    if not files:
        return 0
    with connection(store, memory_limit, table) as con:
        row = con.execute(count_repeated(scan_files(store, files), keys)).fetchone()
    return int(row[0]) if row else 0


@dataclass(frozen=True)
class Holding:
    """A file with rows that are too many, and a query of all others in it."""

    file: File
    kept: str


def find(
    con: duckdb.DuckDBPyConnection, store: Store, table: str, keys: Sequence[str], newest_by: str | None
) -> list[Holding]:
    """The files with rows that are too many. Of each key the newest row by the column `newest_by` stays; None: one row.

    The queries in the result need the temporary table `surplus`, which is made here on `con`.
    """
    files = store.files(table)
    if not files:
        return []
    source = scan_files(store, files, ", file_row_number = true, filename = true")
    order = "" if newest_by is None else f"{identifier(newest_by)} DESC NULLS LAST, "
    con.execute(
        f"CREATE TEMP TABLE surplus AS SELECT filename AS _file, file_row_number AS _row FROM {source} SEMI JOIN "
        f"(SELECT {names(keys)} FROM {scan_files(store, files)} GROUP BY {names(keys)} HAVING count(*) > 1) "
        f"USING ({names(keys)}) "
        f"QUALIFY row_number() OVER (PARTITION BY {names(keys)} ORDER BY {order}filename DESC, file_row_number) > 1"
    )
    holding = {path for (path,) in con.execute("SELECT DISTINCT _file FROM surplus").fetchall()}
    return [
        Holding(file, _kept(store.url(file.path), store.url(file.path)))
        for file in files
        if store.url(file.path) in holding
    ]


def mend(store: Store, table: str, keys: Sequence[str], newest_by: str | None, memory_limit: str) -> None:
    """Removes rows that are too many, file by file: a run that is killed in between leaves fewer of them."""
    with connection(store, memory_limit, table) as con:
        for holding in find(con, store, table, keys, newest_by):
            with store.local(holding.file) as local:
                kept = _kept(str(local), store.url(holding.file.path))
                write_rows(store, con, kept, holding.file.path, table=table, order=order_of(local))


def reader_of(con: duckdb.DuckDBPyConnection, holdings: Sequence[Holding]) -> pa.RecordBatchReader:
    """The rows that stay of some files."""
    return con.execute(" UNION ALL BY NAME ".join(each.kept for each in holdings)).to_arrow_reader(_BATCH_ROWS)


def _kept(path: str, known_as: str) -> str:
    """A query of the rows that stay of a file, which is read from `path` and was `known_as` when `find` read it."""
    source = scan([path], ", file_row_number = true")
    surplus = f"SELECT _row FROM surplus WHERE _file = {literal(known_as)}"
    return f"SELECT * EXCLUDE (file_row_number) FROM {source} WHERE file_row_number NOT IN ({surplus})"
