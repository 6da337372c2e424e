"""All that the source uses of dlt's insides: names that its documentation lacks, which any version may change.

Above each name stands why it is needed and what is asked of it; a test holds each of them against the dlt that is
installed, and sees to it that no other module of the source has need of one.
"""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.configuration.container import Container
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.data_types import coerce_value, py_type_to_sc_type
from dlt.common.destination.client import WithStateSync
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.exceptions import DltException
from dlt.common.normalizers.naming.snake_case import NamingConvention
from dlt.common.pipeline import PipelineContext
from dlt.common.schema.detections import is_iso_timestamp
from dlt.common.schema.utils import is_nested_table
from dlt.destinations.job_client_impl import SqlJobClientBase
from dlt.pipeline.exceptions import PipelineConfigMissing
from dlt.sources import DltResource

__all__ = [
    # What is wrong with settings. Asked: that dlt raises it for a destination whose settings are not there.
    "ConfigurationException",
    # A table, or a dataset, that is not there. Asked: that dlt's SQL clients raise it.
    "DestinationUndefinedEntity",
    # What all of dlt's errors are. Asked: that `dlt.current.source_schema()` raises one where nothing is extracted.
    "DltException",
    # What a pipeline without a destination has against being asked for its client.
    "PipelineConfigMissing",
    # The client of a SQL destination. Asked: `sql_client`, with `execute_sql` and `make_qualified_table_name`.
    "SqlJobClientBase",
    # A client that keeps schemas in its destination. Asked: `get_stored_schema(name)`, None or with `schema`, its JSON.
    "WithStateSync",
    # What dlt does with a value that comes into a column of another type. Asked: ValueError or TypeError where it puts
    # it beside that column, into one named `<column>__v_<type>`.
    "coerce_value",
    "current_resource",
    "emptied_tables",
    "give_hints",
    # Whether dlt takes a text for a moment. Asked: `timestamp`, or None.
    "is_iso_timestamp",
    # Whether a table is a child of another.
    "is_nested_table",
    # dlt's type of a value of a Python type.
    "py_type_to_sc_type",
    "running_pipeline",
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


def emptied_tables(*, only_dropped: bool = False) -> list[Any]:
    """The tables that dlt drops or empties ahead of the package that is being made (`refresh`), each with its `name`.

    Asked: `dlt.current.load_package_state`, in whose `state` they are `dropped_tables` and `truncated_tables`.
    """
    package: Any = dlt.current.load_package_state()["state"]
    return [*package.get("dropped_tables", ()), *(() if only_dropped else package.get("truncated_tables", ()))]


def running_pipeline() -> Any:
    """The pipeline whose run reads the source; None: none does. Asked: `Container`, with its `PipelineContext`; of the
    pipeline, `schemas` and `destination_client(schema)`.
    """
    context = Container()[PipelineContext]
    return context.pipeline() if context.is_active() else None
