"""Warehouses that are no DuckDB file, for the same assertions: chosen and configured as users do it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from posthog_warehouse.destinations.destination import Destination, Place
from posthog_warehouse.destinations.registry import DESTINATIONS
from posthog_warehouse.sources.posthog import CORE
from tests.local_postgres import LocalPostgres
from tests.pipelines.test_sync import Warehouse

KINDS = (
    "postgres",
    "parquet",
    "ducklake in postgres",
    "ducklake in sqlite",
    "ducklake in duckdb",
    "sqlalchemy in sqlite",
    "parquet as delta",
    "parquet as iceberg",
)


class Elsewhere(Warehouse):
    """A destination by name, with what is behind it or, for files, their format: one of `KINDS`."""

    def __init__(self, kind: str, folder: Path, dataset: str = "posthog") -> None:
        super().__init__(folder / "unused.duckdb", dataset)
        self.kind = kind
        self.name, *_ = kind.split()
        self._table_format = kind.partition(" as ")[2] or None
        self._bucket_url = str(folder / "lake")

    def opened(self) -> Destination:
        place = Place(self.dataset, "unused.duckdb", self._bucket_url, "400MB", self._table_format)
        return DESTINATIONS[self.name].make(place)

    @property
    def options(self) -> dict[str, str]:
        """The same as flags of the program."""
        given = {"destination": self.name, "bucket_url": self._bucket_url}
        return given if self._table_format is None else {**given, "table_format": self._table_format}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a query in DuckDB's SQL answers; `{events}` stands for the table."""
        with self.opened() as destination, destination.reading() as reading:
            tables = [*reading.tables, "events_resolved", "persons_current"]
            found = reading.rows(sql.format(**{name: reading.table(name) for name in tables}))
        return [tuple(row.values()) for row in found]

    def run(self, *statements: str) -> None:
        """Changes something behind the program's back; `{events}` as above."""
        with self.opened() as destination:
            assert hasattr(destination, "session")
            with destination.session() as session:
                for statement in statements:
                    session.run([statement.format(**{name: session.table(name) for name in CORE})])

    def keys(self, table: str) -> set[str]:
        where = " WHERE is_deleted = false" if table == "persons" else ""
        found = [str(key) for (key,) in self.rows(f"SELECT {CORE[table].key} FROM {{{table}}}{where}")]
        assert len(found) == len(set(found)), f"{table} holds a key twice"
        return set(found)


def settings_of(kind: str, postgres: LocalPostgres, folder: Path) -> dict[str, str]:
    """The settings of a new, empty warehouse, as variables of the environment."""
    if kind.startswith("parquet"):
        return {}
    database = postgres.new_database()
    if kind == "postgres":
        return {f"DESTINATION__POSTGRES__CREDENTIALS__{name}": value for name, value in database.items()}
    if kind == "sqlalchemy in sqlite":
        return {"DESTINATION__SQLALCHEMY__CREDENTIALS": f"sqlite:///{folder}/warehouse.sqlite"}
    catalogs = {
        "postgres": "postgres://{USERNAME}:{PASSWORD}@{HOST}:{PORT}/{DATABASE}".format(
            **{**database, "PASSWORD": quote(database["PASSWORD"], safe="")}
        ),
        "sqlite": f"sqlite:///{folder}/catalog.sqlite",
        "duckdb": f"duckdb:///{folder}/catalog.duckdb",
    }
    return {
        "DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG": catalogs[kind.rsplit(maxsplit=1)[-1]],
        "DESTINATION__DUCKLAKE__CREDENTIALS__STORAGE__BUCKET_URL": str(folder / "data"),
    }


@contextmanager
def set_to(settings: dict[str, str]) -> Iterator[None]:
    """With these variables in the environment."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
