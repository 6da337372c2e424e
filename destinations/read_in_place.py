"""DuckDB, and what is built on it, as a dlt destination that writes rows once.

dlt loads what is to be merged, or is to replace a table, into a staging table first and copies it from there: every
row is compressed and written twice. Here a Parquet file of a load package stays where it is, and dlt's own SQL reads it
from there, through a view of the one connection that runs that SQL. dlt's transaction, order of jobs and bookkeeping
are untouched, and so is what a crash can do: a file that was "loaded" is a file that is there.

Names of dlt 1.31 that are not in its documentation, each pinned by a test: `DuckDbClient` and `DuckDbSqlClient` (the
classes behind `dlt.destinations.duckdb`), `DuckDbCopyJob` (the job for a Parquet file), and that the SQL of a follow-up
job is a text file of one statement a line, which runs on one connection in one transaction.
"""

# ruff: noqa: FBT001, FBT002 - the arguments are dlt's

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dlt
from dlt.common.destination import DestinationCapabilitiesContext, PreparedTableSchema
from dlt.common.destination.client import FollowupJobRequest, LoadJob
from dlt.common.schema import Schema
from dlt.common.storages.load_package import LoadJobInfo
from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

from .duckdb_memory import give_back, room_for

_VIEW = "staged_{}"


class InPlaceJob(DuckDbCopyJob):
    """A Parquet file that need not be loaded: the SQL that follows reads it."""

    def run(self) -> None:
        """Nothing. Whether the file can be read shows in the SQL, before anything is changed."""


class InPlaceSqlClient(DuckDbSqlClient):
    """Calls the staging tables that are views over files by the views' names."""

    _views: Collection[str] = ()

    @contextmanager
    def reading_in_place(self, tables: Collection[str]) -> Iterator[None]:
        """Within, the staging table of each of `tables` goes by the name of its view."""
        self._views = tables
        try:
            yield
        finally:
            self._views = ()

    def view_name(self, table_name: str) -> str:
        """The view over the files of `table_name`: temporary, so it ends with its connection."""
        return f"temp.main.{self.escape_column_name(_VIEW.format(table_name))}"

    def make_qualified_table_name(self, table_name: str, quote: bool = True, casefold: bool = True) -> str:
        """The name of a table, or of the view that stands for it."""
        if table_name in self._views and self.is_staging_dataset_active:
            return self.view_name(table_name)
        return str(super().make_qualified_table_name(table_name, quote=quote, casefold=casefold))


class InPlaceClient(DuckDbClient):
    """dlt's client, except that Parquet files for the staging dataset are read where they are."""

    sql_client: InPlaceSqlClient

    def __init__(self, schema: Schema, config: Any, capabilities: DestinationCapabilitiesContext) -> None:
        super().__init__(schema, config, capabilities)
        self.sql_client = self.in_place(self.sql_client)

    def in_place(self, of: Any) -> InPlaceSqlClient:
        """The SQL client like dlt's, `of`, that reads in place."""
        return InPlaceSqlClient(of.dataset_name, of.staging_dataset_name, of.credentials, of.capabilities)

    def memory_limit(self) -> str:
        """How much memory a job's connection may take."""
        with self.sql_client as client:
            return str((client.execute_sql("SELECT current_setting('memory_limit')") or [[""]])[0][0])

    def create_load_job(
        self,
        table: PreparedTableSchema,
        file_path: str,
        load_id: str,
        restore: bool = False,
    ) -> LoadJob:
        """The job for a file: none to speak of for Parquet that is to be merged or to replace a table."""
        if file_path.endswith(".parquet") and self.should_load_data_to_staging_dataset(_name(table)):
            return InPlaceJob(file_path)
        return super().create_load_job(table, file_path, load_id, restore)

    def create_table_chain_completed_followup_jobs(
        self,
        table_chain: Sequence[PreparedTableSchema],
        completed_table_chain_jobs: Sequence[LoadJobInfo] | None = None,
    ) -> list[FollowupJobRequest]:
        """dlt's SQL for a table and its children, with the views it reads, and the memory it takes, ahead of it."""
        files: dict[str, list[str]] = {}
        for job in completed_table_chain_jobs or ():
            if job.job_file_info.file_format == "parquet":
                files.setdefault(job.job_file_info.table_name, []).append(job.file_path)
        # Nested tables without a file are in the chain as well: those are read from their (empty) staging tables.
        names = [
            name for name in map(_name, table_chain) if name in files and self.should_load_data_to_staging_dataset(name)
        ]
        views = [self._view(name, files[name]) for name in names]
        widest = max(len(self.schema.get_table_columns(_name(table))) for table in table_chain)
        if lift := room_for(widest, self.memory_limit()):
            views.insert(0, lift)
        with self.sql_client.reading_in_place(names):
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
        """A view of the rows of `files`, and of the staging table's own, where other kinds of files are loaded.

        The table gives the types of all columns, and those that no file has.
        """
        name = self.sql_client.view_name(table)
        _, staging = self.sql_client.get_qualified_table_names(table)
        paths = ", ".join(map(_literal, sorted(files)))
        return (
            f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM {staging} "
            f"UNION ALL BY NAME SELECT * FROM read_parquet([{paths}], union_by_name = true)"
        )


class duckdb_in_place(dlt.destinations.duckdb):  # noqa: N801 - dlt names destinations like this
    """`dlt.destinations.duckdb`, with the same settings, that reads Parquet where it is."""

    @property
    def client_class(self) -> type[DuckDbClient]:
        """Who runs the jobs."""
        return InPlaceClient


def _name(table: PreparedTableSchema) -> str:
    return str(table["name"])


def _literal(path: str) -> str:
    """A text for DuckDB without `;` or line breaks, at which dlt cuts SQL into statements."""
    cut = {character: f"' || chr({ord(character)}) || '" for character in ";\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"}
    return "'" + "".join(cut.get(c, "''" if c == "'" else c) for c in path) + "'"
