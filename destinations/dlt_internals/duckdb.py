"""dlt's destination `duckdb`."""

from __future__ import annotations

from dlt.destinations.impl.duckdb.duck import DuckDbClient, DuckDbCopyJob
from dlt.destinations.impl.duckdb.factory import DuckDbTypeMapper
from dlt.destinations.impl.duckdb.sql_client import DuckDbSqlClient

__all__ = [
    # The client behind `dlt.destinations.duckdb`. Asked: `create_load_job`, the job for a file;
    # `create_table_chain_completed_followup_jobs`, the SQL for a table and its children, a text file of one statement a
    # line, which is cut at `;` too and runs on one connection in one transaction; `in_staging_dataset_mode`, set while
    # it is asked to make, empty or drop something in the staging dataset; `should_load_data_to_staging_dataset`; and
    # `is_storage_initialized`, `initialize_storage`, `update_stored_schema`, `drop_storage` and `complete_load`.
    "DuckDbClient",
    # The job for a Parquet file. Asked: `run`, in which nothing but the file's rows is added.
    "DuckDbCopyJob",
    # Its SQL client. Asked: that it is made of two names of datasets, credentials and capabilities;
    # `make_qualified_table_name`, by which dlt's SQL calls each table; and `is_staging_dataset_active`.
    "DuckDbSqlClient",
    # Its types. Asked: `to_destination_type(column, table)`, and that `type_mapper` takes a class derived from it.
    "DuckDbTypeMapper",
]
