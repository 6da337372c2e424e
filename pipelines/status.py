"""`status`: what the warehouse holds, and how the last runs and checks went. Reads the file and nothing else.

JSON objects a line: {"type": "table", "table", "rows", "newest_timestamp", "newest_created_at"}, {"type": "run", ...
the columns of sync_runs}, {"type": "check", ... the last one of each table}, {"type": "result", "database", "dataset",
"status"}, where `status` is the last run's.
"""

from __future__ import annotations

from typing import Any

import duckdb

from destinations.errors import DestinationUnusable
from pipelines.config import load
from pipelines.defaults import Flags
from pipelines.program import Run
from pipelines.records import RECORD_TABLES
from sources.posthog import TABLES

_RUNS = 5
_RUN_COLUMNS = "run_id, started_at, finished_at, status, host, project_id, rows, requests, bytes_read, waited_seconds"
_CHECK_COLUMNS = (
    "table_name, checked_at, status, posthog_rows, warehouse_rows, missing_rows, extra_rows, cells, reason, run_id"
)


def run_status(run: Run, flags: Flags) -> int:
    """Shows it. Raises ConfigError and DestinationError."""
    destination = load(flags).destination()
    with destination.read() as connection:
        reader = _Warehouse(connection, destination.dataset)
        if not reader.tables:
            raise DestinationUnusable(
                f"{destination.location} has no tables in the schema {destination.dataset}.",
                "Run `posthog-warehouse sync` first, or give another --database or --dataset.",
            )
        tables = [reader.table(name) for name in reader.data_tables]
        runs, checks = reader.runs(), reader.checks()
    run.reporter.records("table", tables, "Tables (times in UTC)")
    run.reporter.records("run", runs, "Last runs")
    run.reporter.records("check", checks, "Last check of each table")
    last = str(runs[0]["status"]) if runs else "never finished"
    facts = {"type": "result", "database": destination.location, "dataset": destination.dataset, "status": last}
    run.reporter.summary(facts, f"{destination.location}, schema {destination.dataset}; last run: {last}")
    return 0


class _Warehouse:
    def __init__(self, connection: duckdb.DuckDBPyConnection, dataset: str) -> None:
        self._connection = connection
        self._schema = '"' + dataset.replace('"', '""') + '"'
        found = connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? AND database_name = current_database()",
            [dataset],
        ).fetchall()
        self.tables = {str(name) for (name,) in found}
        self._types: dict[str, dict[str, str]] = {}
        for table, column, kind in connection.execute(
            "SELECT table_name, column_name, data_type FROM duckdb_columns() "
            "WHERE schema_name = ? AND database_name = current_database()",
            [dataset],
        ).fetchall():
            self._types.setdefault(table, {})[column] = kind

    @property
    def data_tables(self) -> list[str]:
        """PostHog's tables in their order, then those of people's own queries; no records, and no tables of lists."""
        ours = {record.name for record in RECORD_TABLES}
        others = sorted(name for name in self.tables - set(TABLES) - ours if "__" not in name and name[:4] != "_dlt")
        return [*(name for name in TABLES if name in self.tables), *others]

    def table(self, name: str) -> dict[str, Any]:
        newest = {"timestamp": "NULL", "created_at": "NULL"}
        types = self._types.get(name, {})
        # A column of that name in somebody's own query may hold anything.
        is_time = {column: types.get(column, "").startswith("TIMESTAMP") for column in newest}
        newest = {column: f'max("{column}")' if is_time[column] else null for column, null in newest.items()}
        [row] = self._rows(
            f"SELECT '{name}' AS \"table\", count(*) AS rows, {newest['timestamp']} AS newest_timestamp, "
            f'{newest["created_at"]} AS newest_created_at FROM {self._schema}."{name}"'
        )
        return row

    def runs(self) -> list[dict[str, Any]]:
        if "sync_runs" not in self.tables:
            return []
        return self._rows(f"SELECT {_RUN_COLUMNS} FROM {self._schema}.sync_runs ORDER BY started_at DESC LIMIT {_RUNS}")

    def checks(self) -> list[dict[str, Any]]:
        if "sync_checks" not in self.tables:
            return []
        return self._rows(
            f"SELECT {_CHECK_COLUMNS} FROM {self._schema}.sync_checks "
            "QUALIFY row_number() OVER (PARTITION BY table_name ORDER BY checked_at DESC) = 1 ORDER BY table_name"
        )

    def _rows(self, sql: str) -> list[dict[str, Any]]:
        cursor = self._connection.execute(sql)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
