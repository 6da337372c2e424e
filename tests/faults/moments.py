"""Moments in the life of a load package at which a process may die, each just behind a commit of the database.

Found in dlt 1.31: a job's `run` ends when its rows are committed; a marker of that is written beside the job's file;
the file moves to the folder of completed jobs; when all jobs are there, `complete_load` writes the row of `_dlt_loads`
that makes the package count; and then the package moves to the folder of loaded ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any

from dlt.common.destination.client import RunnableLoadJob
from dlt.common.storages.load_package import PackageStorage
from dlt.destinations.impl.duckdb.duck import DuckDbCopyJob
from dlt.destinations.job_client_impl import SqlJobClientBase, SqlLoadJob

from posthog_warehouse.destinations.lake.pipeline import ArrivedJob, LakeClient, LakeJob
from posthog_warehouse.destinations.lake.store import Store
from posthog_warehouse.destinations.postgres import CopyJob
from posthog_warehouse.destinations.read_in_place import AppendJob, InPlaceJob

_Die = Callable[[], None]


def _loads_events(job: Any, *_: Any) -> bool:
    return str(job.load_table_name) == "events"


def _always(*_: Any) -> bool:
    return True


def _is_events_file(_: Any, __: str, file_name: str, *___: Any) -> bool:
    return file_name.startswith("events.")


_FILES = ((InPlaceJob, "run"), (CopyJob, "run"), (AppendJob, "run"), (ArrivedJob, "run"))
"""Jobs of Parquet files: in a DuckDB file, in PostgreSQL, in a DuckLake, in a Parquet lake."""
_MERGES = ((SqlLoadJob, "run"), (LakeJob, "run"))

_LOGS = (
    "posthog_warehouse.destinations.open_tables.delta.Delta",
    "posthog_warehouse.destinations.open_tables.iceberg.Iceberg",
)
"""Named, not imported: their libraries take a second, and hardly a process that is to die has need of them."""

MOMENTS: dict[str, tuple[tuple[tuple[type[Any] | str, str], ...], Callable[..., bool]]] = {
    # The file of events is ready to be merged from; dlt does not know.
    "staged": (_FILES, _loads_events),
    # They are merged into the table; dlt does not know.
    "merged": (_MERGES, _loads_events),
    # dlt has its marker of that, but has not acted on it.
    "marked": (((PackageStorage, "save_pending_transition"),), _is_events_file),
    # Any job of any table (dlt's own too) has committed; dlt does not know. With nth: each commit in turn.
    "committed": ((*_FILES, *_MERGES), _always),
    # The package counts, by its row in _dlt_loads, and is not closed.
    "counted": (((SqlJobClientBase, "complete_load"), (LakeClient, "complete_load")), _always),
    # The log of a Delta or Iceberg table has one entry more; dlt does not know. With nth: each in turn.
    "logged": (tuple((kind, name) for kind in _LOGS for name in ("append", "change", "replace")), _always),
    # A file of a Parquet lake is made, replaced or removed. With nth: each change in turn.
    "changed": (((Store, "put"), (Store, "delete")), _always),
}
"""By name: the methods of dlt behind which the moment lies, and which of their calls are meant."""


def die_at(moment: str, nth: int, die: _Die) -> None:
    """Calls `die` when `moment` is reached for the `nth` time in this process."""
    methods, is_meant = MOMENTS[moment]
    assert issubclass(DuckDbCopyJob, RunnableLoadJob)
    assert issubclass(SqlLoadJob, RunnableLoadJob)
    reached = 0

    def behind(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            nonlocal reached
            result = method(*arguments, **named)
            if is_meant(*arguments):
                reached += 1
                if reached == nth:
                    die()
            return result

        return wrapper

    for kind, name in methods:
        owner = kind
        if isinstance(kind, str):
            module, _, kind_name = kind.rpartition(".")
            owner = getattr(import_module(module), kind_name)
        setattr(owner, name, behind(getattr(owner, name)))
