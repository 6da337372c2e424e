"""`status`: what the warehouse holds, and how the last runs and checks went. Reads the destination and nothing else.

JSON objects a line: {"type": "table", "table", "rows", "newest_timestamp", "newest_created_at"}, {"type": "run", ...
the columns of sync_runs}, {"type": "check", ... the last one of each table}, {"type": "result", "database", "dataset",
"status"}, where `status` is the last run's.
"""

from __future__ import annotations

from typing import Any

from posthog_warehouse.destinations.destination import Reading
from posthog_warehouse.destinations.errors import DestinationUnusable
from posthog_warehouse.pipelines.config import load
from posthog_warehouse.pipelines.defaults import Flags
from posthog_warehouse.pipelines.records import RECORD_TABLES, SYNC_CHECKS, SYNC_RUNS
from posthog_warehouse.pipelines.runner import CommandRun
from posthog_warehouse.sources.posthog import TABLES

_RUNS = 5
_RUN_COLUMNS = (
    *("run_id", "started_at", "finished_at", "status", "host", "project_id", '"rows"', "requests", "bytes_read"),
    "waited_seconds",
)
_CHECK_COLUMNS = (
    *("table_name", "checked_at", "status", "posthog_rows", "warehouse_rows", "missing_rows", "extra_rows", "cells"),
    *("reason", "run_id"),
)
_RUNS_SHOWN = {
    name: name for name in ("started_at", "status", "rows", "requests", "waited_seconds", "project_id", "host")
}
_CHECKS_SHOWN = {
    "table_name": "table",
    "status": "check",
    "posthog_rows": "PostHog",
    "warehouse_rows": "warehouse",
    "missing_rows": "missing",
    "extra_rows": "extra",
}
"""What people see, within the width of a terminal; the tables have the rest, and so has JSON."""
_COUNT = "row_count"
"""`rows` is a word of SQL's own to some."""


def run_status(run: CommandRun, flags: Flags) -> int:
    """Shows it. Raises ConfigError and DestinationError."""
    destination = load(flags).destination()
    with destination.reading() as reading:
        reader = _Warehouse(reading)
        if not reading.tables:
            raise DestinationUnusable(
                f"{destination.location} has no tables in the schema {destination.dataset}.",
                "Run `posthog-warehouse sync` first, or give another --dataset or destination.",
            )
        tables = [reader.table(name) for name in reader.data_tables]
        runs, checks = reader.runs(), reader.checks()
    run.reporter.records("table", tables, "Tables (times in UTC)")
    run.reporter.records("run", runs, "Last runs", _RUNS_SHOWN)
    title = "Last check of each table" if checks else "No check was made yet"
    run.reporter.records("check", checks, title, _checks_shown(checks))
    run.reporter.reasons({str(check["table_name"]): check["reason"] for check in checks}, len(checks))
    last = str(runs[0]["status"]) if runs else "never finished"
    facts = {"type": "result", "database": destination.location, "dataset": destination.dataset, "status": last}
    run.reporter.summary(facts, f"{destination.location}, schema {destination.dataset}; last run: {last}")
    return 0


def _checks_shown(checks: list[dict[str, Any]]) -> dict[str, str]:
    """Times of checks are there where they are of several runs."""
    is_mixed = len({check["run_id"] for check in checks}) > 1
    return _CHECKS_SHOWN | ({"checked_at": "checked_at"} if is_mixed else {})


class _Warehouse:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._tables = reading.tables

    @property
    def data_tables(self) -> list[str]:
        """PostHog's tables in their order, then those of people's own queries; no records, and no tables of lists."""
        ours = {record.name for record in RECORD_TABLES}
        others = sorted(name for name in set(self._tables) - set(TABLES) - ours if "__" not in name)
        return [*(name for name in TABLES if name in self._tables), *others]

    def table(self, name: str) -> dict[str, Any]:
        # A column of that name in somebody's own query may hold anything.
        times = {column.name for column in self._tables[name] if column.is_time}
        newest = {column: f'max("{column}")' if column in times else "NULL" for column in ("timestamp", "created_at")}
        [row] = self._reading.rows(
            f"SELECT count(*) AS {_COUNT}, {newest['timestamp']} AS newest_timestamp, "
            f"{newest['created_at']} AS newest_created_at FROM {self._reading.table(name)}"
        )
        return {"table": name, "rows": row.pop(_COUNT), **row}

    def runs(self) -> list[dict[str, Any]]:
        if SYNC_RUNS.name not in self._tables:
            return []
        return self._reading.rows(
            f"SELECT {', '.join(_RUN_COLUMNS)} FROM {self._reading.table(SYNC_RUNS.name)} "
            f"ORDER BY started_at DESC LIMIT {_RUNS}"
        )

    def checks(self) -> list[dict[str, Any]]:
        if SYNC_CHECKS.name not in self._tables:
            return []
        table, columns = self._reading.table(SYNC_CHECKS.name), ", ".join(_CHECK_COLUMNS)
        newest = "row_number() OVER (PARTITION BY table_name ORDER BY checked_at DESC) AS nth"
        return self._reading.rows(
            f"SELECT {columns} FROM (SELECT {columns}, {newest} FROM {table}) AS numbered WHERE nth = 1 "
            "ORDER BY table_name"
        )
