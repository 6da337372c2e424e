"""DuckLake by dlt's destination: a catalog in DuckDB, SQLite or PostgreSQL, data in Parquet files.

dlt lets DuckDB download its extensions; here they come out of packages, so that nothing is downloaded while it runs.
One process at a time can write where the catalog is a DuckDB file or a SQLite file; one in PostgreSQL takes many, of
which one at a time loads into a dataset.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dlt
import duckdb
from dlt.destinations.impl.ducklake.configuration import DuckLakeCredentials

from .advisory_lock import lock_sql
from .destination import Condition, Place
from .dlt_internals.loading import Destination as DltDestination
from .duckdb_column_backfill import DuckDbColumns
from .duckdb_memory import at_least
from .duckdb_sql import identifier, literal
from .duckdb_types import TypeMapper
from .ducklake_in_place import ducklake_in_place
from .errors import (
    DestinationError,
    DestinationForeign,
    DestinationHeld,
    DestinationUnready,
    DestinationUnusable,
    cause_in,
    first_line,
)
from .kinds import Kind
from .sql import SqlDestination

_EXTENSIONS = {"sqlite": "sqlite_scanner", "postgres": "postgres_scanner", "postgresql": "postgres_scanner"}
"""What DuckDB needs to read a catalog."""
_LOCKED = re.compile(r"Could not set lock|database is locked")
_FILES = ("duckdb", "sqlite")
"""Catalogs that are a file."""
_LEAST_MEMORY = 400_000_000
"""Bytes that the merge of a package of events of 2 KB takes: a row group of Parquet is made in memory."""
_INSTALL = 'pip install "posthog-warehouse[ducklake]"'


class DuckLake(SqlDestination):
    """A schema of a DuckLake."""

    takes_parquet = True
    has_staging = False

    def __init__(self, kind: Kind, place: Place) -> None:
        super().__init__(kind, place)
        self._memory_limit = place.memory_limit
        self._lock: duckdb.DuckDBPyConnection | None = None

    def factory(self, **settings: Any) -> DltDestination[Any, Any]:
        """dlt's destination, with extensions out of packages, and in bounded memory."""
        credentials = {
            "extensions": list(self._extensions()),
            "global_config": {
                "memory_limit": at_least(self._memory_limit, _LEAST_MEMORY),
                # Each thread keeps a row group of the file that it writes, texts and all: one has to be enough.
                "threads": 1,
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
            },
        }
        # dlt takes a part of the credentials, and finds the rest in its settings.
        given: Any = {
            "credentials": credentials,
            "type_mapper": TypeMapper,
            # One file after the other, or each of them would need that room.
            "loader_parallelism_strategy": "sequential",
            **settings,
        }
        return ducklake_in_place(destination_name=self.name, **given)

    def check(self) -> None:
        """As any, but that a catalog which is to be a new file is not made by it.

        With one in PostgreSQL no other process passes this check for the same dataset, from here on until it is closed.
        """
        file = self._new_file
        if file is None:
            super().check()
            if self._catalog == "sqlite":
                self._try_to_write()
            elif self._catalog == "postgres":
                self._hold()
        elif not file.parent.is_dir():
            raise DestinationUnusable(f"The folder {file.parent} does not exist.", "Make it, or name another catalog.")
        elif not os.access(file.parent, os.W_OK):
            raise DestinationUnusable(f"No catalog can be made in {file.parent}.", "Change the folder's permissions.")

    def refuse_foreign(self, tables: Iterable[str]) -> None:
        """As any, but that a catalog which is to be a new file is not made by it."""
        if self._new_file is None:
            super().refuse_foreign(tables)

    def explain(self, error: BaseException) -> DestinationError | None:
        """As any, and that another process wrote at the same time, or that memory was too little."""
        cause = self._cause(error)
        if cause is not None and _LOCKED.search(str(cause)):
            return self._held()
        if isinstance(cause, duckdb.OutOfMemoryException):
            return DestinationUnusable(
                f"{self.location} could not be written within memory_limit: {first_line(cause)}",
                "What was loaded before is kept. Raise memory_limit in [sync], or let the lake's "
                "parquet_row_group_size_bytes be 64MB, and run the same command again: it goes on there.",
            )
        return super().explain(error)

    def condition(self) -> Condition:
        """The catalog's kind and version, and who may write."""
        catalog = self._catalog
        alone = ("one process at a time can write",) if catalog in _FILES else ()
        if self._new_file is not None:
            return Condition(is_new=True, facts=(f"catalog in {catalog}", *alone))
        with self.session() as session:
            sql = f"SELECT value FROM ducklake_options('{self._lake}') WHERE option_name = 'version'"
            [(version,)] = session.ask(sql)
            is_new = not session.is_there()
        return Condition(is_new, facts=(f"catalog in {catalog}, DuckLake {version}", *alone))

    @property
    def idle_seconds(self) -> float:
        """None for files, which a process opens once: ours would be in the way of dlt's own connections."""
        return 0.0 if self._catalog in _FILES else super().idle_seconds

    @property
    def _credentials(self) -> DuckLakeCredentials:
        credentials: DuckLakeCredentials = self.client.config.credentials  # type: ignore[assignment]  # this client's
        return credentials

    @property
    def _lake(self) -> str:
        return self._credentials.ducklake_name

    @property
    def _catalog(self) -> str:
        return str(self._credentials.catalog.drivername).replace("postgresql", "postgres")

    @property
    def _new_file(self) -> Path | None:
        """The file of a catalog that is still to be made."""
        file = Path(str(self._credentials.catalog.database))
        return file if self._catalog in _FILES and not file.exists() else None

    def _extensions(self) -> Iterator[str]:
        """Extensions as LOAD takes them."""
        catalog = _setting("catalog", "drivername").partition(":")[0] or "sqlite"
        storage = _setting("storage", "bucket_url")
        names = ["ducklake", _EXTENSIONS.get(catalog, "")]
        names += ["httpfs"] if "://" in storage and not storage.startswith("file:") else []
        for name in filter(None, names):
            yield _extension(name)

    def column_types(self, table: str) -> dict[str, str]:
        """dlt's type of each column of a table, as it is there."""
        with self.session() as session:
            return session.types(table)

    @contextmanager
    def columns(self, table: str) -> Iterator[DuckDbColumns]:
        """The columns of one table, to be made anew."""
        with self.session():
            sql: Any = self.client.sql_client
            # With the catalog's name: a cursor of the connection does not know what the connection USEs.
            name = f"{identifier(self._lake)}.{sql.make_qualified_table_name(table)}"
            with DuckDbColumns(sql.native_connection, name) as columns:
                yield columns

    def close(self) -> None:
        """Closes the connections, and lets others load."""
        super().close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _hold(self) -> None:
        if self._lock is not None:
            return
        credentials = self._credentials
        url = credentials.catalog.to_url().render_as_string(hide_password=False).replace("postgresql:", "postgres:", 1)
        lock = duckdb.connect(config={"autoinstall_known_extensions": False})
        lock.execute(f"LOAD {_extension('postgres_scanner')}")
        lock.execute(f"ATTACH {literal(url)} AS catalog (TYPE postgres)")
        lock.execute("BEGIN")
        sql = lock_sql(f"{credentials.metadata_schema or self._lake}/{self.dataset}")
        self._lock = lock
        if lock.execute(f"FROM postgres_query('catalog', {literal(sql)})").fetchall() != [(True,)]:
            raise DestinationHeld(
                f"Another process loads into the dataset {self.dataset} of {self.location}.",
                "Wait until that one is done, and run the same command again; nothing is lost.",
            )

    def _try_to_write(self) -> None:
        """SQLite lets us read what another process is writing to."""
        with closing(sqlite3.connect(str(self._credentials.catalog.database), timeout=1.0)) as connection:
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.rollback()
            except sqlite3.OperationalError as error:
                if _LOCKED.search(str(error)):
                    raise self._held() from None
                raise DestinationUnusable(f"{self.location} cannot be written: {error}.", "Mend the file.") from None

    def _held(self) -> DestinationHeld:
        return DestinationHeld(
            f"{self.location} is held by another process: a catalog in {self._catalog} takes one at a time.",
            "Wait until that one is done, and run the same command again; nothing is lost. With a catalog in "
            "PostgreSQL others can work at the same time.",
        )

    def _refusal(self, error: BaseException) -> DestinationError:
        text = str(self._cause(error) or error)
        if _LOCKED.search(text):
            return self._held()
        if "AUTOMATIC_MIGRATION" in text or "atalog version" in text:
            return DestinationForeign(
                f"The catalog of {self.location} is of another version of DuckLake: "
                f"{self._told(self._cause(error) or error)}",
                "An older one is brought up to date by automatic_migration = true in [destination.ducklake], for all "
                "who use it; for a newer one, install a newer DuckDB with its extensions.",
            )
        return super()._refusal(error)


def _setting(name: str, field: str) -> str:
    """A setting of the credentials that is one text, or else a section with `field` in it."""
    place = f"destination.ducklake.credentials.{name}"
    return str(dlt.secrets.get(place, str) or dlt.secrets.get(f"{place}.{field}", str) or "")


def _extension(name: str) -> str:
    """The extension's file in its package, or its name, where DuckDB has it installed.

    Raises:
        DestinationUnready: it is in neither.
    """
    package = find_spec(f"duckdb_extension_{name}")
    if package is not None and package.origin is not None:
        file = Path(package.origin).parent / "extensions" / f"v{duckdb.__version__}" / f"{name}.duckdb_extension"
        if file.is_file():
            return literal(str(file))
        raise DestinationUnready(
            f"The package duckdb-extension-{name.replace('_', '-')} is not for DuckDB {duckdb.__version__}.",
            f"Install those that belong together: {_INSTALL}.",
        )
    try:
        with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
            connection.load_extension(name)
    except duckdb.Error as error:
        if cause_in(error, duckdb.IOException, duckdb.CatalogException, duckdb.HTTPException) is None:
            raise
        raise DestinationUnready(
            f"DuckDB's extension {name}, which ducklake needs here, is not installed.", f"Install it: {_INSTALL}."
        ) from None
    return name
