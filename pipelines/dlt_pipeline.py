"""dlt as the program uses it: a pipeline that believes the destination only, and packages loaded into it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dlt
from dlt.common import json
from dlt.common.pipeline import get_dlt_pipelines_dir
from dlt.sources import DltResource

from posthog_warehouse.destinations import file_lock
from posthog_warehouse.destinations.capabilities import worked_out_once
from posthog_warehouse.destinations.destination import Destination, dropped_tables
from posthog_warehouse.destinations.dlt_internals.loading import WithStateSync, keep_schema
from posthog_warehouse.destinations.dlt_internals.tables import get_nested_tables
from posthog_warehouse.destinations.errors import DestinationHeld, DestinationUnusable, telling
from posthog_warehouse.pipelines.column_types import mend_types
from posthog_warehouse.sources.posthog import PostHogError

PIPELINE_NAME = "posthog_warehouse"
_SOURCE = "posthog"
"""The same name as in a plain dlt script, so that the state and the schema are the same too."""

# dlt asks its makers' server about each run unless told not to; and the program, not dlt, tells people what happens.
# Staging copies of rows would stay in the file. One table after the other, so that what is recorded of a package comes
# after its rows, and only one table's pages are in memory.
_DLT_DEFAULTS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "LOAD__TRUNCATE_STAGING_DATASET": "true",
    "EXTRACT__NEXT_ITEM_MODE": "fifo",
}


def fresh_pipeline(destination: Destination) -> dlt.Pipeline:
    """A pipeline without anything of an earlier run, its state and schema as the destination has them."""
    for name, value in _DLT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    pipeline = dlt.pipeline(
        PIPELINE_NAME,
        pipelines_dir=str(working_dir(destination)),
        destination=worked_out_once(destination.dlt_destination()),
        staging=destination.dlt_staging(),
        dataset_name=destination.dataset,
    ).drop()
    pipeline.sync_destination()
    forget_tables(pipeline, dropped_tables(destination))
    mend_types(pipeline, destination)
    return pipeline


def forget_tables(pipeline: dlt.Pipeline, tables: Collection[str]) -> None:
    """Makes tables that are not there any more count as never loaded, so that they are made and read anew."""
    if not tables or _SOURCE not in pipeline.schema_names:
        return
    schema = pipeline.schemas[_SOURCE]
    chains = [[each["name"] for each in get_nested_tables(schema.tables, name)] for name in tables]
    gone = dict.fromkeys(str(name) for chain in chains for name in chain)
    schema.drop_tables(list(gone))
    # dlt 1.31 makes tables only for a schema that it has not stored before: without this one like an earlier one.
    schema.tables[schema.loads_table_name]["x-tables-dropped-at"] = datetime.now(timezone.utc).isoformat()  # type: ignore[typeddict-unknown-key]  # hints of one's own begin with x-
    keep_schema(pipeline, schema)
    with pipeline.managed_state() as state:
        source: dict[str, Any] = state.get("sources", {}).get(_SOURCE, {})
        for part in ("resources", "replaced"):
            for name in gone:
                source.get(part, {}).pop(name, None)


@contextmanager
def working_folder(destination: Destination) -> Iterator[None]:
    """Holds the folder in which load packages for this destination are made, so that one process at a time fills it or
    drops it.

    Other machines have folders of their own: whether they load into the dataset is for the destination to know.

    Raises:
        DestinationHeld: another process of this machine has it.
        DestinationUnusable: it cannot be made.
    """
    # The lock lies beside the folder, which comes and goes, and is never removed: else two processes could each hold a
    # file of that name.
    path = working_dir(destination).with_suffix(".lock")
    try:
        file = file_lock.take(path)
    except file_lock.Locked as locked:
        raise DestinationHeld(
            f"Another process (PID {locked.pid}) loads into the dataset {destination.dataset} of "
            f"{destination.location}.",
            "Wait until that one is done, and run the same command again; nothing is lost.",
        ) from None
    except OSError as error:
        raise DestinationUnusable(
            f"dlt's working folder {path.parent} cannot be written: {error.strerror}.",
            "Change its permissions, or set another one in the environment as DLT_DATA_DIR.",
        ) from error
    with file:
        yield


def load(pipeline: dlt.Pipeline, resources: list[DltResource]) -> None:
    """Loads `resources` in one package. Raises PipelineStepFailed."""

    @dlt.source(schema=schema_left_behind(pipeline) or dlt.Schema(_SOURCE), section=_SOURCE, max_table_nesting=0)
    def posthog() -> list[DltResource]:
        return resources

    pipeline.run(posthog())


def schema_left_behind(pipeline: dlt.Pipeline) -> dlt.Schema | None:
    """The schema of a first package that made its tables and was killed before its state was there.

    dlt restores the schemas that a state names, so this one it would not find: columns would get the types of the pages
    that come first now, whatever types those tables have.
    """
    if _SOURCE in pipeline.schema_names:
        return None
    with pipeline.destination_client() as client:
        stored = client.get_stored_schema(_SOURCE) if isinstance(client, WithStateSync) else None
    return None if stored is None else dlt.Schema.from_dict(json.loads(stored.schema))


@contextmanager
def told(destination: Destination) -> Iterator[None]:
    """Errors of the destination that come out of dlt or a driver are told as what they mean: DestinationError."""
    # PostHog's own failures have causes, too, that look like those of a store.
    with telling(lambda error: None if isinstance(error, PostHogError) else destination.explain(error)):
        yield


def working_dir(destination: Destination) -> Path:
    """A folder for each destination: two syncs into different files do not meet in it."""
    identity = hashlib.sha256(destination.identity.encode()).hexdigest()[:16]
    return Path(get_dlt_pipelines_dir()) / "posthog-warehouse" / identity
