"""What three places say of the type of each column: dlt's schema, the destination itself, and `property_columns`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dlt
from dlt.common.schema import Schema
from dlt.destinations.job_client_impl import SqlJobClientBase

from posthog_warehouse.destinations.destination import Destination, Reading
from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.destinations.duckdb_reading import DuckDbReading
from posthog_warehouse.pipelines.sync import Listener

_AS_DUCKDB_SAYS = {
    "text": ("VARCHAR", "UUID"),
    "json": ("JSON", "VARCHAR"),
    "bigint": ("BIGINT",),
    "decimal": ("DECIMAL",),
    "double": ("DOUBLE",),
    "bool": ("BOOLEAN",),
    "date": ("DATE",),
    "timestamp": ("TIMESTAMP WITH TIME ZONE",),
}
"""What DuckDB calls a column of files that dlt calls so. Of those, JSON is no type of its own."""

_AS_DLT_SAYS = {"wei": "decimal"}
"""dlt's other word for a number of 38 digits, where it asks a database."""


class TypesAgree(Listener):
    """Compares them after each load package of a sync into `destination`."""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination
        self.packages = 0
        self.seen: dict[str, dict[str, str]] = {}
        """Table -> column -> dlt's type, as it was after the last package."""

    def loaded(self, rows: dict[str, int]) -> None:
        """Compares. Packages of one table alone, or of none, are compared as well."""
        del rows
        self.packages += 1
        self.assert_agreed(f"after package {self.packages}")

    def assert_agreed(self, when: str) -> None:
        """Compares what there is now, while the sync's pipeline is the active one."""
        schema, held = _stored_and_held()
        wrong: list[str] = []
        self.seen = {}
        for table, columns in schema.items():
            for name, said in columns.items():
                kind = said["data_type"]
                self.seen.setdefault(table, {})[name] = kind
                found = held.get(table, {}).get(name)
                if found is None:
                    found = self._in_files(table).get(name)
                    is_right = found is None or found.split("(")[0] in _AS_DUCKDB_SAYS[kind]
                else:
                    is_right = found == kind or bool(said.get("x-unsigned"))
                if not is_right:
                    wrong.append(f"{table}.{name}: {kind} in dlt's schema, {found} in the destination")
        for table, name, kind in self._recorded():
            if self.seen.get(table, {}).get(name) != kind:
                said = self.seen.get(table, {}).get(name)
                wrong.append(f"{table}.{name}: {said} in dlt's schema, {kind} in property_columns")
        assert not wrong, f"{when}: {'; '.join(wrong)}"

    @contextmanager
    def _reading(self) -> Iterator[Reading]:
        if isinstance(self._destination, DuckDbFile):
            # The file is open for writing, which nobody else's connection may be besides.
            yield DuckDbReading(self._destination.connection, self._destination.dataset)
            return
        with self._destination.reading() as reading:
            yield reading

    def _in_files(self, table: str) -> Mapping[str, str]:
        with self._reading() as reading:
            return {column.name: column.type for column in reading.tables.get(table, ())}

    def _recorded(self) -> Iterable[tuple[str, str, str]]:
        with self._reading() as reading:
            if "property_columns" not in reading.tables:
                return []
            sql = f"SELECT table_name, column_name, type FROM {reading.table('property_columns')}"
            return [(row["table_name"], row["column_name"], row["type"]) for row in reading.rows(sql)]


def _stored_and_held() -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, str]]]:
    """The columns that dlt's stored schema has, and the types that a database has; of files nothing."""
    client: Any
    with dlt.pipeline().destination_client() as client:
        stored = client.get_stored_schema("posthog")
        assert stored is not None
        schema = Schema.from_stored_schema(dlt.common.json.loads(stored.schema))
        tables = {
            str(table["name"]): {name: about for name, about in table["columns"].items() if "data_type" in about}
            for table in schema.data_tables()
        }
        if not isinstance(client, SqlJobClientBase):
            return tables, {}
        held = {
            table: {
                name: _AS_DLT_SAYS.get(kind, kind) for name, about in columns.items() if (kind := about["data_type"])
            }
            for table, columns in client.get_storage_tables(list(tables))
        }
        return tables, held
