"""Insights of a sandbox, loaded into DuckDB as by any dlt script."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import dlt
import duckdb

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import resources_of
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.readers.base import TableReading
from posthog_warehouse.sources.posthog.readers.extraction import Extraction
from posthog_warehouse.sources.posthog.settings import Requests
from posthog_warehouse.sources.posthog.tables import TABLES
from posthog_warehouse.sources.posthog.tables.insights import INSIGHT_ACTORS, INSIGHT_TABLES
from tests.sources.posthog.reading import IMPATIENT

RESULTS = tuple(table.name for table in INSIGHT_TABLES if table is not INSIGHT_ACTORS)


class Warehouse:
    """One project's insights in a DuckDB file in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pipeline = dlt.pipeline(
            pipeline_name="insights",
            destination=dlt.destinations.duckdb(str(folder / "insights.duckdb")),
            dataset_name="posthog",
            pipelines_dir=str(folder / "dlt"),
        )

    def load(
        self,
        sandbox: Sandbox,
        requests: Mapping[str, Any] | None = None,
        *,
        tables: tuple[str, ...] = RESULTS,
        key: str | None = None,
        saved: bool = False,
    ) -> dict[str, TableReading]:
        """One run of these tables: how each was read. Of the saved insights, only with `saved`."""
        # There is no insight of this number.
        wanted = {**({} if saved else {"insight_ids": [999_999]}), **(requests or {})}
        options: dict[str, Any] = {**IMPATIENT}
        extraction = Extraction(
            lambda: PostHogClient(key or sandbox.api_key, sandbox.host, sandbox.project_id, **options),
            tables=[TABLES[name] for name in tables],
            requests=Requests.of(wanted),
            keeps_partial=True,
        )

        @dlt.source(name="posthog", max_table_nesting=0)
        def source() -> Any:
            return resources_of(extraction, lambda _: True)

        with closing(extraction):
            self._pipeline.run(source())
        for name, reading in extraction.readings.items():
            self._check(name, reading)
        return extraction.readings

    def _check(self, name: str, reading: TableReading) -> None:
        """What holds of every run: as many rows as the reading says, no two with the same key."""
        if reading.outcome.skipped is not None or reading.outcome.failed is not None:
            return
        assert self.rows(f"SELECT count(*) FROM {name}") == [(reading.evidence.held,)]
        keys = ", ".join(TABLES[name].keys)
        assert self.rows(f"SELECT {keys} FROM {name} GROUP BY ALL HAVING count(*) > 1") == []
        assert self.rows(f"SELECT count(*) FROM {name} WHERE is_gone") == [(0,)]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The answer to SQL: tables are those of the loaded dataset."""
        with duckdb.connect(str(self.folder / "insights.duckdb"), read_only=True) as con:
            con.execute("SET TimeZone = 'UTC'")
            con.execute("SET search_path = 'posthog'")
            return con.execute(sql).fetchall()

    def tables(self) -> set[str]:
        """The tables that there are, but for dlt's own."""
        found = self.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'posthog'")
        return {name for (name,) in found if not name.startswith("_dlt")}
