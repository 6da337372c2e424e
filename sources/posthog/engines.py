"""Which engine reads which kind of table: the one place that knows them all."""

from __future__ import annotations

from sources.posthog.hogql import engine as hogql
from sources.posthog.reading import Engine
from sources.posthog.tables import Reads, Table
from sources.posthog.tables.core import EventLeaves, Versioned

ENGINES: dict[type[Reads], Engine] = {
    EventLeaves: hogql.read_events,
    Versioned: hogql.read_versioned,
}


def engine_of(table: Table) -> Engine:
    """The engine that reads `table`."""
    return ENGINES[type(table.reads)]
