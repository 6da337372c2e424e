"""Columns of a table made anew from another column of it, file by file.

Each file is replaced at once, but the files are so one after the other: cut off in between, some have the old columns
and some the new ones. Whoever asked has noted nothing then, asks again, and gets all of them anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ..duckdb_sql import identifier, literal, names
from .columns import type_of
from .engine import connection, scan
from .marks import order_of
from .store import File, Store
from .writing import write_rows

ROW = "_row"
"""The column of `texts` and of the pages for `replace` that tells rows apart: its file, and its place in it."""

_PLACES = 1 << 40
"""More than a file has rows."""


class LakeColumns:
    """The columns of one table of a lake that is held."""

    def __init__(self, store: Store, table: str, memory_limit: str) -> None:
        self._store = store
        self._table = table
        self._memory_limit = memory_limit
        self._files: list[File] = store.files(table)

    def __enter__(self) -> LakeColumns:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left to be undone."""

    def filled(self) -> dict[str, int]:
        """How many rows have a value in each column."""
        counts: dict[str, int] = {}
        with connection(self._store, self._memory_limit) as con:
            for file in self._files:
                with self._store.local(file) as local:
                    there = pq.read_schema(local).names
                    sums = ", ".join(f"count({identifier(name)})" for name in there)
                    row = con.execute(f"SELECT {sums} FROM {scan([local])}").fetchone()
                for name, count in zip(there, row or (), strict=True):
                    counts[name] = counts.get(name, 0) + count
        return counts

    def texts(self, column: str, rows: int) -> Iterator[pa.Table]:
        """`column` as text, of all rows that have it, with `ROW`, in pieces of about `rows` rows."""
        name = identifier(column)
        with connection(self._store, self._memory_limit) as con:
            for number, file in enumerate(self._files):
                with self._store.local(file) as local:
                    found = con.execute(
                        f"SELECT {number * _PLACES} + file_row_number AS {ROW}, CAST({name} AS VARCHAR) AS {name} "
                        f"FROM {scan([local], ', file_row_number = true')} WHERE {name} IS NOT NULL"
                    )
                    yield from (pa.Table.from_batches([batch]) for batch in found.to_arrow_reader(rows))

    def replace(self, types: Mapping[str, str], pages: Iterable[pa.Table]) -> None:
        """Makes columns anew, each of dlt's type `types[name]`, out of `pages`, which have `ROW` and all of them.

        Rows that no page has are NULL there. Nothing is changed before all pages are there.
        """
        made = self._store.scratch_file()
        try:
            is_any = self._written(made, list(types), pages)
            with connection(self._store, self._memory_limit) as con:
                if not is_any:
                    self._write_none(con, made, types)
                for number, file in enumerate(self._files):
                    with self._store.local(file) as local:
                        order = [name for name in order_of(local) if name in pq.read_schema(local).names]
                        rows = self._anew(con, number, local, made, types)
                        write_rows(self._store, con, rows, file.path, table=self._table, order=order)
        finally:
            made.unlink(missing_ok=True)

    @staticmethod
    def _anew(
        con: duckdb.DuckDBPyConnection, number: int, path: Path | str, made: Path, types: Mapping[str, str]
    ) -> str:
        """A query of the rows of the file `number` with columns out of the file `made`."""
        described = con.execute(f"DESCRIBE SELECT * FROM {scan([path])}").fetchall()
        kept = [name for name, *_ in described if name not in types]
        values = ", ".join(
            f"CAST(made.{identifier(name)} AS {type_of(kind)}) AS {identifier(name)}" for name, kind in types.items()
        )
        old = f"SELECT {names(kept)}, file_row_number AS {ROW} FROM {scan([path], ', file_row_number = true')}"
        mine = f"SELECT * REPLACE ({ROW} - {number * _PLACES} AS {ROW}) FROM {scan([made])} "
        mine += f"WHERE {ROW} >= {number * _PLACES} AND {ROW} < {(number + 1) * _PLACES}"
        rows = f"SELECT {', '.join(f'old.{identifier(name)}' for name in kept)}, {values} "
        return f"{rows}FROM ({old}) AS old LEFT JOIN ({mine}) AS made USING ({ROW})"

    @staticmethod
    def _write_none(con: duckdb.DuckDBPyConnection, made: Path, types: Mapping[str, str]) -> None:
        """Writes the file `made` without rows: no page has a value of these columns, and what they held must go."""
        nothing = ", ".join(f"CAST(NULL AS {type_of(kind)}) AS {identifier(name)}" for name, kind in types.items())
        con.execute(f"COPY (SELECT CAST(NULL AS BIGINT) AS {ROW}, {nothing} LIMIT 0) TO {literal(str(made))}")

    @staticmethod
    def _written(made: Path, columns: list[str], pages: Iterable[pa.Table]) -> bool:
        """Whether there is a page; all of them are in the file `made` then."""
        writer: pq.ParquetWriter | None = None
        try:
            for page in pages:
                chosen = page.select([ROW, *columns])
                if writer is None:
                    writer = pq.ParquetWriter(made, chosen.schema, compression="snappy")
                writer.write_table(chosen)
        finally:
            if writer is not None:
                writer.close()
        return writer is not None


def property_types(store: Store, owner: str, memory_limit: str) -> dict[str, str | None]:
    """What the table property_definitions, where it is there, says of the properties of `owner`."""
    files = store.files("property_definitions")
    if not files:
        return {}
    with connection(store, memory_limit, "property_definitions") as con:
        source = scan([store.url(file.path) for file in files])
        return dict(
            con.execute(
                "SELECT name, CASE WHEN count(DISTINCT property_type) = 1 THEN any_value(property_type) END "
                f"FROM {source} WHERE type = {literal(owner)} GROUP BY name"
            ).fetchall()
        )
