"""Pages with a JSON column `properties` in, the same pages with typed columns beside it out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, get_args

import pyarrow as pa

from sources.posthog.properties.catalogue import Catalogue
from sources.posthog.properties.pairs import Parser
from sources.posthog.properties.privacy import Privacy
from sources.posthog.properties.settings import PropertySettings
from sources.posthog.properties.shred import Shredder
from sources.posthog.properties.types import PropertyType
from sources.posthog.tables import PROPERTY_COLUMNS, Table
from sources.posthog.tables.declaration import Column

PROPERTIES = "properties"
"""The column with the JSON objects."""

RESERVED = ("person_id_at_ingestion",)
"""Names that the views over the tables give to columns of theirs."""


class PropertyColumns:
    """The property columns of `table` in one run. Safe to use from several threads."""

    def __init__(
        self,
        table: Table,
        settings: PropertySettings,
        *,
        definitions: Callable[[], Mapping[str, str | None]] = dict,
        state: Mapping[str, Any] | None = None,
        held: Mapping[str, PropertyType] | None = None,
    ) -> None:
        """`definitions` is asked before the first new column; `state` and `held` are as for `Catalogue`."""
        self.catalogue = Catalogue(
            table.name,
            taken=[*(column.name for column in table.columns), *RESERVED],
            definitions=definitions,
            rules=settings.of_table(table.name),
            state=state,
            held=held,
        )
        parser = Parser(is_checked=True)
        self._privacy = Privacy(settings.privacy, settings.privacy_key, parser=parser)
        self._shred = Shredder(self.catalogue, parser=parser)
        self._lock = threading.Lock()
        self._told: set[str] = set()
        self.conflicts: dict[str, int] = {}
        """Key -> values of this run that its column does not hold."""

    def __call__(self, page: pa.Table) -> pa.Table:
        """`page` with the rules of privacy applied to its JSON, and the columns that it has values for."""
        place = page.schema.get_field_index(PROPERTIES)
        texts = self._privacy(page.column(place))
        found = self._shred(texts)
        with self._lock:
            for key, count in found.conflicts.items():
                self.conflicts[key] = self.conflicts.get(key, 0) + count
        page = page.set_column(place, page.schema.field(place), texts)
        for name, values in found.columns.items():
            page = page.append_column(name, values)
        return page

    def new_columns(self) -> list[Column]:
        """Columns of the catalogue that were not told by an earlier call."""
        with self._lock:
            new = [known.column for known in self.catalogue.properties if known.name not in self._told]
            self._told.update(column.name for column in new)
        return new


def facts_of(catalogue: Catalogue) -> pa.Table:
    """The rows of the table `property_columns` of one table."""
    kinds = {"timestamp": pa.timestamp("us", tz="UTC"), "double": pa.float64(), "bigint": pa.int64()}
    schema = pa.schema(
        [
            pa.field(column.name, kinds.get(column.data_type, pa.string()), nullable=column.nullable)
            for column in PROPERTY_COLUMNS.columns
        ]
    )
    return pa.Table.from_pylist(catalogue.facts(), schema)


def held_types(held: Mapping[str, Any], table: Table) -> dict[str, PropertyType]:
    """The types of the property columns that the destination has, by name, out of dlt's schema of the table."""
    declared = {column.name for column in table.columns}
    kinds = get_args(PropertyType)
    return {
        name: column["data_type"]
        for name, column in held.get("columns", {}).items()
        if name not in declared and column.get("data_type") in kinds
    }
