"""Loading tables of lists into DuckDB, from a server that a test scripts."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dlt
import duckdb

from posthog_warehouse.sources.posthog import resources_of
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.readers.base import TableReading
from posthog_warehouse.sources.posthog.readers.extraction import Extraction
from posthog_warehouse.sources.posthog.settings import Requests
from posthog_warehouse.sources.posthog.tables import Table
from tests.sources.posthog.httpserver import Answer, HttpServer, Request, Script, envelope

KEY = "phx_verysecretverysecretverysecret"
PROJECT = {"id": 1, "uuid": "018d8e5a-0000-0000-0000-000000000001", "name": "Hedgebox", "timezone": "UTC"}
MISSING = envelope(404, "not_found", "Endpoint not found.", "invalid_request")


@dataclass
class Warehouse:
    """One project's server, by path under the project's, and the DuckDB file that it is loaded into."""

    folder: Path
    paths: dict[str, Script] = field(default_factory=dict)
    requests: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.server = HttpServer(self._answer)
        self.pipeline = dlt.pipeline(
            pipeline_name="lists",
            destination=dlt.destinations.duckdb(str(self.folder / "lists.duckdb")),
            dataset_name="posthog",
            pipelines_dir=str(self.folder / "dlt"),
        )

    def _answer(self, request: Request) -> Answer:
        if request.path == "/api/projects/1/":
            return Answer(body=PROJECT)
        name = request.path.removeprefix("/api/projects/1/").strip("/")
        return self.paths[name](request) if name in self.paths else MISSING

    def load(self, *tables: Table) -> dict[str, TableReading]:
        """One run of these tables: how each was read."""
        self.server.requests.clear()
        extraction = Extraction(
            lambda: PostHogClient(KEY, self.server.url, 1, attempts=1),
            tables=tables,
            requests=Requests.of(self.requests),
        )

        @dlt.source(name="posthog", max_table_nesting=0)
        def source() -> Any:
            return resources_of(extraction)

        with closing(extraction):
            self.pipeline.run(source().with_resources(*extraction.readings))
        return extraction.readings

    def asked(self, path: str) -> list[dict[str, str]]:
        """The parameters of the last run's requests for a list."""
        return [request.params for request in self.server.asked("GET", f"/{path}/")]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The answer to SQL: tables are those of the loaded dataset."""
        with duckdb.connect(str(self.folder / "lists.duckdb"), read_only=True) as con:
            con.execute("SET TimeZone = 'UTC'")
            con.execute("SET search_path = 'posthog'")
            return con.execute(sql).fetchall()

    def columns(self, table: str) -> dict[str, str]:
        """Its columns and their DuckDB types, but for dlt's own."""
        found = self.rows(f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{table}'")
        return {name: kind for name, kind in found if not name.startswith("_dlt")}

    def close(self) -> None:
        """Stops the server."""
        self.server.close()
