"""How a Parquet file of a lake is written: zstd, sorted, in row groups that readers can leave out, with our mark.

The rows of a file may be more than memory holds, so they are not sorted as a whole: where each row group begins is
found by sorting the columns of the order alone, and then each group is fetched by its bounds and sorted for itself.
Files that are sorted already give a group without being read through.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from ..duckdb_sql import identifier, literal, names
from .layout import ROW_GROUP_ROWS
from .marks import OPTIONS, marks
from .store import File, Store

_BOUNDED = 2
"""So many columns of the order tell where a row group begins."""


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
    schema = con.execute(f"SELECT * FROM ({rows}) LIMIT 0").to_arrow_table().schema
    with pq.ParquetWriter(scratch, schema.with_metadata(marks(table, order)), **OPTIONS) as writer:
        for where in _groups(con, rows, order):
            found = con.execute(f"SELECT * FROM ({rows}) WHERE {where}{by}")
            group = found.to_arrow_table()
            # Rows with one moment and name are not told apart: a group may be larger than others for them.
            if group.num_rows:
                writer.write_table(group.cast(schema), row_group_size=2 * ROW_GROUP_ROWS)


def _groups(con: duckdb.DuckDBPyConnection, rows: str, order: Sequence[str]) -> Iterator[str]:
    """Conditions that cut the rows into groups of about `ROW_GROUP_ROWS`, in their order."""
    columns = list(order[:_BOUNDED])
    count = con.execute(f"SELECT count(*) FROM ({rows})").fetchone()
    if not columns or count is None or count[0] <= ROW_GROUP_ROWS:
        yield "true"
        return
    whole = " AND ".join(f"{identifier(c)} IS NOT NULL" for c in columns)
    types = dict(con.execute(f"SELECT column_name, column_type FROM (DESCRIBE {rows})").fetchall())
    keys = names(columns)
    texts = ", ".join(f"CAST({identifier(c)} AS VARCHAR)" for c in columns)
    numbered = f"SELECT {keys}, row_number() OVER (ORDER BY {keys}) AS nth FROM ({rows}) WHERE {whole}"
    starts = con.execute(
        f"SELECT {texts} FROM (SELECT DISTINCT {keys} FROM ({numbered}) WHERE nth % {ROW_GROUP_ROWS} = 1 AND nth > 1) "
        f"ORDER BY {keys}"
    ).fetchall()
    bounds = [
        [f"CAST({literal(cell)} AS {types[c]})" for c, cell in zip(columns, start, strict=True)] for start in starts
    ]
    for low, high in zip([None, *bounds], [*bounds, None], strict=True):
        conditions = [whole]
        if low is not None:
            conditions.append(_beyond(columns, low, ">", ">="))
        if high is not None:
            conditions.append(_beyond(columns, high, "<", "<"))
        yield " AND ".join(conditions)
    yield f"NOT ({whole})"


def _beyond(columns: Sequence[str], bound: Sequence[str], sign: str, last: str) -> str:
    """A condition on columns that are ordered together; the first one alone is what row groups are left out by."""
    first, value = identifier(columns[0]), bound[0]
    if len(columns) == 1:
        return f"{first} {last} {value}"
    rest = _beyond(columns[1:], bound[1:], sign, last)
    return f"{first} {sign}= {value} AND ({first} {sign} {value} OR {rest})"
