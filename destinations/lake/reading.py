"""Questions about what a lake holds, answered by DuckDB over its files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from typing import Any

import duckdb
import pyarrow as pa

from ..destination import Bounds, Cell, StoredColumn
from ..duckdb_sql import identifier, utc_day
from ..views import VIEWS
from .engine import connection, scan_files
from .layout import NO_DATE, shape_of
from .store import File, Store

_PIECE_ROWS = 100_000


class LakeReading:
    """A look at the tables of a lake."""

    def __init__(self, store: Store, con: duckdb.DuckDBPyConnection, without: Collection[str] = ()) -> None:
        """`without`: paths of files that are not to be opened."""
        self._store = store
        self._without = without
        self._con = con
        self._tables: dict[str, list[StoredColumn]] | None = None

    @property
    def tables(self) -> Mapping[str, Sequence[StoredColumn]]:
        """The columns of each table in their order, dlt's own tables left out."""
        if self._tables is None:
            self._tables = {}
            for name in self._store.tables():
                if self._files(name):
                    described = self._con.execute(f"DESCRIBE SELECT * FROM {self.table(name)}").fetchall()
                    self._tables[name] = [
                        StoredColumn(column, kind, is_time=kind.startswith("TIMESTAMP"))
                        for column, kind, *_ in described
                    ]
        return self._tables

    def table(self, name: str) -> str:
        """What stands behind FROM, of a table or of a view that comes with the tables."""
        for view in VIEWS:
            if view.name == name:
                return f"({view.sql({table: self.table(table) for table in view.needs})})"
        return scan_files(self._store, self._files(name))

    def _files(self, table: str) -> list[File]:
        return [file for file in self._store.files(table) if file.path not in self._without]

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What a query answers."""
        cursor = self._con.execute(sql)
        columns = [column[0] for column in cursor.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]


class Counter:
    """Counts rows and keys; each question in a connection of its own."""

    def __init__(self, store: Store, memory_limit: str) -> None:
        self._store = store
        self._memory_limit = memory_limit

    def totals(self, tables: Iterable[str]) -> dict[str, int]:
        """Rows of each table that is there: the files' own counts."""
        found = {table: self._store.files(table) for table in tables}
        with connection(self._store, self._memory_limit, "") as con:
            return {
                table: _number(con, f"SELECT count(*) FROM {scan_files(self._store, files)}")
                for table, files in found.items()
                if files
            }

    def count_events(self, bounds: Bounds) -> dict[Cell, int]:
        """Rows of `events` within bounds, by UTC day and name; only days within the bounds are opened."""
        files = dated(self._store.files("events"), bounds.ts_from, bounds.ts_to)
        if not files:
            return {}
        at = identifier("timestamp")
        given = bounds.conditions(at, "created_at", "?")
        with connection(self._store, self._memory_limit, "events") as con:
            rows = con.execute(
                f"SELECT {utc_day(at)}, event, count(*) "
                f"FROM {scan_files(self._store, files)} WHERE {' AND '.join(['true', *given])} GROUP BY ALL",
                list(given.values()),
            ).fetchall()
        return {(day.isoformat(), event): count for day, event, count in rows}

    def count_keys(self, table: str, *, has_tombstones: bool) -> int:
        """Rows of a keyed table; tombstones, where it has them, left out."""
        files = self._store.files(table)
        if not files:
            return 0
        where = " WHERE NOT is_deleted" if has_tombstones else ""
        with connection(self._store, self._memory_limit, table) as con:
            return _number(con, f"SELECT count(*) FROM {scan_files(self._store, files)}{where}")

    def known_versions(self, table: str, key: str) -> Iterator[pa.Table]:
        """`key` (text), `version` and `is_deleted` of all rows, in pieces."""
        text = f"CAST({identifier(key)} AS VARCHAR) AS {identifier(key)}"
        return self._pieces(f"SELECT {text}, version, is_deleted", self._store.files(table), "")

    def known_keys(self, table: str, key: str, start: datetime, end: datetime) -> Iterator[pa.Table]:
        """`key` (text) of the rows with `timestamp` from `start` on and before `end`, in pieces."""
        files = self._store.files(table)
        if shape_of(table).dated_by == "timestamp":
            files = dated(files, start, end)
        text = f"CAST({identifier(key)} AS VARCHAR) AS {identifier(key)}"
        return self._pieces(f"SELECT {text}", files, 'WHERE "timestamp" >= ? AND "timestamp" < ?', start, end)

    def _pieces(self, select: str, files: list[File], where: str, *values: object) -> Iterator[pa.Table]:
        if not files:
            return
        with connection(self._store, self._memory_limit, files[0].path.split("/", 1)[0]) as con:
            found = con.execute(f"{select} FROM {scan_files(self._store, files)} {where}", list(values))
            for batch in found.to_arrow_reader(_PIECE_ROWS):
                yield pa.Table.from_batches([batch])


def dated(files: Iterable[File], start: datetime | None, end: datetime | None) -> list[File]:
    """Those of `files` whose day has moments from `start` on and before `end`; None is no bound."""
    first = None if start is None else start.astimezone(timezone.utc).date()
    last = None if end is None else (end.astimezone(timezone.utc) - timedelta(microseconds=1)).date()

    def may_hold(day: str | None) -> bool:
        if day is None or (day == NO_DATE):
            return True
        try:
            on = date.fromisoformat(day)
        except ValueError:
            return True
        return (first is None or on >= first) and (last is None or on <= last)

    return [file for file in files if may_hold(file.partition)]


def _number(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    return int(row[0]) if row else 0
