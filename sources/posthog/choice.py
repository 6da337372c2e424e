"""Which engine reads events, persons and distinct_ids: HogQL queries, or PostHog's lists where there are none.

The setting `engine` says it: `hogql`, `listing`, or `auto`, which is HogQL unless the key may not query (403) or the
server has no such endpoint (404). It is found out once for each run. PostHog's list of events needs the same scope as
queries do (query:read; posthog/api/event.py, autumn 2026), so a key without it reads persons and no events.
"""

from __future__ import annotations

from collections.abc import Iterator

from sources.posthog.errors import AccessDenied, EndpointNotFound, NotFound, PostHogError
from sources.posthog.hogql import engine as hogql
from sources.posthog.listing.events import read_listed_events
from sources.posthog.listing.persons import read_listed_distinct_ids, read_listed_persons
from sources.posthog.reading import Engine, Noted, State, TableReading
from sources.posthog.run import Run
from sources.posthog.tables import PERSONS


def read_events(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Events, by the engine of this run."""
    yield from _read(run, reading, state, hogql.read_events, read_listed_events)


def read_keyed(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Persons or distinct_ids, by the engine of this run."""
    listing = read_listed_persons if reading.table.name == PERSONS.name else read_listed_distinct_ids
    yield from _read(run, reading, state, hogql.read_versioned, listing)


def _read(run: Run, reading: TableReading, state: State, by_hogql: Engine, by_listing: Engine) -> Iterator[Noted]:
    chosen = run.settings.engine
    refused = run.shared("why HogQL is closed", lambda: _why_closed(run)) if chosen == "auto" else None
    if chosen == "hogql" or (chosen == "auto" and refused is None):
        yield from by_hogql(run, reading, state)
        return
    pages = by_listing(run, reading, state)
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


def _why_closed(run: Run) -> PostHogError | None:
    """What PostHog says to a first query, if it lets this key make none."""
    try:
        _ = run.dialect
    except (AccessDenied, EndpointNotFound) as error:
        return error
    return None
