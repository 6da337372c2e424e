"""A look at the tables behind a DuckDB connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb

from .destination import StoredColumn
from .duckdb_sql import identifier


class DuckDbReading:
    """What a schema of the connection's database holds."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, dataset: str) -> None:
        self._connection = connection
        self._dataset = dataset

    @property
    def tables(self) -> Mapping[str, Sequence[StoredColumn]]:
        """The columns of each table in their order, dlt's own tables and the views left out."""
        found = self._connection.execute(
            "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() "
            "SEMI JOIN duckdb_tables() USING (database_name, schema_name, table_name) "
            "WHERE schema_name = ? AND database_name = current_database() AND NOT starts_with(table_name, '_dlt') "
            "ORDER BY table_name, column_index",
            [self._dataset],
        ).fetchall()
        tables: dict[str, list[StoredColumn]] = {}
        for table, column, kind, comment in found:
            tables.setdefault(table, []).append(
                StoredColumn(column, kind, is_time=kind.startswith("TIMESTAMP"), comment=comment or "")
            )
        return tables

    def table(self, name: str) -> str:
        """The table's name with its schema's."""
        return f"{identifier(self._dataset)}.{identifier(name)}"

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What a query answers."""
        cursor = self._connection.execute(sql)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
