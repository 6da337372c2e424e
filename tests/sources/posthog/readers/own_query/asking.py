"""Reading a query of a sandbox in tests: page by page, or through dlt into DuckDB."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dlt
import duckdb
import pyarrow as pa

from posthog_warehouse.destinations.duckdb_types import CompressingTypeMapper
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import Extraction, PostHogClient, Run, Settings, posthog
from posthog_warehouse.sources.posthog.readers.own_query.ordering import order_of
from posthog_warehouse.sources.posthog.readers.own_query.paging import Pager
from posthog_warehouse.sources.posthog.readers.own_query.schema import Described, describe
from posthog_warehouse.sources.posthog.tables.own_query import Query
from tests.sources.posthog.reading import IMPATIENT

OPTIONS: dict[str, Any] = dict(IMPATIENT)


@contextmanager
def a_run(sandbox: Sandbox, leaf_rows: int = 40_000) -> Iterator[Run]:
    """A run that reads nothing yet."""

    def connect() -> PostHogClient:
        return PostHogClient(sandbox.api_key, sandbox.host, sandbox.project_id, **OPTIONS)

    extraction = Extraction(connect, settings=Settings(leaf_rows=leaf_rows), tables=())
    try:
        yield extraction.open()
    finally:
        extraction.close()


def described(run: Run, sql: str, **settings: Any) -> Described:
    """What a query answers."""
    return describe(run, Query.of("mine", {"sql": sql, **settings}))


def pages_of(run: Run, sql: str, **settings: Any) -> list[pa.Table]:
    """All pages of a query, by its key where it has one."""
    about = described(run, sql, **settings)
    pager = Pager(run, about)
    pages = pager.keyed(order_of(run.dialect, about.key)) if about.key else pager.whole()
    return [page.table for page in pages]


def rows_of(run: Run, sql: str, **settings: Any) -> list[tuple[Any, ...]]:
    """All rows of a query."""
    return [tuple(row.values()) for page in pages_of(run, sql, **settings) for row in page.to_pylist()]


@dataclass
class Warehouse:
    """A DuckDB in memory that queries are loaded into, as by a dlt script of one's own."""

    sandbox: Sandbox
    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    folder: tempfile.TemporaryDirectory[str] = field(default_factory=tempfile.TemporaryDirectory)

    def __post_init__(self) -> None:
        self.connection.execute("SET TimeZone = 'UTC'")
        self.pipeline = dlt.pipeline(
            "own_queries",
            pipelines_dir=self.folder.name,
            destination=dlt.destinations.duckdb(self.connection, type_mapper=CompressingTypeMapper),
            dataset_name="mine",
        )

    def load(self, queries: Mapping[str, Mapping[str, Any]], **options: Any) -> None:
        """One run."""
        sandbox = self.sandbox
        source = posthog(
            sandbox.api_key, sandbox.host, str(sandbox.project_id), queries=dict(queries), **options
        ).with_resources(*queries)
        self.pipeline.run(source)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a DuckDB query."""
        return self.connection.execute(sql).fetchall()

    def types(self, table: str) -> dict[str, str]:
        """The columns of a table and their types."""
        return {name: kind for name, kind, *_ in self.rows(f"DESCRIBE mine.{table}")}

    def state(self, table: str) -> dict[str, Any]:
        """What is noted of a table."""
        found: dict[str, Any] = self.pipeline.state["sources"]["posthog"]["resources"][table]
        return found
