"""The `hogql` engine for dlt's pages: events in windows, keyed tables by version, each with its notes for the state."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sources.posthog.hogql.events import EventsReader
from sources.posthog.hogql.keyed import KeyedReader
from sources.posthog.hogql.ledger import Ledger, Plan
from sources.posthog.hogql.windows import Window
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run


def read_events(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Events that the ledger in `state` does not have yet."""
    plan = reading.plan = Ledger(state).plan(run.now, run.since, run.until, run.settings)
    reading.shapes_pages = True
    reader = EventsReader(run.client, run.dialect, run.settings, run.progress, shape=reading.shape, spool=run.spool)
    for page in reader.pages(plan.windows):
        reading.completed += page.completes
        yield page.rows, partial(_cover, plan, [batch.window for batch in page.completes])
    # An empty page: it carries the last note, and makes the table where there are no events at all.
    yield reader.empty(), partial(_finish, plan)


def read_versioned(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Rows of a keyed table whose version is another than the manifest in `state` has."""
    reader = KeyedReader(run.client, run.dialect, run.settings, reading.table, run.progress)
    reading.recount = reader.live_count
    for page in reader.pages(state, run.known):
        reading.held = reader.held
        yield page.table, partial(note, page.state)


def note(changes: State, state: State) -> None:
    """Writes `changes` into the state of a table; None takes an entry out."""
    for name, value in changes.items():
        if value is None:
            state.pop(name, None)
        else:
            state[name] = value


def _cover(plan: Plan, windows: list[Window], state: State) -> None:
    Ledger(state).cover(plan, windows)


def _finish(plan: Plan, state: State) -> None:
    Ledger(state).finish(plan)
