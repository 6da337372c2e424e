"""Which engine reads which kind of table: the one place that knows them all."""

from __future__ import annotations

from sources.posthog import choice
from sources.posthog.hogql.changing import read_changing
from sources.posthog.hogql.console import read_console
from sources.posthog.hogql.memberships import read_memberships
from sources.posthog.hogql.stamped import read_stamped
from sources.posthog.insights.actors import read_actors
from sources.posthog.insights.engine import read_points, read_results
from sources.posthog.listing.contents import read_contents
from sources.posthog.listing.engine import read_listing
from sources.posthog.listing.growing import read_growing
from sources.posthog.listing.recordings import read_recordings
from sources.posthog.listing.sharing import read_sharing
from sources.posthog.listing.snapshots import read_snapshots
from sources.posthog.queries.engine import read_query
from sources.posthog.reading import Engine
from sources.posthog.tables import Reads, Table
from sources.posthog.tables.analytics import Changing, Memberships, Stamped
from sources.posthog.tables.core import EventLeaves, Versioned
from sources.posthog.tables.insights import InsightActors, InsightPoints, InsightResults
from sources.posthog.tables.listed import Contents, Growing, Listing
from sources.posthog.tables.queries import Query
from sources.posthog.tables.recordings import ConsoleLines, RecordingSharing, RecordingSnapshots, RecordingWindows

ENGINES: dict[type[Reads], Engine] = {
    EventLeaves: choice.read_events,
    Versioned: choice.read_keyed,
    Changing: read_changing,
    Stamped: read_stamped,
    Memberships: read_memberships,
    ConsoleLines: read_console,
    RecordingWindows: read_recordings,
    RecordingSnapshots: read_snapshots,
    RecordingSharing: read_sharing,
    Listing: read_listing,
    Growing: read_growing,
    Contents: read_contents,
    InsightResults: read_results,
    InsightPoints: read_points,
    InsightActors: read_actors,
    Query: read_query,
}


def engine_of(table: Table) -> Engine:
    """The engine that reads `table`."""
    return ENGINES[type(table.reads)]
