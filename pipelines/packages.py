"""dlt as the program uses it: a pipeline that believes the destination only, and packages loaded into it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import dlt
from dlt.common.pipeline import get_dlt_pipelines_dir
from dlt.extract import DltResource

from destinations.destination import Destination

PIPELINE_NAME = "posthog_warehouse"

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
        destination=destination.dlt_destination(),
        staging=destination.dlt_staging(),
        dataset_name=destination.dataset,
    ).drop()
    pipeline.sync_destination()
    return pipeline


def load(pipeline: dlt.Pipeline, resources: list[DltResource]) -> None:
    """Loads `resources` in one package. Raises PipelineStepFailed."""

    # The same source name as in a plain dlt script, so that the state is the same too.
    @dlt.source(name="posthog", section="posthog", max_table_nesting=0)
    def posthog() -> list[DltResource]:
        return resources

    pipeline.run(posthog())


def working_dir(destination: Destination) -> Path:
    """A folder for each destination: two syncs into different files do not meet in it."""
    identity = hashlib.sha256(destination.identity.encode()).hexdigest()[:16]
    return Path(get_dlt_pipelines_dir()) / "posthog-warehouse" / identity
