"""A DuckDB file as destination.

What it adds to dlt's own: UUID columns, zstd for JSON (a third of the size, half the time to write), bounded memory,
column comments, views, and clear words when the file is held or cannot be written.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import dlt
import duckdb
import pyarrow as pa

from .destination import Bounds, Cell, Condition, Descriptions
from .dlt_internals.loading import Destination, ParquetFormatConfiguration
from .dlt_internals.tables import LOADS_TABLE_NAME, VERSION_TABLE_NAME
from .dropped import Present, columns_gone, tables_gone
from .duckdb_column_backfill import DLT_TYPES, DuckDbColumns
from .duckdb_opening import ROW_GROUP, open_file
from .duckdb_reading import DuckDbReading
from .duckdb_sql import count_repeated, identifier, literal, utc_day
from .duckdb_types import CompressingTypeMapper
from .errors import DestinationError, DestinationUnusable, TableUnusable, cause_in, first_line
from .preflight import SCHEMA
from .read_in_place import duckdb_in_place
from .staging import Held, refuse_dataset
from .views import VIEWS

_PIECE_ROWS = 100_000
_SMALL_ROW_GROUP = ROW_GROUP // 4
_SMALL_ROW_GROUPS = 24
"""So many are put together: a day of hourly syncs."""

DEFAULT_MEMORY_LIMIT = "300MB"
"""Enough for a merge of 240,000 events of 2 KB in a hundred columns, a tenth faster with more; what is beyond it
goes to a temporary file beside the database. DuckDB's own default is most of the machine."""


class DuckDbFile:
    """One DuckDB file, held open for a run. `path` may also be `:memory:`."""

    name = "duckdb"
    takes_parquet = True

    def __init__(self, path: str | Path, dataset: str = "posthog", memory_limit: str = DEFAULT_MEMORY_LIMIT) -> None:
        self.path = str(path)
        self.dataset = dataset
        self._memory_limit = memory_limit
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._is_new = self.path != ":memory:" and not Path(self.path).exists()

    @property
    def location(self) -> str:
        """Where the tables are, for people."""
        return self.path if self.path == ":memory:" else os.path.relpath(self.path)

    @property
    def identity(self) -> str:
        """What tells this destination from others, on this machine."""
        return f"duckdb:{Path(self.path).resolve()}:{self.dataset}"

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The open connection.

        Raises:
            DestinationHeld: another process has the file open.
            DestinationUnusable: the file cannot be opened or written.
            DestinationForeign: the file is not DuckDB's.
        """
        if self._connection is None:
            self.check()
            self._connection = self._open(read_only=False)
        return self._connection

    def check(self) -> None:
        """Whether the file can be written; makes nothing. Raises as `connection` does."""
        if self.path == ":memory:" or self._connection is not None:
            return
        path = Path(self.path)
        if path.name.split(".")[0].lower() == self.dataset.lower():
            # DuckDB names the catalog after the file, and then cannot tell `posthog.events` from `posthog.main.events`.
            raise DestinationUnusable(
                f"The file {self.location} and its schema have the same name, which DuckDB cannot tell apart.",
                "Give another --database or --dataset.",
            )
        if path.is_dir():
            raise DestinationUnusable(f"{self.location} is a folder.", "Give the path of a file: --database FILE.")
        folder = path.resolve().parent
        if not folder.is_dir():
            raise DestinationUnusable(f"The folder {folder} does not exist.", "Make it, or give another --database.")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise DestinationUnusable(
                f"{self.location} cannot be written.", "Change its permissions, or give another --database."
            )
        if path.exists():
            self._open(read_only=False).close()

    def refuse_foreign(self, tables: Iterable[str]) -> None:
        """Raises DatasetTaken where the schema holds tables of these names that are not ours, or is another one's
        staging dataset. It has no staging dataset itself."""
        if self._connection is None and not Path(self.path).exists():
            return
        present = self._columns()
        versions, loads = VERSION_TABLE_NAME, LOADS_TABLE_NAME
        refuse_dataset(
            Held(
                dataset=self.dataset,
                tables=present.keys() & set(tables),
                declared=self._declared(versions) if versions in present else (),
                has_versions=versions in present and self._has_rows(versions),
                has_loads=loads in present,
            ),
            self.location,
            self._has_rows,
        )

    def unusable_tables(self) -> list[TableUnusable]:
        """After `check`: tables of which somebody dropped columns."""
        return columns_gone(*self._stored_and_present(), self.location)

    def dropped_tables(self) -> list[str]:
        """Tables that were loaded, and that are not there any more."""
        return tables_gone(*self._stored_and_present())

    def _stored_and_present(self) -> tuple[dlt.Schema, Present]:
        present = {} if self._connection is None and not Path(self.path).exists() else self._columns()
        stored = self._stored(VERSION_TABLE_NAME) if VERSION_TABLE_NAME in present else None
        return dlt.Schema(SCHEMA) if stored is None else dlt.Schema.from_stored_schema(stored), present

    def read(self) -> duckdb.DuckDBPyConnection:
        """A connection of one's own that only reads. Raises as `connection` does; also when there is no file."""
        if not Path(self.path).exists():
            raise DestinationUnusable(
                f"There is no file {self.location}.", "Run `posthog-warehouse sync` first, or give another --database."
            )
        return self._open(read_only=True)

    @contextmanager
    def reading(self) -> Iterator[DuckDbReading]:
        """To look at what is there. Raises as `read` does."""
        with self.read() as connection:
            yield DuckDbReading(connection, self.dataset)

    def condition(self) -> Condition:
        """The size of the file, and the room that is left."""
        path = Path(self.path)
        is_new = not path.exists()
        return Condition(is_new, None if is_new else path.stat().st_size, shutil.disk_usage(path.resolve().parent).free)

    def dlt_destination(self) -> Destination[Any, Any]:
        """For `dlt.pipeline(destination=...)`: dlt works on this connection, so nobody gets in between."""
        self._tidy()
        # A table that is replaced is so in one transaction: nobody sees it empty, whenever the program dies.
        return duckdb_in_place(
            self.connection,
            type_mapper=CompressingTypeMapper,
            replace_strategy="insert-from-staging",
            destination_name=self.name,
            # A file lives for seconds: to pack and unpack it costs more than to write and read what is there.
            parquet_format=ParquetFormatConfiguration(compression="none"),
        )

    def dlt_staging(self) -> None:
        """None: files are read where they are."""

    def explain(self, error: BaseException) -> DestinationError | None:
        """A full disk, a lost mount, or a merge beyond the memory limit."""
        cause = cause_in(error, duckdb.IOException, duckdb.OutOfMemoryException)
        if cause is None:
            return None
        return DestinationUnusable(
            f"DuckDB failed to write: {first_line(cause)}",
            "The load package under way was taken back; what was loaded before is kept. Make room on the disk, or "
            "raise memory_limit in [sync], and run the same command again.",
        )

    def finish(self, descriptions: Descriptions) -> None:
        """Makes the views, and comments on tables and columns."""
        present = self._columns()
        for table, (description, columns) in descriptions.items():
            if table in present:
                self.connection.execute(f"COMMENT ON TABLE {self._qualified(table)} IS {literal(description)}")
                for column, text in columns.items():
                    # Hundreds of them, mostly as they were: each comment is a change of the file.
                    if present[table].get(column, text) != text:
                        name = f"{self._qualified(table)}.{identifier(column)}"
                        self.connection.execute(f"COMMENT ON COLUMN {name} IS {literal(text)}")
        usable = present.keys() - {error.table for error in self.unusable_tables()}
        for view in VIEWS:
            if set(view.needs) <= usable:
                sql = view.sql({table: self._qualified(table) for table in view.needs})
                self.connection.execute(f"CREATE OR REPLACE VIEW {self._qualified(view.name)} AS {sql}")
                self.connection.execute(f"COMMENT ON VIEW {self._qualified(view.name)} IS {literal(view.description)}")

    def totals(self, tables: Iterable[str]) -> dict[str, int]:
        """Rows of each table that is there."""
        present = self._columns()
        return {
            table: self._count(f"SELECT count(*) FROM {self._qualified(table)}") for table in tables if table in present
        }

    def count_events(self, bounds: Bounds) -> dict[Cell, int]:
        """Rows of `events` within bounds, by UTC day and name."""
        if "events" not in self._columns():
            return {}
        at = identifier("timestamp")
        given = bounds.conditions(at, "created_at", "?")
        rows = self.connection.execute(
            f"SELECT {utc_day(at)}, event, count(*) "
            f"FROM {self._qualified('events')} WHERE {' AND '.join(['true', *given])} GROUP BY ALL",
            list(given.values()),
        ).fetchall()
        return {(day.isoformat(), event): rows for day, event, rows in rows}

    def count_keys(self, table: str, *, has_tombstones: bool) -> int:
        """Rows of a keyed table; tombstones, where it has them, left out."""
        if table not in self._columns():
            return 0
        where = " WHERE NOT is_deleted" if has_tombstones else ""
        return self._count(f"SELECT count(*) FROM {self._qualified(table)}{where}")

    def count_repeated(self, table: str, keys: Sequence[str]) -> int:
        """Rows of a table besides the first of each key."""
        if table not in self._columns():
            return 0
        return self._count(count_repeated(self._qualified(table), keys))

    def known_versions(self, table: str, key: str) -> Iterable[pa.Table]:
        """`key`, `version` and `is_deleted` of all rows of a table, in pieces; none: it is not there."""
        if table not in self._columns():
            return []
        columns = f"CAST({key} AS VARCHAR) AS {key}, version, is_deleted"
        return self._pieces(f"SELECT {columns} FROM {self._qualified(table)}")

    def known_keys(self, table: str, key: str, start: datetime, end: datetime) -> Iterable[pa.Table]:
        """`key` of the rows with `timestamp` from `start` on and before `end`, in pieces."""
        if table not in self._columns():
            return []
        sql = f"SELECT CAST({key} AS VARCHAR) AS {key} FROM {self._qualified(table)} WHERE "
        return self._pieces(sql + '"timestamp" >= ? AND "timestamp" < ?', start, end)

    def look(self, sql: str) -> str:
        """By DuckDB's own shell, or by Python where there is none."""
        if shutil.which("duckdb"):
            return f'duckdb -readonly {self.location} "{sql}"'
        python = Path(sys.executable)
        shown = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
        opened = f"duckdb.connect('{self.location}', read_only=True)"
        return f"{shown} -c \"import duckdb; print({opened}.sql('{sql}'))\""

    def _pieces(self, sql: str, *values: object) -> Iterator[pa.Table]:
        # A cursor of its own: what is loaded meanwhile on this connection does not end it.
        with self.connection.cursor() as cursor:
            for batch in cursor.execute(sql, list(values)).to_arrow_reader(_PIECE_ROWS):
                yield pa.Table.from_batches([batch])

    def _count(self, sql: str) -> int:
        row = self.connection.execute(sql).fetchone()
        return int(row[0]) if row else 0

    def columns(self, table: str) -> DuckDbColumns:
        """The columns of one table, to be made anew."""
        return DuckDbColumns(self.connection, self._qualified(table), json=CompressingTypeMapper.JSON)

    def column_types(self, table: str) -> dict[str, str]:
        """dlt's type of each column of a table, as it is there."""
        kinds = self.connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() "
            "WHERE schema_name = ? AND table_name = ? AND database_name = current_database()",
            [self.dataset, table],
        ).fetchall()
        return {column: DLT_TYPES[kind] for column, kind in kinds if kind in DLT_TYPES}

    def property_types(self, owner: str) -> dict[str, str | None]:
        """What the table property_definitions, where it is there, says of the properties of `owner`."""
        if "property_definitions" not in self._columns():
            return {}
        rows = self.connection.execute(
            "SELECT name, CASE WHEN count(DISTINCT property_type) = 1 THEN any_value(property_type) END "
            f"FROM {self._qualified('property_definitions')} WHERE type = ? GROUP BY name",
            [owner],
        ).fetchall()
        return dict(rows)

    def close(self) -> None:
        """Closes the file; one that was made for this run and holds no table goes."""
        if self._connection is None:
            return
        is_empty = all(table.startswith("_dlt") for table in self._columns())
        self._connection.close()
        self._connection = None
        if self._is_new and is_empty:
            for leftover in (self.path, f"{self.path}.wal"):
                Path(leftover).unlink(missing_ok=True)

    def __enter__(self) -> DuckDbFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        return open_file(self.path, self.location, self._memory_limit, read_only=read_only)

    def _tidy(self) -> None:
        """Lets the next checkpoints put small row groups together where there are many: each sync leaves one behind.

        One piece of a table at a time: what DuckDB does by itself at a checkpoint may make the whole table anew.
        """
        tables = self.connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? AND database_name = current_database()",
            [self.dataset],
        ).fetchall()
        for (table,) in tables:
            small = (
                f"SELECT sum(count) AS rows FROM pragma_storage_info({literal(self._qualified(table))}) "
                f"WHERE column_id = 0 AND segment_type != 'VALIDITY' "
                f"GROUP BY row_group_id HAVING rows < {_SMALL_ROW_GROUP}"
            )
            if self._count(f"SELECT count(*) FROM ({small})") >= _SMALL_ROW_GROUPS:
                self.connection.execute("SET max_vacuum_tasks = 1")
                return

    def _has_rows(self, table: str) -> bool:
        return self._count(f"SELECT count(*) FROM (FROM {self._qualified(table)} LIMIT 1)") > 0

    def _declared(self, versions: str) -> frozenset[str]:
        """The tables of dlt's schema of our source, as it is kept beside them."""
        stored = self._stored(versions)
        return frozenset(stored["tables"]) if stored else frozenset()

    def _stored(self, versions: str) -> Any:
        """That schema, as dlt stored it; None: there is none."""
        row = self.connection.execute(
            f"SELECT schema FROM {self._qualified(versions)} WHERE schema_name = ? ORDER BY inserted_at DESC LIMIT 1",
            [SCHEMA],
        ).fetchone()
        return json.loads(row[0]) if row else None

    def _columns(self) -> dict[str, dict[str, str]]:
        """The columns of each table, with their comments."""
        rows = self.connection.execute(
            "SELECT table_name, column_name, coalesce(comment, '') FROM duckdb_columns() "
            "WHERE schema_name = ? AND NOT internal "
            "AND database_name = current_database()",
            [self.dataset],
        ).fetchall()
        columns: dict[str, dict[str, str]] = {}
        for table, column, comment in rows:
            columns.setdefault(table, {})[column] = comment
        return columns

    def _qualified(self, table: str) -> str:
        return f"{identifier(self.dataset)}.{identifier(table)}"
