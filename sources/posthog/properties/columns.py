"""Pages with a JSON column `properties` in, the same pages with typed columns beside it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import pyarrow as pa

from sources.posthog.properties.catalogue import Catalogue
from sources.posthog.properties.pairs import Parser
from sources.posthog.properties.privacy import Privacy
from sources.posthog.properties.settings import PropertySettings
from sources.posthog.properties.shred import Shredder
from sources.posthog.properties.tally import Tally
from sources.posthog.properties.types import PropertyType
from sources.posthog.tables import PROPERTY_COLUMNS, Table

PROPERTIES = "properties"
"""The column with the JSON objects."""

RESERVED = ("person_id_at_ingestion",)
"""Names that the views over the tables give to columns of theirs."""


@dataclass(frozen=True)
class ShapedPage:
    """A page as it is loaded, and what is to be counted of it once it is."""

    table: pa.Table
    tally: Tally


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
        self._shred = Shredder(self.catalogue, parser=parser, counts=False)
        self.counted: Callable[[pa.Table], np.ndarray | None] = lambda _: None
        """Set by an engine that reads rows again: which rows of a page are to be counted; None: all."""

    def __call__(self, page: pa.Table) -> ShapedPage:
        """`page` with the rules of privacy applied to its JSON, and the columns that it has values for."""
        place = page.schema.get_field_index(PROPERTIES)
        texts = self._privacy(page.column(place))
        found = self._shred(texts, self.counted(page))
        page = page.set_column(place, page.schema.field(place), texts)
        for name, values in found.columns.items():
            page = page.append_column(name, values)
        return ShapedPage(page, found.tally)

    def count(self, tally: Tally) -> None:
        """Counts rows that are in a load package."""
        self.catalogue.count(tally)


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
