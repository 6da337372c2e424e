"""What dlt's stored schema says of the types of property columns, held against what the destination has.

dlt makes a column of the type that its schema has then, and never asks again of which type it is. Whoever writes the
next rows believes the schema. Versions up to 0.1 let it call columns text that are JSON, and texts went into them as if
they were JSON.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import dlt

from destinations.destination import Destination, column_types
from sources.posthog import TABLES, WITH_PROPERTIES, Column
from sources.posthog.properties.catalogue import column_of
from sources.posthog.properties.columns import held_types


def mend_types(pipeline: dlt.Pipeline, destination: Destination) -> None:
    """Lets the schema in memory say what the destination says. It is stored with the next package that is loaded."""
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
    """Notes in dlt's schema, among the `columns` of a table, that one is of another type now.

    With the time: dlt 1.31 stores a schema only if none like it was stored before, and restores the one that was stored
    last. Without it, a column that was text once, is JSON and becomes text again would be JSON in the next run.
    """
    columns[column.name] = {**column.dlt_hints(), "x-type-noted-at": datetime.now(timezone.utc).isoformat()}
