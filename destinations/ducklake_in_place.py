"""DuckLake as a dlt destination that writes rows once, and in row groups that fit into bounded memory.

A staged copy of each row would stay in the lake for good: what a table held is kept there for those who look back.
"""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.destination.capabilities import DestinationCapabilitiesContext

from .dlt_internals.ducklake import DuckLakeClient, DuckLakeSqlClient
from .dlt_internals.loading import ChangesCapabilities
from .duckdb_sql import identifier, literal
from .read_in_place import InPlaceClient, InPlaceSqlClient, of_parquet_alone

FILES = {
    # By bytes, for rows may be wide: a row group is made in memory, and of 122,880 events of 2 KB, as DuckDB has them
    # by default, most went through a temporary file and back: fifteen times the CPU time. 64 MB are 7 in a file.
    "parquet_row_group_size_bytes": "64MB",
    "parquet_compression": "zstd",
}
"""How the files of our schemas are written, where the lake does not say."""
_ROW_GROUPS = ("parquet_row_group_size", "parquet_row_group_size_bytes")


class LakeSqlClient(InPlaceSqlClient, DuckLakeSqlClient):
    """Calls the staging tables that are views over files by the views' names."""


class LakeClient(InPlaceClient, DuckLakeClient):
    """dlt's client, except that Parquet files for the staging dataset are read where they are."""

    sql_client: LakeSqlClient

    def in_place(self, of: Any) -> LakeSqlClient:
        """The SQL client like dlt's, `of`, that reads in place."""
        return LakeSqlClient(
            of.dataset_name,
            of.staging_dataset_name,
            of.credentials,
            of.capabilities,
            of.override_data_path,
            of.automatic_migration,
        )

    def memory_limit(self) -> str:
        """How much memory a job's connection may take: each job opens one of its own."""
        return str((self.config.credentials.global_config or {}).get("memory_limit", ""))

    def initialize_storage(self, truncate_tables: Any = None) -> None:
        """dlt's, and says how the files of the dataset are written: the catalog keeps that, for whoever writes them."""
        super().initialize_storage(truncate_tables)
        if not self.in_staging_dataset_mode:
            self._say_how_files_are_written()

    def _say_how_files_are_written(self) -> None:
        sql = self.sql_client
        lake, schema = self.config.credentials.ducklake_name, sql.dataset_name
        asked = f"SELECT option_name, scope, scope_entry FROM ducklake_options({literal(lake)})"
        options = sql.execute_sql(asked) or ()
        said = {name for name, scope, of in options if scope == "GLOBAL" or (scope, of) == ("SCHEMA", schema)}
        for name, value in FILES.items():
            if not said & {*(_ROW_GROUPS if name in _ROW_GROUPS else [name])}:
                setting = f"{literal(name)}, {literal(value)}, schema => {literal(schema)}"
                sql.execute_sql(f"CALL {identifier(lake)}.set_option({setting})")


class ducklake_in_place(ChangesCapabilities, dlt.destinations.ducklake):  # noqa: N801 - dlt names destinations like this
    """`dlt.destinations.ducklake`, with the same settings, that reads Parquet where it is."""

    @property
    def client_class(self) -> type[DuckLakeClient]:
        """Who runs the jobs."""
        return LakeClient

    def changed(self, capabilities: DestinationCapabilitiesContext) -> DestinationCapabilitiesContext:
        """What dlt's can do, from Parquet alone."""
        return of_parquet_alone(capabilities)
