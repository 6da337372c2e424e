"""Which reader reads which kind of table: the one place that knows them all.

Events, persons and distinct_ids are read by HogQL queries, or by PostHog's lists where there are none. The setting
`engine` says it: `hogql`, `listing`, or `auto`, which is HogQL unless the key may not query (403) or the server has no
such endpoint (404). It is found out once for each run. PostHog's list of events needs the same scope as queries do
(query:read; posthog/api/event.py, autumn 2026), so a key without it reads persons and no events.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import AccessDenied, ColumnMissing, NotFound, PostHogError
from ..tables import PERSONS, Reads, Table
from ..tables.analytics import Changing, Memberships, Stamped
from ..tables.core import EventLeaves, Versioned
from ..tables.insights import InsightActors, InsightPoints, InsightResults
from ..tables.own_query import Query
from ..tables.recordings import ConsoleLines, RecordingSharing, RecordingSnapshots, RecordingWindows
from ..tables.rest import Contents, Growing, Listing
from .base import Engine, Noted, State, TableReading
from .checksums import read_by_day, read_memberships
from .chosen_recordings import read_console, read_sharing
from .events import read_events as read_events_by_hogql
from .insights.actors import read_actors
from .insights.results import read_points, read_results
from .own_query.reader import read_query
from .rest.append_log import read_growing
from .rest.events import read_listed_events
from .rest.lists import read_contents, read_listing
from .rest.persons import read_listed_distinct_ids, read_listed_persons
from .rest.recordings import read_recordings
from .rest.snapshots import read_snapshots
from .run import Run
from .updated_at import read_stamped, read_windows
from .versioned import read_versioned


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


def read_events(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Events, by the engine of this run."""
    return _chosen(run, reading, state, read_events_by_hogql, read_listed_events)


def read_keyed(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Persons or distinct_ids, by the engine of this run."""
    listing = read_listed_persons if reading.table.name == PERSONS.name else read_listed_distinct_ids
    return _chosen(run, reading, state, read_versioned, listing)


def _chosen(run: Run, reading: TableReading, state: State, by_hogql: Engine, by_listing: Engine) -> Iterator[Noted]:
    chosen = run.settings.engine
    refused = run.closed if chosen == "auto" else None
    if chosen == "hogql" or (chosen == "auto" and refused is None):
        return by_hogql(run, reading, state)
    return _listed(reading, by_listing(run, reading, state), refused)


def _listed(reading: TableReading, pages: Iterator[Noted], refused: PostHogError | None) -> Iterator[Noted]:
    """What lists give, for queries are `refused`, or not wanted."""
    try:
        first = next(pages)
    except (AccessDenied, NotFound):
        if isinstance(refused, AccessDenied):
            raise refused from None  # the key's one scope for all of these tables: that is what to mend
        raise
    if refused is not None:
        reading.notes.append(f"read by PostHog's lists, for queries are closed: {refused.message}")
    yield first
    yield from pages


ENGINES: dict[type[Reads], Engine] = {
    EventLeaves: read_events,
    Versioned: read_keyed,
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
