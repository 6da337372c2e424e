"""What the merge has to know of a table, out of dlt's schema."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from dlt.common.destination.typing import PreparedTableSchema

from ..dlt_internals.tables import (
    DEDUPLICATED,
    get_columns_names_with_prop,
    get_dedup_sort_tuple,
    get_first_column_name_with_prop,
)
from ..duckdb_sql import identifier, literal, utc_day
from .columns import lake_type
from .layout import NO_DATE, shape_of


@dataclass(frozen=True)
class Spec:
    """A table as it is to lie in the lake, and how rows come into it."""

    name: str
    columns: dict[str, str]
    """The types of all columns, by DuckDB's names, in their order."""
    loads: Literal["merge", "append", "replace"]
    unique: tuple[str, ...] = ()
    """The primary key."""
    match: tuple[str, ...] = ()
    """Rows that arrive replace those that are equal to them here: the merge key, or else the primary key."""
    newest_by: tuple[str, str] | None = None
    """Of arriving rows with the same primary key the first by this column counts, `asc` or `desc`."""
    has_no_copies: bool = False
    """No two arriving rows have the same primary key."""
    gone: str = ""
    """SQL that is true for arriving rows that are to be removed; empty: there are none."""
    dated_by: str | None = None
    sorted_by: tuple[str, ...] = ()

    @property
    def day(self) -> str:
        """SQL for the partition of a row; NULL for tables without."""
        if self.dated_by is None:
            return "CAST(NULL AS VARCHAR)"
        return f"coalesce(CAST({utc_day(identifier(self.dated_by))} AS VARCHAR), {literal(NO_DATE)})"


def spec_of(table: PreparedTableSchema) -> Spec:
    """The spec of a table of dlt's, as `prepare_load_table` gives it."""
    given: dict[str, Any] = dict(table)
    known: Any = table
    columns = {name: lake_type(c) for name, c in given["columns"].items() if "data_type" in c}
    unique = tuple(name for name in get_columns_names_with_prop(known, "primary_key") if name in columns)
    groups = tuple(name for name in get_columns_names_with_prop(known, "merge_key") if name in columns)
    shape = shape_of(given["name"])
    dated_by = shape.dated_by if shape.dated_by in columns else None
    sorted_by = tuple(name for name in shape.sorted_by if name in columns) or unique or groups
    loads = given["write_disposition"]
    if loads == "merge" and not (unique or groups):
        loads = "append"  # as dlt does it
    return Spec(
        name=given["name"],
        columns=columns,
        loads=loads,
        unique=unique,
        match=groups or unique,
        newest_by=get_dedup_sort_tuple(known),
        has_no_copies=bool(given.get(DEDUPLICATED, False)),
        gone=_gone(given),
        dated_by=dated_by,
        sorted_by=sorted_by,
    )


def _gone(table: Any) -> str:
    column = get_first_column_name_with_prop(table, "hard_delete")
    if column is None or "data_type" not in table["columns"][column]:
        return ""
    is_flag = table["columns"][column]["data_type"] == "bool"
    return f"coalesce({identifier(column)}, false)" if is_flag else f"{identifier(column)} IS NOT NULL"
