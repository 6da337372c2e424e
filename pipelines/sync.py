"""One sync: PostHog into a destination, in load packages that commit rows, ledger and state together, then the check.

The destination is the only truth. dlt's working folder is thrown away at the start of each sync and its state restored
from the destination, where a package counts once its last statement is committed: whatever a killed run left half done
is asked for again and merged on its keys, which costs at most one package.
"""

from __future__ import annotations

import gc
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import pyarrow as pa
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.sources import DltResource

from posthog_warehouse.destinations.destination import Destination, MendsRepeated, refuse_foreign, unusable_tables
from posthog_warehouse.destinations.errors import ColumnsInUse, TableUnusable
from posthog_warehouse.pipelines import __version__
from posthog_warehouse.pipelines.check import TableCheck, check
from posthog_warehouse.pipelines.dlt_pipeline import (
    fresh_pipeline,
    load,
    schema_left_behind,
    told,
    working_dir,
    working_folder,
)
from posthog_warehouse.pipelines.records import (
    RECORD_TABLES,
    SYNC_CHECKS,
    SYNC_RUNS,
    SYNC_WINDOWS,
    RecordTable,
    window_row,
)
from posthog_warehouse.pipelines.retype import MakesColumns, retype
from posthog_warehouse.pipelines.skipped_tables import left_out, withheld
from posthog_warehouse.sources.posthog import (
    CHILDREN,
    CORE,
    TABLES,
    Extraction,
    PostHogClient,
    PostHogError,
    Progress,
    Requests,
    Settings,
    Table,
    resources_of,
)
from posthog_warehouse.sources.posthog.clock import to_datetime
from posthog_warehouse.sources.posthog.errors import RequestRefused, cause_in
from posthog_warehouse.sources.posthog.properties.retyping import plan
from posthog_warehouse.sources.posthog.readers.base import TableReading
from posthog_warehouse.sources.posthog.readers.extraction import CLAIM
from posthog_warehouse.sources.posthog.readers.own_query.reader import refuse_bad_queries


class Listener(Progress):
    """Hears of what a sync does, besides what its reading does. This one keeps quiet."""

    def phase(self, what: str) -> None:
        """The sync begins to `connect`, `load`, `retype` or `check`."""

    def loaded(self, rows: dict[str, int]) -> None:
        """A load package was committed with `rows` of each table."""


@dataclass(frozen=True)
class SyncOptions:
    """What one sync is to do. Times are microseconds UTC."""

    tables: tuple[Table, ...] = tuple(CORE.values())
    named: frozenset[str] = frozenset()
    """Tables that somebody asked for by name: one of these that cannot be read is not just left out."""
    requests: Requests = field(default_factory=Requests)
    since: int | None = None
    until: int | None = None
    package_rows: int = 240_000
    """Rows of a load package: what a crash can cost. Two of DuckDB's row groups, nearly: more than one, or all rows are
    written twice (first into its log), and with the last one nearly full."""
    settings: Settings = field(default_factory=Settings)


@dataclass
class SyncResult:
    """What a sync did."""

    run_id: str
    started_at: datetime
    finished_at: datetime
    rows: dict[str, int]
    """Rows read, by table, overlaps included."""
    totals: dict[str, int]
    """Rows that the warehouse holds now, by table."""
    checks: list[TableCheck]
    blocked: dict[str, PostHogError]
    """Tables that the run was to load and may not read, and why."""
    skipped: dict[str, PostHogError]
    """Tables that this server, plan or key does not have, and which nobody asked for by name."""
    unusable: dict[str, list[TableUnusable]]
    """Tables that the run left out, for the destination cannot take them as they are, and why."""
    notes: dict[str, list[str]]
    """What people should know of a table."""
    stopped: PostHogError | None
    """What ended the run early; what was loaded until then is kept."""
    requests: int
    bytes_read: int
    waited_seconds: float
    packages: int
    refused: dict[str, PostHogError] = field(default_factory=dict)
    """Main tables whose questions PostHog does not accept, and what it says; the other tables are loaded."""

    @property
    def status(self) -> str:
        """`complete`, `short`, `unknown`, `blocked` or `stopped`."""
        if self.stopped is not None:
            return "stopped"
        if self.blocked or self.unusable:
            return "blocked"
        statuses = {each.status for each in self.checks}
        return next((status for status in ("short", "unknown") if status in statuses), "complete")


def sync(
    connect: Callable[[], PostHogClient],
    destination: Destination,
    options: SyncOptions | None = None,
    listener: Listener | None = None,
) -> SyncResult:
    """Loads what is new, and checks it.

    Raises:
        PostHogError: PostHog refused the key, host or project, or failed, before anything was loaded.
        DestinationError: the destination cannot be used.
    """
    with told(destination):
        return _Sync(connect, destination, options or SyncOptions(), listener or Listener()).run()


class _Package:
    """Room in one load package, shared by the resources that fill it."""

    def __init__(self, rows: int, extraction: Extraction) -> None:
        self._left = rows
        self._extraction = extraction

    def has_room(self, rows: int) -> bool:
        self._left -= rows
        return self._left > 0 and self._extraction.failed is None


class _Sync:
    def __init__(
        self, connect: Callable[[], PostHogClient], destination: Destination, options: SyncOptions, listener: Listener
    ) -> None:
        self._destination = destination
        self._options = options
        self._listener = listener
        self._started_at = _now()
        self._run_id = f"{self._started_at:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        self._unusable: dict[str, list[TableUnusable]] = {}
        self._windows_noted = 0
        self._packages = 0
        # On the same disk as dlt's packages, so that a page becomes part of one without being copied.
        self._spool = working_dir(destination) / "spool" if destination.takes_parquet else None
        self._extraction = Extraction(
            connect,
            settings=options.settings,
            since=options.since,
            until=options.until,
            progress=listener,
            known=self._known_versions,
            known_keys=self._known_keys,
            tables=options.tables,
            named=options.named,
            requests=options.requests,
            keeps_partial=True,
            spool=self._spool,
        )

    def run(self) -> SyncResult:
        self._destination.check()
        refuse_foreign(self._destination, loaded_names(self._options.tables))
        with working_folder(self._destination):
            return self._run()

    def _run(self) -> SyncResult:
        self._unusable = left_out(unusable_tables(self._destination), self._options.tables)
        self._extraction.withhold(withheld(self._unusable))
        pa.set_memory_pool(_memory_pool())
        # What is imported stays: half a million objects that the collector need not look through for each package.
        gc.freeze()
        try:
            self._listener.phase("connect")
            self._extraction.open()
            self._pipeline = fresh_pipeline(self._destination)
            self._empty_spool()
            self._claim()
            refuse_bad_queries(self._extraction.open(), self._options.tables)
            stopped = self._load_all()
            unread = {**self._refused(is_named=True), **self._not_accepted()}
            nothing = stopped or next(iter(unread.values()), None)
            if nothing is not None and not self._destination.totals([*TABLES, *self._readings, SYNC_RUNS.name]):
                raise nothing  # A first sync that loaded nothing leaves no file behind.
            if stopped is None:
                self._widen()
            checks: list[TableCheck] = []
            if stopped is None:
                self._listener.phase("check")
                stopped = self._check(checks)
            result = self._result(checks, stopped)
            self._load(self._records({SYNC_RUNS: [self._run_row(result)], SYNC_CHECKS: self._check_rows(result)}))
            self._destination.finish(_descriptions(self._options.tables) | self._described())
            return result
        finally:
            self._extraction.close()
            if self._spool is not None:
                shutil.rmtree(self._spool, ignore_errors=True)

    def _claim(self) -> None:
        """Makes sure that the rows there are this project's. Its claim is noted with the first rows, ahead of them."""
        left = schema_left_behind(self._pipeline)
        claimed = {name: table for name, table in (left.tables if left else {}).items() if CLAIM in table}
        # A table without rows is nobody's: a project that was given by mistake keeps no other one out of it.
        rows = self._destination.totals(claimed) if claimed else {}
        held = {name: claimed[name] for name, number in rows.items() if number}
        self._extraction.claim(dict(self._pipeline.state.get("sources", {}).get("posthog", {})), held)

    def _empty_spool(self) -> None:
        """A folder for pages, without those that a killed run left behind."""
        if self._spool is not None:
            shutil.rmtree(self._spool, ignore_errors=True)
            self._spool.mkdir(parents=True)

    def _load_all(self) -> PostHogError | None:
        """Package after package, until all tables are read; or what ended it early: what came before it is loaded."""
        self._listener.phase("load")
        while not self._extraction.is_done and self._extraction.failed is None:
            package = _Package(self._options.package_rows, self._extraction)
            resources = resources_of(self._extraction, package.has_room)
            try:
                self._load([*resources, *self._records({SYNC_WINDOWS: self._window_rows()})])
            except PipelineStepFailed as failure:
                cause = cause_in(failure, PostHogError)
                if cause is None:
                    raise
                return cause
        return self._extraction.failed

    def _widen(self) -> None:
        """Makes columns wider of which this run's pages, or earlier ones, held values that do not fit.

        Where the catalogue is in doubt of what columns hold, all of them are compared with the JSON of all rows.
        """
        if not isinstance(self._destination, MakesColumns):
            return
        wider = "became wider, for values did not fit"
        for name, columns in self._extraction.columns.items():
            is_doubtful = columns.catalogue.is_doubtful
            due = [widening.key for widening in plan(columns.catalogue)]
            if not due and not is_doubtful:
                continue
            self._listener.phase("retype")
            settings = self._options.settings.properties
            try:
                done = retype(self._pipeline, self._destination, TABLES[name], settings, is_whole=is_doubtful)
            except ColumnsInUse as refusal:
                # Nothing is lost: the values are in the JSON, and counted.
                self._readings[name].notes.append(str(refusal))
                continue
            columns.catalogue.widen(due)
            if done:
                why = "were made anew, for they were not what the JSON says" if is_doubtful else wider
                self._readings[name].notes.append(f"columns {why}: {', '.join(map(str, done))}")

    def _load(self, resources: list[DltResource]) -> None:
        before = {name: reading.rows for name, reading in self._readings.items()}
        load(self._pipeline, resources)
        self._packages += 1
        after = {name: reading.rows for name, reading in self._readings.items()}
        self._listener.loaded({name: after[name] - before[name] for name in after})

    def _records(self, rows: dict[RecordTable, Iterable[dict[str, Any]]]) -> list[DltResource]:
        return [table.resource(iter(some)) for table, some in rows.items() if table.name not in self._unusable]

    def _window_rows(self) -> Iterator[dict[str, Any]]:
        """Rows of sync_windows for what this package completes. Lazy: dlt reads it after the tables."""
        for name, reading in self._readings.items():
            for batch in reading.evidence.completed[self._windows_noted :]:
                self._windows_noted += 1
                yield window_row(self._run_id, name, batch.window, batch.rows, _now())

    def _known_versions(self, table: Table) -> Iterable[pa.Table]:
        return self._destination.known_versions(table.name, table.key)

    def _known_keys(self, table: Table, start: int, end: int) -> Iterable[pa.Table]:
        return self._destination.known_keys(table.name, table.key, to_datetime(start), to_datetime(end))

    def _check(self, checks: list[TableCheck]) -> PostHogError | None:
        """Adds what the check of each table finds to `checks`. Returns what ended it early; None: nothing did."""
        run = self._extraction.open()
        for reading in self._readings.values():
            try:
                checks.append(self._mended(check(run, reading, self._destination), reading))
            except PostHogError as error:  # noqa: PERF203 - it ends the loop
                return error
        return None

    def _mended(self, found: TableCheck, reading: TableReading) -> TableCheck:
        """`found`; where rows have the key of another row and the destination can remove those, what the check finds
        once they are removed."""
        if not found.repeated or not isinstance(self._destination, MendsRepeated):
            return found
        table = reading.table
        self._destination.mend_repeated(table.name, reading.keys, table.newest_by)
        reading.notes.append(f"{found.repeated:,} rows that had the key of another row were removed")
        return check(self._extraction.open(), reading, self._destination)

    @property
    def _readings(self) -> dict[str, TableReading]:
        return self._extraction.readings

    def _described(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Descriptions of the tables of which not all columns are declared: those that PostHog's answers told."""
        described = {}
        for name, reading in self._readings.items():
            properties = self._extraction.columns.get(name)
            found = [known.column for known in properties.catalogue.properties] if properties else []
            if reading.answered.columns or found:
                columns = (*reading.table.columns, *reading.answered.columns, *found)
                described[name] = (reading.table.description, {each.name: each.description for each in columns})
        return described

    def _refused(self, *, is_named: bool) -> dict[str, PostHogError]:
        """Tables that were not read: those that the run was for (`is_named`), or the others."""
        return {
            name: reading.outcome.skipped
            for name, reading in self._readings.items()
            if reading.outcome.skipped is not None
            and is_named == (name in self._options.named or not reading.table.is_optional)
        }

    def _result(self, checks: list[TableCheck], stopped: PostHogError | None) -> SyncResult:
        client = self._extraction.open().client
        readings = self._readings
        return SyncResult(
            run_id=self._run_id,
            started_at=self._started_at,
            finished_at=_now(),
            rows={name: reading.rows for name, reading in readings.items()},
            totals=self._destination.totals(readings),
            checks=checks,
            blocked=self._refused(is_named=True),
            skipped=self._refused(is_named=False),
            unusable=self._unusable,
            notes={name: reading.notes for name, reading in readings.items() if reading.notes},
            stopped=stopped,
            requests=client.usage.requests,
            bytes_read=client.usage.bytes_read,
            waited_seconds=client.usage.waited_seconds,
            packages=self._packages,
            refused=self._not_accepted(),
        )

    def _not_accepted(self) -> dict[str, PostHogError]:
        """Main tables whose questions PostHog does not accept, and what it says."""
        return {
            name: reading.outcome.failed
            for name, reading in self._readings.items()
            if isinstance(reading.outcome.failed, RequestRefused) and not reading.table.is_optional
        }

    def _run_row(self, result: SyncResult) -> dict[str, Any]:
        run = self._extraction.open()
        return {
            "run_id": result.run_id,
            "started_at": result.started_at,
            "finished_at": result.finished_at,
            "status": result.status,
            "host": run.client.host.url,
            "project_id": run.project.id,
            "rows": sum(result.rows.values()),
            "requests": result.requests,
            "bytes_read": result.bytes_read,
            "waited_seconds": result.waited_seconds,
            "version": __version__,
        }

    def _check_rows(self, result: SyncResult) -> list[dict[str, Any]]:
        return [
            {
                "check_id": f"{self._run_id}/{each.table}",
                "run_id": self._run_id,
                "table_name": each.table,
                "checked_at": result.finished_at,
                "status": each.status,
                "posthog_rows": each.posthog_rows,
                "warehouse_rows": each.warehouse_rows,
                "missing_rows": each.missing,
                "extra_rows": each.extra,
                "cells": each.cells,
                "reason": each.reason or None,
            }
            for each in result.checks
            if each.status != "not due"
        ]


def _memory_pool() -> pa.MemoryPool:
    """For Arrow: one that gives back what it freed, where its own default keeps several pages.

    The system's does that, too, but copies what grows: a fifth more memory at the peak.
    """
    try:
        # A tenth of a second is enough for what one page needs again and again, and short enough for a merge.
        pa.jemalloc_set_decay_ms(100)
        return pa.jemalloc_memory_pool()
    except NotImplementedError:  # this build of Arrow has none
        return pa.system_memory_pool()


def _descriptions(read: Iterable[Table]) -> dict[str, tuple[str, dict[str, str]]]:
    tables: tuple[Table | RecordTable, ...] = (*TABLES.values(), *CHILDREN.values(), *read, *RECORD_TABLES)
    return {table.name: (table.description, {c.name: c.description for c in table.columns}) for table in tables}


def loaded_names(tables: Iterable[Table]) -> list[str]:
    """The names of all tables that a sync of `tables` loads into: theirs, child tables and records of runs."""
    return [each.name for each in tables] + [*CHILDREN] + [each.name for each in RECORD_TABLES]


def _now() -> datetime:
    return datetime.now(timezone.utc)
