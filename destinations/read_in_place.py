"""DuckDB, and what is built on it, as a dlt destination that writes rows once.

dlt loads what is to be merged, or is to replace a table, into a staging table first and copies it from there: every
row is compressed and written twice. Here a Parquet file of a load package stays where it is, and dlt's own SQL reads it
from there, through a view of the one connection that runs that SQL. dlt's transaction, order of jobs and bookkeeping
are untouched, and so is what a crash can do: a file that was "loaded" is a file that is there.

So there is no staging dataset: none is made, and one of that name, whoever made it, is neither read nor changed.
"""

# ruff: noqa: FBT001, FBT002 - the arguments are dlt's

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import dlt
from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.typing import PreparedTableSchema

from .dlt_internals.duckdb import DuckDbClient, DuckDbCopyJob, DuckDbSqlClient
from .dlt_internals.loading import ChangesCapabilities, FollowupJobRequest, JobRun, LoadJob, LoadJobInfo
from .dlt_internals.tables import TSchemaTables
from .duckdb_memory import give_back, room_for
from .duckdb_sql import uncut_literal

_VIEW = "staged_{}"


class InPlaceJob(DuckDbCopyJob):
    """A Parquet file that need not be loaded: the SQL that follows reads it."""

    def run(self) -> None:
        """Nothing. Whether the file can be read shows in the SQL, before anything is changed."""


class AppendJob(JobRun, DuckDbCopyJob):
    """A Parquet file whose rows are added to its table. dlt's own writes the path into its SQL as it is."""

    def run(self) -> None:
        """Adds them."""
        client = self.dlt_client
        table = client.sql_client.make_qualified_table_name(self.load_table_name)
        client.sql_client.execute_sql(
            f"INSERT INTO {table} BY NAME SELECT * FROM read_parquet({uncut_literal(self.path)})"
        )


class InPlaceSqlClient(DuckDbSqlClient):
    """Calls views over files by name where dlt's calls staging tables."""

    def view_name(self, table_name: str) -> str:
        """The view over the files of `table_name`: temporary, so it ends with its connection."""
        return f"temp.main.{self.escape_column_name(_VIEW.format(table_name))}"

    def make_qualified_table_name(self, table_name: str, quote: bool = True, casefold: bool = True) -> str:
        """The name of a table, or of the view that stands for its staging table."""
        if self.is_staging_dataset_active:
            return self.view_name(table_name)
        return str(super().make_qualified_table_name(table_name, quote=quote, casefold=casefold))


class InPlaceClient(DuckDbClient):
    """dlt's client, except that Parquet files for the staging dataset are read where they are, and it has none."""

    sql_client: InPlaceSqlClient

    def __init__(self, schema: dlt.Schema, config: Any, capabilities: DestinationCapabilitiesContext) -> None:
        super().__init__(schema, config, capabilities)
        self.sql_client = self.in_place(self.sql_client)

    def in_place(self, of: Any) -> InPlaceSqlClient:
        """The SQL client like dlt's, `of`, that reads in place."""
        return InPlaceSqlClient(of.dataset_name, of.staging_dataset_name, of.credentials, of.capabilities)

    def memory_limit(self) -> str:
        """How much memory a job's connection may take."""
        with self.sql_client as client:
            return str((client.execute_sql("SELECT current_setting('memory_limit')") or [[""]])[0][0])

    def is_storage_initialized(self) -> bool:
        """Whether the dataset is there. One for staging never is: dlt has nothing to drop in it."""
        return not self.in_staging_dataset_mode and bool(super().is_storage_initialized())

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Makes the dataset, or empties tables of it. None for staging."""
        if not self.in_staging_dataset_mode:
            super().initialize_storage(truncate_tables)  # type: ignore[arg-type]  # None is dlt's own default

    def update_stored_schema(
        self, only_tables: Any = None, expected_update: Any = None, force: bool = False
    ) -> TSchemaTables | None:
        """Makes tables and columns. None for staging."""
        if self.in_staging_dataset_mode:
            return {}
        applied: TSchemaTables | None = super().update_stored_schema(only_tables, expected_update, force)
        return applied

    def drop_storage(self) -> None:
        """Drops the dataset, and no other: dlt's own drops one of the name for staging as well."""
        self.sql_client.drop_dataset()

    def create_load_job(
        self,
        table: PreparedTableSchema,
        file_path: str,
        load_id: str,
        restore: bool = False,
    ) -> LoadJob:
        """The job for a file: none to speak of for Parquet that is to be merged or to replace a table."""
        if file_path.endswith(".parquet"):
            is_staged = self.should_load_data_to_staging_dataset(_name(table))
            return InPlaceJob(file_path) if is_staged else AppendJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    def create_table_chain_completed_followup_jobs(
        self,
        table_chain: Sequence[PreparedTableSchema],
        completed_table_chain_jobs: Sequence[LoadJobInfo] | None = None,
    ) -> list[FollowupJobRequest]:
        """dlt's SQL for a table and its children, with the views it reads, and the memory it takes, ahead of it."""
        files: dict[str, list[str]] = {}
        for job in completed_table_chain_jobs or ():
            files.setdefault(job.job_file_info.table_name, []).append(job.file_path)
        # Nested tables without a file are in the chain as well: their views have no rows.
        names = [name for name in map(_name, table_chain) if self.should_load_data_to_staging_dataset(name)]
        views = [self._view(name, files.get(name, ())) for name in names]
        widest = max(len(self.schema.get_table_columns(_name(table))) for table in table_chain)
        if lift := room_for(widest, self.memory_limit()):
            views.insert(0, lift)
        jobs: list[FollowupJobRequest] = super().create_table_chain_completed_followup_jobs(
            table_chain, completed_table_chain_jobs
        )
        for followup in jobs:
            file = Path(followup.new_file_path())
            file.write_text("\n".join([*views, file.read_text(encoding="utf-8")]), encoding="utf-8")
        return jobs

    def complete_load(self, load_id: str) -> None:
        """Notes in dlt's own table that a package is loaded; nothing of what it took is kept."""
        super().complete_load(load_id)
        give_back()

    def _view(self, table: str, files: Sequence[str]) -> str:
        """A view of the rows of `files`, with all columns of the table they are for, in its types."""
        name = self.sql_client.view_name(table)
        like = f"SELECT * FROM {self.sql_client.make_qualified_table_name(table)} WHERE false"
        paths = ", ".join(map(uncut_literal, sorted(files)))
        rows = f" UNION ALL BY NAME SELECT * FROM read_parquet([{paths}], union_by_name = true)" if files else ""
        return f"CREATE OR REPLACE TEMP VIEW {name} AS {like}{rows}"


class duckdb_in_place(ChangesCapabilities, dlt.destinations.duckdb):  # noqa: N801 - dlt names destinations like this
    """`dlt.destinations.duckdb`, with the same settings, that reads Parquet where it is."""

    @property
    def client_class(self) -> type[DuckDbClient]:
        """Who runs the jobs."""
        return InPlaceClient

    def changed(self, capabilities: DestinationCapabilitiesContext) -> DestinationCapabilitiesContext:
        """What dlt's can do, from Parquet alone."""
        return of_parquet_alone(capabilities)


def of_parquet_alone(capabilities: DestinationCapabilitiesContext) -> DestinationCapabilitiesContext:
    """What dlt's destination can do, with Parquet as its only file format: others would need staging tables."""
    capabilities.preferred_loader_file_format = "parquet"
    capabilities.supported_loader_file_formats = ["parquet"]
    return capabilities


def _name(table: PreparedTableSchema) -> str:
    return str(table["name"])
