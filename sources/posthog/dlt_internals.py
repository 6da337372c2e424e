"""All that the source uses of dlt's insides: names that its documentation lacks, which any version may change.

Above each name stands why it is needed and what is asked of it; a test holds each of them against the dlt that is
installed, and sees to it that no other module of the source has need of one.
"""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.data_types import coerce_value, py_type_to_sc_type
from dlt.common.exceptions import DltException
from dlt.common.normalizers.naming.snake_case import NamingConvention
from dlt.common.schema.detections import is_iso_timestamp
from dlt.sources import DltResource

__all__ = [
    # What all of dlt's errors are. Asked: that `dlt.current.source_schema()` raises one where nothing is extracted.
    "DltException",
    # What dlt does with a value that comes into a column of another type. Asked: ValueError or TypeError where it puts
    # it beside that column, into one named `<column>__v_<type>`.
    "coerce_value",
    "current_resource",
    "emptied_tables",
    "give_hints",
    # Whether dlt takes a text for a moment. Asked: `timestamp`, or None.
    "is_iso_timestamp",
    # dlt's type of a value of a Python type.
    "py_type_to_sc_type",
    "snake_case",
]

COLUMN_WARNING = "several column hints were different"
"""What dlt logs for each page whose types are not those of its columns. Asked: these words, to the logger `dlt`."""

_SNAKE_CASE = NamingConvention()


def snake_case(name: str) -> str:
    """`name` as dlt names tables and columns. Asked: `normalize_identifier`, which leaves its own names as they are."""
    return str(_SNAKE_CASE.normalize_identifier(name))


def current_resource() -> DltResource:
    """The resource that is being read. Asked: `dlt.current.resource`, with the hints and disposition in force."""
    resource: DltResource = dlt.current.resource()
    return resource


def give_hints(table: str, **hints: Any) -> None:
    """Says how pages that the resource which is being read hands on for another table, `table`, are loaded.

    `dlt.mark.with_hints` would add the columns of the resource's own table, which it starts from. Asked:
    `_hints_variants`, where dlt keeps what that makes, by table.
    """
    current_resource()._hints_variants[table] = dlt.mark.make_hints(table_name=table, **hints)


def emptied_tables() -> list[Any]:
    """The tables that dlt drops or empties ahead of the package that is being made (`refresh`), each with its `name`.

    Asked: `dlt.current.load_package_state`, in whose `state` they are `dropped_tables` and `truncated_tables`.
    """
    package: Any = dlt.current.load_package_state()["state"]
    return [*package.get("dropped_tables", ()), *package.get("truncated_tables", ())]
