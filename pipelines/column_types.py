"""The types of property columns in dlt's stored schema, held against those in the destination.

dlt makes a column of the type that its schema says at the time, and never asks the destination again; the next rows are
written by what the schema says then. Versions up to 0.1 let the schema call columns text that are JSON, and texts went
into them as if they were JSON.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import dlt

from posthog_warehouse.destinations.destination import Destination, column_types
from posthog_warehouse.sources.posthog import TABLES, WITH_PROPERTIES, Column
from posthog_warehouse.sources.posthog.properties.catalogue import column_of
from posthog_warehouse.sources.posthog.properties.shred import held_types


def mend_types(pipeline: dlt.Pipeline, destination: Destination) -> None:
    """Corrects the types in the schema in memory by the destination's. It is stored with the next load package."""
    if "posthog" not in pipeline.schema_names:
        return
    for name in WITH_PROPERTIES:
        stored: Any = pipeline.default_schema.tables.get(name, {})
        said = held_types(stored, TABLES[name])
        there = column_types(destination, name) if said else {}
        found = held_types({"columns": {column: {"data_type": kind} for column, kind in there.items()}}, TABLES[name])
        for column, kind in said.items():
            if found.get(column, kind) != kind:
                about = stored["columns"][column].get("description", "")
                note_type(stored["columns"], column_of(column, found[column], column, about))


def note_type(columns: dict[str, Any], column: Column) -> None:
    """Notes in dlt's schema, among the `columns` of a table, that `column` is of another type now, and when.

    The time is for dlt 1.31, which stores a schema only if none like it was stored before, and restores the one that
    was stored last: without it, a column that was text, is JSON and becomes text again would be JSON in the next run.
    """
    columns[column.name] = {**column.dlt_hints(), "x-type-noted-at": datetime.now(timezone.utc).isoformat()}
