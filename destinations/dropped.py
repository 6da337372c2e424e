"""Tables and columns that somebody dropped behind dlt's back.

dlt never looks: it believes the schema that it stored. Rows of a dropped table would go nowhere; and a dropped column
it would make again, empty, as soon as its schema changes for another reason, so that nothing tells that all values of
the rows before are gone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dlt

from .errors import TableUnusable

Present = Mapping[str, Any]
"""The columns of each table that is there, by name."""
_SHOWN = 3


def tables_gone(stored: dlt.Schema, present: Present) -> list[str]:
    """Tables that rows were loaded into, and that are not there any more."""
    loaded = stored.data_table_names(seen_data_only=True)
    # Without its own tables the dataset is new, or what is wrong with it is more than a table.
    return [name for name in loaded if name not in present] if any(name in present for name in loaded) else []


def columns_gone(
    stored: dlt.Schema, present: Present, location: str, *, case_sensitive: bool = False
) -> list[TableUnusable]:
    """Tables that lack columns that were loaded."""
    errors = []
    for name in stored.data_table_names(seen_data_only=True):
        if name in present:
            gone = stored.get_new_table_columns(name, present[name], case_sensitive=case_sensitive)
            if names := [str(column["name"]) for column in gone]:
                errors.append(_unusable(name, names, location))
    return errors


def _unusable(table: str, columns: Sequence[str], location: str) -> TableUnusable:
    shown = ", ".join(columns[:_SHOWN]) + (f" and {len(columns) - _SHOWN} more" if len(columns) > _SHOWN else "")
    what = "the column" if len(columns) == 1 else "the columns"
    return TableUnusable(
        table,
        f"The table {table} in {location} has lost {what} {shown}: dropped, or renamed, by somebody else.",
        "Rename them back, or add them again or drop the table: the next run loads all of it again.",
        lost=None,
    )
