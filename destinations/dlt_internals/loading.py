"""How dlt loads: destinations, their clients and their jobs, of whatever kind."""

from __future__ import annotations

from typing import Any

import dlt
from dlt.common.destination import Destination
from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.client import (
    FollowupJobRequest,
    HasFollowupJobs,
    LoadJob,
    RunnableLoadJob,
    WithStagingDataset,
    WithStateSync,
)
from dlt.common.destination.configuration import ParquetFormatConfiguration
from dlt.common.destination.exceptions import DestinationException, DestinationUndefinedEntity
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable
from dlt.common.storages.load_package import LoadJobInfo, ParsedLoadJobFileName, load_package_state
from dlt.destinations.job_client_impl import SqlJobClientBase, SqlLoadJob
from dlt.destinations.job_impl import FinalizedLoadJob, ReferenceFollowupJobRequest
from dlt.load.exceptions import LoadClientJobException

__all__ = [
    "ChangesCapabilities",
    # What `load_package_state` raises while no package is loaded.
    "CurrentLoadPackageStateNotAvailable",
    # What `dlt.destinations` has. Asked: `capabilities(config, naming)`, which dlt calls on the instance, as does
    # `worked_out_once`; `client(schema, initial_config)` and `client_class`, which ours override.
    "Destination",
    # What dlt's destinations have against a load. Asked: that it has the driver's error as `dbapi_exception` or
    # `inner_exc`.
    "DestinationException",
    # A table, or a dataset, that is not there. Asked: that dlt's SQL clients raise it.
    "DestinationUndefinedEntity",
    # A job with nothing to do. Asked: that it is over as soon as it is made of a path.
    "FinalizedLoadJob",
    # A job that follows others. Asked: `new_file_path()`, where its text lies before it runs.
    "FollowupJobRequest",
    # A job after which others may come. Asked: that no more is needed for it than to be derived from.
    "HasFollowupJobs",
    "JobRun",
    # A job that failed. Asked: `client_exception`, for that is no cause of it in Python's sense.
    "LoadClientJobException",
    # What is done with a file: the type alone.
    "LoadJob",
    # A file of a package. Asked: `file_path`, and `job_file_info.table_name`.
    "LoadJobInfo",
    # How Parquet files are written. Asked: `compression`, as the argument `parquet_format` of destinations takes it.
    "ParquetFormatConfiguration",
    # A file's name taken apart. Asked: `parse(path).table_name`.
    "ParsedLoadJobFileName",
    # The job for the files of a table and its children. Asked: `is_reference_job(path)`.
    "ReferenceFollowupJobRequest",
    # A job of this process. Asked: that `run` does it, that it is tried again where that raises, and `load_table_name`.
    "RunnableLoadJob",
    # The client of a SQL destination. Asked: `sql_client`, `config`, `capabilities`, `schema`, `get_storage_tables`
    # and `get_stored_schema`; of the SQL client, connections, names, transactions and statements.
    "SqlJobClientBase",
    # The job that runs the SQL of a follow-up job: the benchmarks measure it. Asked: `run`.
    "SqlLoadJob",
    # A client whose destination stages rows. Asked: `with_staging_dataset()`.
    "WithStagingDataset",
    # A client that keeps schemas in its destination. Asked: `get_stored_schema(name)`, None or with `schema`, its JSON.
    "WithStateSync",
    "job_client_of",
    "keep_schema",
    # The package that is being loaded. Asked: `load_id`, on whatever thread a client is opened.
    "load_package_state",
]


class ChangesCapabilities:
    """Ahead of one of dlt's destinations: may change what that says it can do.

    Asked: `_raw_capabilities`, in which each of dlt's destinations says so, before arguments and settings change it.
    """

    def changed(self, capabilities: DestinationCapabilitiesContext) -> DestinationCapabilitiesContext:
        """What it can do, of which `capabilities` are dlt's own."""
        return capabilities

    def _raw_capabilities(self) -> DestinationCapabilitiesContext:
        theirs: Any = super()
        return self.changed(theirs._raw_capabilities())


class JobRun:
    """Ahead of one of dlt's jobs: what dlt gives it to be run with.

    Asked: `_file_path`, set when it is made; `_load_id` and `_job_client`, set before `run`.
    """

    _file_path: str
    _load_id: str
    _job_client: Any

    @property
    def path(self) -> str:
        """Its file."""
        return self._file_path

    @property
    def package(self) -> str:
        """The load package that it is of."""
        return self._load_id

    @property
    def dlt_client(self) -> Any:
        """dlt's client that runs it."""
        return self._job_client


def job_client_of(destination: Destination[Any, Any], dataset: str, schema: dlt.Schema) -> Any:
    """dlt's client of a dataset, not connected. Asked: `dlt.dataset`, and `destination_client` of what that gives."""
    return dlt.dataset(destination, dataset, schema).destination_client


def keep_schema(pipeline: dlt.Pipeline, schema: dlt.Schema) -> None:
    """Puts a schema that was changed into the working folder of `pipeline`, where its next run finds it.

    Asked: `_schema_storage`, with `save_schema`. (`pipeline.schemas` gives copies; an import folder would be its public
    way, and would hold the schema as a user's own.)
    """
    pipeline._schema_storage.save_schema(schema)
