"""Property columns made anew from the JSON in the warehouse: one table after the other, without asking PostHog."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import dlt
import pyarrow as pa

from posthog_warehouse.destinations.destination import Destination
from posthog_warehouse.pipelines.column_types import note_type
from posthog_warehouse.pipelines.dlt_pipeline import load
from posthog_warehouse.sources.posthog import PropertySettings, Table
from posthog_warehouse.sources.posthog.properties.retyping import Retyping
from posthog_warehouse.sources.posthog.properties.shred import PROPERTIES, facts_of, held_types
from posthog_warehouse.sources.posthog.tables import PROPERTY_COLUMNS

_PAGE_ROWS = 20_000


class Columns(Protocol):
    """The columns of one table at a destination, while nobody else changes it."""

    def filled(self) -> dict[str, int]:
        """How many rows have a value in each column."""

    def texts(self, column: str, rows: int) -> Iterator[pa.Table]:
        """`column` as text, with what tells rows apart, in pieces of about `rows` rows."""

    def replace(self, types: Mapping[str, str], pages: Iterator[pa.Table]) -> None:
        """Makes columns anew, each of dlt's type `types[name]`, out of pages like those of `texts`. All or none."""


@runtime_checkable
class MakesColumns(Protocol):
    """A destination whose columns can be made anew."""

    def columns(self, table: str) -> AbstractContextManager[Columns]:
        """The columns of one table, which is there."""

    def property_types(self, owner: str) -> dict[str, str | None]:
        """What the table property_definitions, where it is there, says of the properties of events, persons or
        groups."""


@dataclass(frozen=True)
class Retyped:
    """A column that was made anew."""

    column: str
    before: str | None
    """Its type before; None: it is new."""
    after: str

    def __str__(self) -> str:
        change = self.after if self.before in {None, self.after} else f"{self.before} to {self.after}"
        return f"{self.column} ({change})"


def retype(
    pipeline: dlt.Pipeline,
    destination: Destination,
    table: Table,
    settings: PropertySettings,
    *,
    is_whole: bool,
) -> list[Retyped]:
    """Makes the columns of `table` anew that are not what its rows' JSON says.

    `is_whole`: all rows are read to find out which those are; else they are those of which pages held values that did
    not fit. A run that dies in between leaves the columns as they were, or all of them anew. Where that is not noted
    yet, they are made anew once more.
    """
    if not isinstance(destination, MakesColumns):
        raise TypeError(f"{destination.name} cannot make columns anew")
    held = held_types(pipeline.default_schema.tables.get(table.name, {}), table)
    resources: dict[str, Any] = pipeline.state.get("sources", {}).get("posthog", {}).get("resources", {})
    declared = destination.property_types(str(table.property_owner))
    retyping = Retyping(
        table,
        settings.of_table(table.name),
        state=resources.get(table.name, {}).get("property_columns"),
        held=held,
        definitions=lambda: declared,
    )
    with destination.columns(table.name) as columns:
        types = (
            retyping.surveyed(columns.texts(PROPERTIES, _PAGE_ROWS), columns.filled())
            if is_whole
            else retyping.widened()
        )
        if types:
            columns.replace(types, retyping.pages(columns.texts(PROPERTIES, _PAGE_ROWS), types))
    if types or is_whole:
        _note(pipeline, table, retyping, types)
    return [Retyped(name, held.get(name), kind) for name, kind in types.items()]


def _note(pipeline: dlt.Pipeline, table: Table, retyping: Retyping, types: Mapping[str, str]) -> None:
    """Tells dlt's schema and state, and the table property_columns, in one package."""
    columns: Any = pipeline.default_schema.tables[table.name]["columns"]
    for known in retyping.catalogue.properties:
        if known.name in types:
            note_type(columns, known.column)

    def facts() -> Iterator[pa.Table]:
        state = dlt.current.source_state().setdefault("resources", {}).setdefault(table.name, {})
        state["property_columns"] = retyping.catalogue.state()
        yield facts_of(retyping.catalogue)

    hints: dict[str, Any] = {
        "name": PROPERTY_COLUMNS.name,
        "primary_key": PROPERTY_COLUMNS.keys,
        "write_disposition": {"disposition": "merge", "strategy": "delete-insert"},
        "columns": PROPERTY_COLUMNS.column_hints(),
        "file_format": "parquet",
    }
    load(pipeline, [dlt.resource(**hints)(facts)()])
