"""One table of a sandbox read as a run does, without a destination."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.http.answers import Project
from posthog_warehouse.sources.posthog.pages.spool import SpooledPage
from posthog_warehouse.sources.posthog.readers.base import TableReading
from posthog_warehouse.sources.posthog.readers.registry import engine_of
from posthog_warehouse.sources.posthog.readers.run import Run
from posthog_warehouse.sources.posthog.settings import Requests, Settings
from posthog_warehouse.sources.posthog.tables import Table
from tests.sources.posthog.reading import connected


@dataclass
class Reader:
    """A table, and the state that its runs leave behind; `rows` is what a destination would hold after merging."""

    sandbox: Sandbox
    table: Table
    state: dict[str, Any] = field(default_factory=dict)
    rows: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)

    def run(
        self,
        *,
        since: int | None = None,
        until: int | None = None,
        pages: int | None = None,
        settings: Settings | None = None,
        requests: Requests | None = None,
        check: Callable[[TableReading], None] | None = None,
    ) -> list[dict[str, Any]]:
        """The rows of one run; `pages` stops it after so many, `check` looks at the reading at its end.

        The sandbox's counters are those of this run, without what `check` asks.
        """
        reading = TableReading(self.table)
        found: list[dict[str, Any]] = []
        with connected(self.sandbox) as client:
            self.sandbox.reset_counters()
            run = Run(
                client,
                # Asked for, as a run does: it tells the server's time.
                Project(client.project().id, None, "", "UTC", None, {}),
                settings=settings or Settings(),
                since=since,
                until=until,
                requests=requests or Requests(),
            )
            left = [pages]

            def has_room(rows: int) -> bool:
                if left[0] is not None and rows:
                    left[0] -= 1
                return left[0] is None or left[0] > 0

            try:
                for page in reading.pages(
                    lambda state: engine_of(self.table)(run, reading, state), self.state, has_room
                ):
                    assert not isinstance(page, SpooledPage), "nobody asked for files"
                    found += page.to_pylist() if isinstance(page, pa.Table) else page
            finally:
                reading.close()
            if check is not None:
                check(reading)
        self.rows |= {tuple(row[name] for name in self.table.keys): row for row in found}
        return found
