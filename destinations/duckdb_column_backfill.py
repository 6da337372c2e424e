"""Columns of a table of a DuckDB file or a DuckLake made anew from another column of it, all or none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType

import duckdb
import pyarrow as pa

from .duckdb_memory import make_room_for
from .duckdb_sql import TYPES, identifier

ROW = "_row"
"""The column of `texts` and of the pages for `replace` that tells rows apart."""

DLT_TYPES = {kind: name for name, kind in TYPES.items()}
"""dlt's type of each type of these columns."""

_NEW = "_made_anew"


class DuckDbColumns:
    """The columns of one table, on a connection that nobody else uses meanwhile."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, table: str, *, json: str = "JSON") -> None:
        """`table` as SQL has it. `json` is how a column of JSON is declared."""
        self._connection = connection
        self._table = table
        self._json = json

    def __enter__(self) -> DuckDbColumns:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.execute(f"DROP TABLE IF EXISTS temp.main.{_NEW}")

    def filled(self) -> dict[str, int]:
        """How many rows have a value in each column."""
        names = self._names()
        counts = self._connection.execute(
            f"SELECT {', '.join(f'count({identifier(name)})' for name in names)} FROM {self._table}"
        ).fetchone()
        return dict(zip(names, counts or (), strict=True))

    def texts(self, column: str, rows: int) -> Iterator[pa.Table]:
        """`column` as text, of all rows that have it, with `ROW`, in pieces of about `rows` rows."""
        reader = self._connection.cursor().execute(
            f"SELECT rowid AS {ROW}, {identifier(column)}::VARCHAR AS {identifier(column)} FROM {self._table} "
            f"WHERE {identifier(column)} IS NOT NULL"
        )
        yield from (pa.Table.from_batches([batch]) for batch in reader.to_arrow_reader(rows))

    def replace(self, types: Mapping[str, str], pages: Iterable[pa.Table]) -> None:
        """Makes columns anew, each of dlt's type `types[name]`, out of `pages`, which have `ROW` and all of them.

        Rows that no page has are NULL there. In one transaction: whoever breaks it off leaves everything as it was.
        """
        names = [identifier(name) for name in types]
        make_room_for(self._connection, len(self._names()) + len(types))
        kinds = {**TYPES, "json": self._json}
        declared = [f"{identifier(name)} {kinds[kind]}" for name, kind in types.items()]
        plain = ", ".join(f"{identifier(name)} {TYPES[kind]}" for name, kind in types.items())
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {_NEW} ({ROW} BIGINT, {plain})")
        for page in pages:
            self._insert(page, [ROW, *types])
        self._connection.execute("BEGIN")
        try:
            for name, column in zip(names, declared, strict=True):
                self._connection.execute(f"ALTER TABLE {self._table} DROP COLUMN IF EXISTS {name}")
                self._connection.execute(f"ALTER TABLE {self._table} ADD COLUMN {column}")
            values = ", ".join(f"{name} = made.{name}" for name in names)
            self._connection.execute(
                f"UPDATE {self._table} AS held SET {values} FROM temp.main.{_NEW} AS made WHERE held.rowid = made.{ROW}"
            )
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def _names(self) -> list[str]:
        return [row[0] for row in self._connection.execute(f"DESCRIBE {self._table}").fetchall()]

    def _insert(self, page: pa.Table, names: Sequence[str]) -> None:
        self._connection.register("_page", page)
        try:
            chosen = ", ".join(map(identifier, names))
            self._connection.execute(f"INSERT INTO temp.main.{_NEW} SELECT {chosen} FROM _page")
        finally:
            self._connection.unregister("_page")
