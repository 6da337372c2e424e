"""What dlt says of tables and columns."""

from __future__ import annotations

from dlt.common.normalizers.naming import NamingConvention
from dlt.common.schema.typing import (
    LOADS_TABLE_NAME,
    VERSION_TABLE_NAME,
    TSchemaTables,
    TTableFormat,
    TTableSchemaColumns,
)
from dlt.common.schema.utils import (
    get_columns_names_with_prop,
    get_dedup_sort_tuple,
    get_first_column_name_with_prop,
    get_nested_tables,
    get_root_table,
    is_nested_table,
)

__all__ = [
    "DEDUPLICATED",
    # dlt's table of load packages. Asked: the name alone.
    "LOADS_TABLE_NAME",
    # dlt's table of schemas. Asked: the name; that its columns are `schema_name`, `inserted_at` and `schema`.
    "VERSION_TABLE_NAME",
    # What names are made into. Asked: nothing but its type.
    "NamingConvention",
    # By name, the tables that `update_stored_schema` changed. Asked: `columns` of each.
    "TSchemaTables",
    # `delta` or `iceberg`: the type alone.
    "TTableFormat",
    # By name, the columns of a table: the type alone.
    "TTableSchemaColumns",
    # Names of the columns of a key. Asked: those with a hint, as a list, without the ones whose hint is false.
    "get_columns_names_with_prop",
    # Which of several arriving rows counts. Asked: None, or a column and `asc` or `desc`.
    "get_dedup_sort_tuple",
    # The column that says a row is to be removed. Asked: its name, or None.
    "get_first_column_name_with_prop",
    # A table and those below it. Asked: their `name`s, the table's own first.
    "get_nested_tables",
    # The table that a child table is loaded with. Asked: the table itself where it is no child.
    "get_root_table",
    # Whether a table is a child of another.
    "is_nested_table",
]

DEDUPLICATED = "x-stage-data-deduplicated"
"""Where a table that dlt loads keeps the hint `deduplicated` of its merge: no two arriving rows have the same key."""
