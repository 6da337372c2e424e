"""What a run leaves behind for people: sync_runs, sync_windows and sync_checks, as dlt resources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import dlt
from dlt.sources import DltResource

from posthog_warehouse.sources.posthog import Column
from posthog_warehouse.sources.posthog.clock import MAX, MIN, to_datetime
from posthog_warehouse.sources.posthog.planning.intervals import Window


@dataclass(frozen=True)
class RecordTable:
    """A table of our own: merged on its key, so that a repeated load changes nothing."""

    name: str
    primary_key: str
    description: str
    columns: tuple[Column, ...]

    def resource(self, rows: Iterator[dict[str, Any]]) -> DltResource:
        """The rows for one load package."""
        merge: Any = {"disposition": "merge", "strategy": "delete-insert"}
        columns: Any = {column.name: column.dlt_hints() for column in self.columns}
        return dlt.resource(
            rows, name=self.name, primary_key=self.primary_key, write_disposition=merge, columns=columns
        )


SYNC_RUNS = RecordTable(
    "sync_runs",
    "run_id",
    "One row per run of sync.",
    (
        Column("run_id", "text", "", "When the run began, and a random part: the key.", nullable=False),
        Column("started_at", "timestamp", "", "When it began, UTC."),
        Column("finished_at", "timestamp", "", "When it ended, UTC."),
        Column("status", "text", "", "complete, short, unknown, blocked, or why it stopped early."),
        Column("host", "text", "", "The PostHog that was read."),
        Column("project_id", "bigint", "", "Its project."),
        Column("rows", "bigint", "", "Rows read, of all tables, overlaps included."),
        Column("requests", "bigint", "", "Requests sent."),
        Column("bytes_read", "bigint", "", "Bytes that PostHog read for them, where it says so."),
        Column("waited_seconds", "double", "", "Seconds waited for PostHog's limits."),
        Column("version", "text", "", "The version of posthog-warehouse."),
    ),
)

SYNC_WINDOWS = RecordTable(
    "sync_windows",
    "window_id",
    "What each run covered: one row per window of events and run.",
    (
        Column("window_id", "text", "", "Run and bounds: the key.", nullable=False),
        Column("run_id", "text", "", "The run that loaded it: sync_runs.run_id."),
        Column("table_name", "text", "", "The table that it belongs to."),
        Column("timestamp_from", "timestamp", "", "Lower bound of timestamp, included, UTC; NULL: none."),
        Column("timestamp_to", "timestamp", "", "Upper bound of timestamp, excluded, UTC; NULL: none."),
        Column("created_from", "timestamp", "", "Lower bound of created_at, included, UTC; NULL: none."),
        Column("created_to", "timestamp", "", "Upper bound of created_at, excluded, UTC; NULL: none."),
        Column("rows", "bigint", "", "Rows that PostHog answered for it."),
        Column("loaded_at", "timestamp", "", "When it was read to its end, UTC."),
    ),
)

SYNC_CHECKS = RecordTable(
    "sync_checks",
    "check_id",
    "What the check after each run found: one row per table and run.",
    (
        Column("check_id", "text", "", "Run and table: the key.", nullable=False),
        Column("run_id", "text", "", "The run that was checked: sync_runs.run_id."),
        Column("table_name", "text", "", "The table."),
        Column("checked_at", "timestamp", "", "When, UTC."),
        Column("status", "text", "", "complete, short or unknown."),
        Column("posthog_rows", "bigint", "", "Rows that PostHog holds in what was checked."),
        Column("warehouse_rows", "bigint", "", "Rows that are here."),
        Column("missing_rows", "bigint", "", "Rows that PostHog has and the warehouse has not."),
        Column("extra_rows", "bigint", "", "Rows that the warehouse has and PostHog has no more."),
        Column("cells", "bigint", "", "Days and event names that were compared."),
        Column("reason", "text", "", "Why it is unknown, or what else is to be said."),
    ),
)

RECORD_TABLES = (SYNC_RUNS, SYNC_WINDOWS, SYNC_CHECKS)


def window_row(run_id: str, table: str, window: Window, rows: int, loaded_at: datetime) -> dict[str, Any]:
    """One row of sync_windows."""
    bounds = {
        name: None if value in {MIN, MAX} else to_datetime(value)
        for name, value in zip(("timestamp_from", "timestamp_to", "created_from", "created_to"), window, strict=True)
    }
    return {
        "window_id": f"{run_id}/{table}/{'/'.join(map(str, window))}",
        "run_id": run_id,
        "table_name": table,
        **bounds,
        "rows": rows,
        "loaded_at": loaded_at,
    }
