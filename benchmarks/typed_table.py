"""A DuckDB file of events with typed property columns beside the raw JSON, made of recorded pages."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
from replay.pages import Made

from destinations.duckdb import DuckDbFile
from sources.posthog import CORE
from sources.posthog.arrow import declared_table
from sources.posthog.properties import Catalogue, Property, Shredder
from sources.posthog.properties.pairs import Parser

EVENTS = CORE["events"]
_BASE_TYPES = {"uuid": "UUID", "person_id": "UUID", "timestamp": "TIMESTAMPTZ", "created_at": "TIMESTAMPTZ"}
_TYPES = {
    "bool": "BOOLEAN",
    "bigint": "BIGINT",
    "decimal": "DECIMAL(38, 0)",
    "double": "DOUBLE",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "json": "JSON",
    "text": "VARCHAR",
}
_FACTS = ("key", "column_name", "type", "declared_type", "conflicts")


def build(made: Made, path: Path, definitions: Mapping[str, str | None] | None = None) -> None:
    """Makes `posthog.events` and `posthog.property_columns` in a new file, page by page, with `Shredder`."""
    catalogue = new_catalogue(definitions)
    shred = Shredder(catalogue, parser=Parser(is_checked=True))
    with DuckDbFile(path) as file:
        connection = file.connection
        columns = ", ".join(
            f"{name} JSON USING COMPRESSION zstd" if name == "properties" else f"{name} {_BASE_TYPES.get(name, 'VARCHAR')}"
            for name in (column.name for column in EVENTS.columns)
        )
        connection.execute(f"CREATE SCHEMA posthog; CREATE TABLE posthog.events ({columns})")
        held: set[str] = set()
        for day in range(len(made.days)):
            page = typed(shred, declared_table([""] * len(EVENTS.columns), made.rows_of(day), EVENTS.columns))
            for known in catalogue.properties:
                if known.name not in held:
                    _add(connection, known)
                    held.add(known.name)
            connection.register("page", page)
            connection.execute("INSERT INTO posthog.events BY NAME SELECT * FROM page")
            connection.unregister("page")
        facts = [{name: fact[name] for name in _FACTS} for fact in catalogue.facts()]
        connection.register("facts", pa.Table.from_pylist(facts))
        connection.execute("CREATE TABLE posthog.property_columns AS SELECT 'events' AS table_name, * FROM facts")
        connection.execute("CHECKPOINT")


def new_catalogue(definitions: Mapping[str, str | None] | None = None) -> Catalogue:
    """That of a project's events, before the first page."""
    return Catalogue("events", taken=[column.name for column in EVENTS.columns], definitions=definitions)


def typed(shred: Shredder, page: pa.Table) -> pa.Table:
    """A page with its property columns."""
    for name, column in shred(page.column("properties")).columns.items():
        page = page.append_column(name, column)
    return page


def _add(connection: duckdb.DuckDBPyConnection, known: Property) -> None:
    name = known.name.replace('"', '""')
    connection.execute(f'ALTER TABLE posthog.events ADD COLUMN "{name}" {_TYPES[known.type]}')
