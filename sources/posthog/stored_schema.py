"""What the dataset of a plain dlt script says of itself: whose rows are in it, and which columns its tables have.

dlt keeps state and schema by the name of the pipeline. A script of another name than the program that loaded the
dataset, or than another script, would know neither: it would add a second project's rows to the first one's, and put a
schema without all other tables where the one that names them was. But schemas are kept in the dataset by the name of
the source, so the newest one there says what all pipelines did before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dlt
from dlt.common import json
from dlt.common.schema import TTableSchema

from .dlt_internals import (
    ConfigurationException,
    DestinationUndefinedEntity,
    PipelineConfigMissing,
    SqlJobClientBase,
    WithStateSync,
    emptied_tables,
    is_nested_table,
    running_pipeline,
)
from .readers.extraction import CLAIM


class StoredSchema:
    """Takes over, once in each load package, what the dataset of the pipeline that runs has of this source."""

    def __init__(self) -> None:
        self._taken_into: dlt.Schema | None = None
        self._claimed: Mapping[str, Mapping[str, Any]] = {}

    def take_over(self) -> Mapping[str, Mapping[str, Any]]:
        """Adds what the dataset has to the schema that is being extracted, but for tables that dlt drops ahead of this
        load. Returns the tables there that hold rows and say whose these are, by name.

        Nothing is done where no pipeline runs or its destination keeps no schemas.
        """
        mine = dlt.current.source_schema()
        if mine is not self._taken_into:
            self._claimed = _take_over(mine)
            self._taken_into = mine
        return self._claimed


def _take_over(mine: dlt.Schema) -> Mapping[str, Mapping[str, Any]]:
    pipeline = running_pipeline()
    if pipeline is None:
        return {}
    dropped = {each["name"] for each in emptied_tables(only_dropped=True)}
    try:
        opened = pipeline.destination_client(mine.name if mine.name in pipeline.schemas else None)
    except (PipelineConfigMissing, ConfigurationException):
        return {}  # only extracted, for a destination that is not set yet
    with opened as client:
        stored = _stored(client, mine.name)
        if stored is None:
            return {}
        names = [name for name in stored.data_table_names(include_incomplete=True) if name not in dropped]
        tables: dict[str, Any] = {name: stored.tables[name] for name in names}
        claimed = {name: table for name, table in tables.items() if CLAIM in table and _has_rows(client, name)}
    for name, table in sorted(tables.items(), key=lambda item: is_nested_table(item[1])):
        _add(mine, name, table)
    return claimed


def _stored(client: Any, name: str) -> dlt.Schema | None:
    if not isinstance(client, WithStateSync):
        return None
    try:
        found = client.get_stored_schema(name)
    except DestinationUndefinedEntity:
        return None
    return None if found is None else dlt.Schema.from_stored_schema(json.loads(found.schema))


def _has_rows(client: Any, table: str) -> bool:
    """Whether a table holds rows; files are taken for such."""
    if not isinstance(client, SqlJobClientBase):
        return True
    sql = client.sql_client
    try:
        return bool(sql.execute_sql(f"SELECT 1 FROM {sql.make_qualified_table_name(table)} LIMIT 1"))
    except DestinationUndefinedEntity:
        return False


def _add(schema: dlt.Schema, name: str, table: TTableSchema) -> None:
    """Adds a table, or those of its columns that `schema` does not have."""
    known = schema.tables.get(name)
    if known is None:
        schema.update_table(table, normalize_identifiers=False)
        return
    new = {column: about for column, about in table["columns"].items() if column not in known["columns"]}
    if new:
        schema.update_table({"name": name, "columns": new}, normalize_identifiers=False)
