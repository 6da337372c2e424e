"""Reading a sandbox in tests, and what the sandbox itself says that it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.clock import MAX, MIN
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.planning.intervals import Window
from posthog_warehouse.sources.posthog.readers.base import Batch
from posthog_warehouse.sources.posthog.readers.events import EventsReader
from posthog_warehouse.sources.posthog.settings import Settings
from posthog_warehouse.sources.posthog.sql.capabilities import probe
from posthog_warehouse.sources.posthog.sql.dialect import Dialect

EVERYTHING = Window(MIN, MAX, MIN, MAX)
IMPATIENT = {"attempts": 4, "backoff_seconds": (0.01, 0.05)}
"""Retries without the pauses that only a real server needs."""


@contextmanager
def connected(sandbox: Sandbox, **options: Any) -> Iterator[PostHogClient]:
    with PostHogClient(sandbox.api_key, sandbox.host, sandbox.project_id, **{**IMPATIENT, **options}) as client:
        yield client


@dataclass
class Read:
    """What a reader gave."""

    dialect: Dialect
    tables: list[pa.Table] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)

    @property
    def rows(self) -> pa.Table:
        return pa.concat_tables(self.tables)

    @property
    def uuids(self) -> Counter[str]:
        return Counter(self.rows.column("uuid").to_pylist())


def read_events(
    sandbox: Sandbox,
    windows: Sequence[Window] = (EVERYTHING,),
    *,
    dialect: Dialect | None = None,
    leaf_rows: int = 40_000,
    **options: Any,
) -> Read:
    """All events of `windows`; the dialect is the server's own unless given."""
    with connected(sandbox, **options) as client:
        read = Read(dialect or probe(client)[0])
        for page in EventsReader(client, read.dialect, Settings(leaf_rows=leaf_rows)).pages(windows):
            read.tables.append(page.table)
            read.batches += page.completes
    return read


def uuids_of(sandbox: Sandbox, where: str = "1") -> Counter[str]:
    """The uuids that the sandbox's ClickHouse holds, with how many copies it shows."""
    return Counter(row[0] for row in sandbox.sql(f"SELECT toString(uuid) FROM events WHERE {where}"))
