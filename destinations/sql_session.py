"""One connection to a dlt SQL destination: what is asked there, in its own SQL.

dlt's SQL client opens it, quotes names and binds values; sqlglot says in the destination's SQL what is written here in
DuckDB's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timezone
from typing import Any, cast

import dlt
import pyarrow as pa
import sqlglot
from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.schema import TColumnSchema, TTableSchema
from sqlglot import exp

from .destination import StoredColumn
from .dlt_internals.loading import DestinationUndefinedEntity, SqlJobClientBase, WithStagingDataset
from .dlt_internals.tables import TTableSchemaColumns

_PIECE_ROWS = 100_000
_SAME = {"wei": "decimal"}
"""What dlt reads back under another name than it was made by: decimals without a fraction as its type for Ethereum."""
_DIALECTS = {"fabric": "tsql"}
"""dlt's names of dialects that older versions of sqlglot do not have."""


class SqlSession:
    """Open while it is used; see `SqlDestination.session`."""

    def __init__(self, client: SqlJobClientBase) -> None:
        self._client = client
        self._sql = client.sql_client

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows that a query in the destination's SQL answers; `%s` stands for each of `values`."""
        return [tuple(row) for row in self._sql.execute_sql(sql, *values) or ()]

    def pieces(self, sql: str, *values: object) -> Iterator[pa.Table]:
        """The same as Arrow tables of some 100,000 rows."""
        with self._sql.execute_query(sql, *values) as cursor:
            yield from cursor.iter_arrow(_PIECE_ROWS)

    def run(self, statements: Sequence[str]) -> None:
        """Statements in the destination's SQL: all or none, where it can, in as few turns as it allows."""
        if not statements:
            return
        if not self._sql.capabilities.supports_ddl_transactions:
            for statement in statements:
                self._sql.execute_sql(statement)
            return
        with self._sql.begin_transaction():
            self._sql.execute_many(statements)

    def table(self, name: str) -> str:
        """How the destination's SQL calls a table of the dataset."""
        return str(self._sql.make_qualified_table_name(name))

    def duckdb_name(self, name: str) -> str:
        """How DuckDB's SQL calls it, to be translated."""
        path = self._sql.make_qualified_table_name_path(name, quote=False)
        return ".".join(exp.to_identifier(part, quoted=True).sql("duckdb") for part in path)

    def column(self, name: str) -> str:
        """How it calls a column."""
        return str(self._sql.escape_column_name(name))

    def type_of(self, column: TColumnSchema, table: TTableSchema) -> str:
        """The destination's type of a column."""
        mapper = self._client.capabilities.get_type_mapper()
        return str(mapper.to_destination_type(column, cast("PreparedTableSchema", table)))

    @property
    def dataset(self) -> str:
        """The dataset's name there."""
        return str(self._sql.dataset_name)

    @contextmanager
    def staging(self) -> Iterator[None]:
        """Within, all is asked of the dataset in which dlt stages rows."""
        assert isinstance(self._client, WithStagingDataset)  # noqa: S101 - all that can merge are
        with self._client.with_staging_dataset():
            yield

    def has_rows(self, table: str) -> bool:
        """Whether a table that is there holds any row."""
        return bool(self.records(f"SELECT 1 AS found FROM {self.duckdb_name(table)} LIMIT 1"))

    def is_there(self) -> bool:
        """Whether the dataset exists."""
        return bool(self._sql.has_dataset())

    def columns(self, tables: Iterable[str]) -> dict[str, TTableSchemaColumns]:
        """The columns of those of `tables` that are there, in their order."""
        names = list(dict.fromkeys(tables))
        try:
            return {name: columns for name, columns in self._client.get_storage_tables(names) if columns}
        except DestinationUndefinedEntity:
            return {}

    def types(self, table: str) -> dict[str, str]:
        """dlt's type of each column of a table, as dlt reads them back.

        Not every database gives back the types that it was given: to be used only where a test shows that it does.
        """
        found = self.columns([table]).get(table, {})
        return {name: _SAME.get(kind, kind) for name, about in found.items() if (kind := about.get("data_type"))}

    def false(self) -> str:
        """How the destination's SQL says that a condition column is not met: `column = false`."""
        return self.translated("SELECT 1 WHERE c = false").rpartition("= ")[2]

    def translated(self, sql: str) -> str:
        """DuckDB's SQL in the destination's."""
        return translated(sql, self._sql.capabilities)

    def records(self, sql: str) -> list[dict[str, Any]]:
        """What a query in DuckDB's SQL answers, under the names that the query gives."""
        query = sqlglot.parse_one(sql, read="duckdb")
        names = query.named_selects if isinstance(query, exp.Query) else []
        return [dict(zip(names, map(_in_utc, row), strict=True)) for row in self.ask(self.translated(sql))]


def translated(sql: str, capabilities: DestinationCapabilitiesContext) -> str:
    """DuckDB's SQL in that of a destination, with names in the case in which dlt makes them there."""
    tree = sqlglot.parse_one(sql, read="duckdb")
    for identifier in tree.find_all(exp.Identifier):
        identifier.set("this", capabilities.casefold_identifier(identifier.name))
    dialect = capabilities.sqlglot_dialect or ""
    return tree.sql(dialect=_DIALECTS.get(dialect, dialect))


class SqlReading:
    """A look at the tables of the dataset."""

    def __init__(self, session: SqlSession, stored: dlt.Schema) -> None:
        self._session = session
        self._stored = stored

    @property
    def tables(self) -> Mapping[str, Sequence[StoredColumn]]:
        """The columns of each table, as dlt made them."""
        data = {str(table["name"]) for table in self._stored.data_tables()}
        present = self._session.columns(data)
        return {
            name: [
                StoredColumn(
                    column,
                    self._session.type_of(about, table),
                    is_time=about.get("data_type") == "timestamp",
                    comment=about.get("description") or "",
                )
                for column, about in table["columns"].items()
                # One of which only NULLs came has no type yet, and is not made.
                if "data_type" in about
            ]
            for name, table in self._stored.tables.items()
            if name in present
        }

    def table(self, name: str) -> str:
        """How a query in DuckDB's SQL calls the table."""
        return self._session.duckdb_name(name)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What a query answers."""
        return self._session.records(sql)


def _in_utc(value: Any) -> Any:
    return value.astimezone(timezone.utc) if isinstance(value, datetime) and value.tzinfo else value


def day_text(day: date | datetime | str) -> str:
    """A day as YYYY-MM-DD, whatever a driver makes of a DATE."""
    return day.strftime("%Y-%m-%d") if isinstance(day, (date, datetime)) else str(day)[:10]
