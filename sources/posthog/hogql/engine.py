"""The `hogql` engine for dlt's pages: events in windows, keyed tables by version, each with its notes for the state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from sources.posthog.hogql.counted import uncounted
from sources.posthog.hogql.counting import EventCounter
from sources.posthog.hogql.events import Batch, EventsReader
from sources.posthog.hogql.keyed import KeyedReader
from sources.posthog.hogql.ledger import Ledger, Plan
from sources.posthog.hogql.windows import HOUR, MAX, Window, to_text
from sources.posthog.properties.columns import PropertyColumns
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run


def read_events(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Events that the ledger in `state` does not have yet."""
    clock = run.reckoned
    reading.doubt = clock.doubt
    reading.notes += [clock.remark] if clock.remark else []
    ledger = Ledger(state)
    ledger.forget_after(min(clock.now, reading.known_until))
    # From here on the ledger is by this clock: forgotten twice, what comes now would be counted twice.
    clock.note(state)
    plan = reading.plan = ledger.plan(clock.now, run.since, run.until, run.settings, is_trusted=not clock.doubt)
    reading.shapes_pages = True
    if reading.shape is not None:
        reading.shape.counted = uncounted(ledger.covered, plan.windows)
    reader = EventsReader(run.client, run.dialect, run.settings, run.progress, shape=reading.shape, spool=run.spool)
    for page in reader.pages(plan.windows):
        reading.completed += page.completes
        yield page.rows, partial(_cover, plan, page.completes, reading.shape)
    if plan.is_first or plan.sweeps or clock.is_disputed:
        for page in reader.pages(_ahead(run, reading, plan)):
            yield page.rows, partial(note, {})
    # An empty page: it carries the last note, and makes the table where there are no events at all.
    yield reader.empty(), partial(_finish, plan)


def _ahead(run: Run, reading: TableReading, plan: Plan) -> list[Window]:
    """Where PostHog holds events that it got after what its clock says: read again each time, and never covered."""
    clock = run.reckoned
    ahead = Window(plan.ts_from, plan.ts_to, clock.now + HOUR, MAX)
    rows = sum(cell.rows for cell in EventCounter(run.client, run.dialect).histogram(ahead))
    if not rows:
        return []
    reading.ahead = ahead
    words = f"{rows:,} events came in after {to_text(clock.now)[:19]} UTC, which is PostHog's present"
    if clock.is_disputed:
        reading.doubt = reading.doubt or f"{clock.remark}; but {words}"
    else:
        reading.notes.append(f"{words}: they are loaded, and its clock was wrong then or is now")
    return [ahead]


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


def _cover(plan: Plan, completed: Sequence[Batch], columns: PropertyColumns | None, state: State) -> None:
    Ledger(state).cover(plan, [batch.window for batch in completed])
    if columns is not None:
        # Together, so that what is counted is what is covered: the rows of another window are read again.
        for batch in completed:
            columns.count(batch.tally)


def _finish(plan: Plan, state: State) -> None:
    Ledger(state).finish(plan)
