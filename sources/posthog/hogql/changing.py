"""Tables whose rows change: read by when they did where the server says it, else by day."""

from __future__ import annotations

from collections.abc import Iterator

from sources.posthog.errors import ColumnMissing
from sources.posthog.hogql.daily import read_by_day
from sources.posthog.hogql.incremental import read_windows
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run
from sources.posthog.tables.analytics import Changing


def read_changing(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The engine of tables that are `Changing`: what the state does not have yet."""
    if not isinstance(reading.table.reads, Changing):
        raise TypeError(f"{reading.table.name} has no times of change")
    try:
        yield from read_windows(run, reading, state)
    except ColumnMissing as missing:
        # It is in the first question, so nothing was yielded before.
        if missing.name != reading.table.reads.changed:
            raise
        yield from read_by_day(run, reading, state)
