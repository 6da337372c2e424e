"""PostgreSQL by its own COPY, out of the Parquet files of a load package.

dlt loads PostgreSQL by INSERT, by CSV, in which an empty text and NULL are the same, or through ADBC, which cannot fill
columns of the types uuid and jsonb. COPY's text format, written column by column with Arrow, loses nothing and is the
fastest.

Types: UUIDs are `uuid`. JSON is `json`, not `jsonb`: that one refuses texts that PostHog accepts (an escaped NUL, half
a surrogate pair), for which a whole sync would stop, and keeps neither spelling nor order; `properties::jsonb` is there
for the asking. PostgreSQL holds no NUL in a text at all: it is stored as U+FFFD, as PostHog itself stores it.
"""

# ruff: noqa: FBT001, FBT002 - the arguments are dlt's

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.schema import TColumnSchema

from .advisory_lock import lock_sql
from .destination import Place
from .dlt_internals.loading import (
    ChangesCapabilities,
    DestinationException,
    HasFollowupJobs,
    JobRun,
    LoadJob,
    RunnableLoadJob,
    SqlJobClientBase,
)
from .dlt_internals.postgres import PostgresClient, PostgresTypeMapper
from .dlt_internals.tables import TSchemaTables
from .errors import DestinationHeld, DestinationUnusable
from .kinds import Kind
from .postgres_column_backfill import PostgresColumns
from .postgres_copy import copy
from .preflight import client_of
from .sql import SqlDestination
from .sql_session import SqlSession
from .views_and_comments import views_over

_ROWS = 20_000
"""Rows that are made into text at once: some 40 MB of events."""
_FETCHED = 100_000


class TypeMapper(PostgresTypeMapper):
    """dlt's types for PostgreSQL, but uuid for columns marked `x-uuid`, numeric for `x-unsigned`, and json."""

    def to_destination_type(self, column: TColumnSchema, table: PreparedTableSchema) -> str:
        """The PostgreSQL type of `column`."""
        if column.get("x-uuid"):
            return "uuid"
        if column.get("x-unsigned"):
            return "numeric(20, 0)"
        if column["data_type"] == "json":
            return "json"
        return str(super().to_destination_type(column, table))

    def from_destination_type(self, db_type: str, precision: int | None = None, scale: int | None = None) -> Any:
        """dlt's type of a column that is there."""
        if db_type == "uuid":
            return {"data_type": "text"}
        return super().from_destination_type(db_type, precision, scale)


class CopyJob(JobRun, RunnableLoadJob, HasFollowupJobs):
    """One Parquet file into its table, in one transaction."""

    def run(self) -> None:
        """Copies it."""
        client = self.dlt_client
        assert isinstance(client, PostgresClient)  # noqa: S101 - whose jobs these are
        sql = client.sql_client
        with pq.ParquetFile(self.path) as file:
            names = ", ".join(map(sql.escape_column_name, file.schema_arrow.names))
            table = sql.make_qualified_table_name(self.load_table_name)
            with sql.begin_transaction(), sql.native_connection.cursor() as cursor:
                for batch in file.iter_batches(_ROWS):
                    copy(cursor, f"{table} ({names})", batch)


class CopyClient(PostgresClient):
    """dlt's client, with COPY for Parquet, and an index on each key: merges go by it, however large the table is."""

    def create_load_job(
        self, table: PreparedTableSchema, file_path: str, load_id: str, restore: bool = False
    ) -> LoadJob:
        """The job for a file."""
        if file_path.endswith(".parquet"):
            return CopyJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    def update_stored_schema(
        self,
        only_tables: Any = None,
        expected_update: Any = None,
        force: bool = False,
    ) -> TSchemaTables | None:
        """dlt's, and the indexes of tables that are new."""
        applied: TSchemaTables | None = super().update_stored_schema(only_tables, expected_update, force)
        if not self.sql_client.is_staging_dataset_active:
            self.sql_client.execute_many([*self._indexes(applied or {})])
        return applied

    def _indexes(self, tables: TSchemaTables) -> Iterator[str]:
        for name, table in tables.items():
            keys = [column for column, about in table["columns"].items() if about.get("primary_key")]
            # Keys that are new: the table is.
            if keys and self.schema.get_table(name).get("write_disposition") == "merge":
                columns = ", ".join(map(self.sql_client.escape_column_name, keys))
                yield f"CREATE INDEX ON {self.sql_client.make_qualified_table_name(name)} ({columns})"


class postgres_by_copy(ChangesCapabilities, dlt.destinations.postgres):  # noqa: N801 - dlt names destinations like this
    """`dlt.destinations.postgres`, with the same settings, that copies Parquet."""

    @property
    def client_class(self) -> type[PostgresClient]:
        """Who runs the jobs."""
        return CopyClient

    def changed(self, capabilities: DestinationCapabilitiesContext) -> DestinationCapabilitiesContext:
        """What it can do: dlt's own selector drops Parquet where ADBC is missing."""
        capabilities.loader_file_format_selector = None  # type: ignore[assignment]  # its own default
        capabilities.preferred_loader_file_format = "parquet"
        capabilities.type_mapper = TypeMapper
        return capabilities


class Postgres(SqlDestination):
    """A schema of a PostgreSQL database."""

    takes_parquet = True

    def __init__(self, kind: Kind, place: Place) -> None:
        super().__init__(kind, place)
        self._held = ExitStack()
        self._is_held = False

    def factory(self, **settings: Any) -> postgres_by_copy:
        """dlt's destination, copying."""
        # One file after the other: each takes some 100 MB here for its text.
        given: Any = {"loader_parallelism_strategy": "sequential", **settings}
        return postgres_by_copy(destination_name=self.name, **given)

    def check(self) -> None:
        """As any, and whether the user may make the schema or, where there is one, tables in it.

        From here on until it is closed, no other process passes this check for the same dataset.
        """
        super().check()
        with self.session() as session:
            self._refuse_rights(session)
            with session.staging():
                self._refuse_rights(session)
        self._hold()

    def _refuse_rights(self, session: SqlSession) -> None:
        if session.is_there():
            sql, what = "SELECT has_schema_privilege(%s, 'CREATE')", f"tables in the schema {session.dataset}"
            [(may,)] = session.ask(sql, session.dataset)
        else:
            sql, what = "SELECT has_database_privilege(current_database(), 'CREATE')", f"the schema {session.dataset}"
            [(may,)] = session.ask(sql)
        if not may:
            raise DestinationUnusable(
                f"The user of {self.location} may not make {what}.",
                f"GRANT CREATE ON DATABASE or SCHEMA to it, or give another user in [destination.{self.name}].",
            )

    def close(self) -> None:
        """Closes the connections, and lets others load."""
        super().close()
        self._is_held = False
        # A server that went meanwhile has let go already.
        with suppress(DestinationException, *self._driver_errors()):
            self._held.close()

    def _hold(self) -> None:
        if self._is_held:
            return
        # A connection of its own, whose transaction is as long as the run.
        sql: Any = self._own_client().sql_client
        self._held.enter_context(sql)
        self._held.enter_context(sql.begin_transaction())
        [(self._is_held,)] = sql.execute_sql(lock_sql(self.dataset)) or [(False,)]
        if not self._is_held:
            raise DestinationHeld(
                f"Another process loads into the dataset {self.dataset} of {self.location}.",
                "Wait until that one is done, and run the same command again; nothing is lost.",
            )

    def _driver_errors(self) -> tuple[type[Exception], ...]:
        dbapi: Any = None if self._client is None else self._client.sql_client.dbapi
        return () if dbapi is None else (dbapi.Error,)

    def known_versions(self, table: str, key: str) -> Iterable[pa.Table]:
        """`key`, `version` and `is_deleted` of all rows of a table, in pieces; none: it is not there."""
        with self.session() as session:
            if not session.columns([table]):
                return
            columns = (key, "version", "is_deleted")
            names = ", ".join(map(session.column, columns))
            sql = self.client.sql_client
            # Of a cursor of the server's: psycopg2 fetches all rows of another one at once.
            with sql.begin_transaction(), sql.native_connection.cursor(name="known_versions") as cursor:
                cursor.execute(f"SELECT {names} FROM {session.table(table)}")
                while rows := cursor.fetchmany(_FETCHED):
                    yield pa.table(dict(zip(columns, map(list, zip(*rows, strict=True)), strict=True)))

    def column_types(self, table: str) -> dict[str, str]:
        """dlt's type of each column of a table, as it is there."""
        with self.session() as session:
            return session.types(table)

    def columns(self, table: str) -> PostgresColumns:
        """The columns of one table, to be made anew."""
        with self.session() as session:
            keys = [
                name
                for name, about in self.stored(session).get_table(table)["columns"].items()
                if about.get("primary_key")
            ]

        def views() -> Mapping[str, str]:
            with self.session() as session:
                return views_over(session, self.kind, table)

        return PostgresColumns(self._own_client(), table, keys, copy=copy, views=views)

    def _own_client(self) -> SqlJobClientBase:
        """For a connection besides the one of `session`."""
        return client_of(self.kind, self.factory, self.dlt_destination, self.dataset)
