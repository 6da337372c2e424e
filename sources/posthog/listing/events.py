"""Events by the list of events: for servers without HogQL. Slower by far, and just as complete.

What it cannot have: `created_at` (NULL), quotes at the ends of texts in `properties` (PostHog's list strips them), and
the person as stored at ingestion (`person_id` is whose the distinct_id is now, where the list shows it, else NULL).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from sources.posthog.arrow import empty_table
from sources.posthog.hogql.events import Batch
from sources.posthog.hogql.parallel import Job, run_jobs
from sources.posthog.hogql.windows import DAY, MAX, MIN, Window
from sources.posthog.listing.event_list import EventList
from sources.posthog.listing.event_stretches import Stretch, Stretches
from sources.posthog.listing.event_windows import EventWindows, Plan
from sources.posthog.reading import EventCount, Noted, State, TableReading
from sources.posthog.run import Run
from sources.posthog.settings import Settings
from sources.posthog.tables import EVENTS

_YEAR = 360 * DAY
"""PostHog refuses ranges of more than 366 days (posthog/models/event/events_list.py, autumn 2026)."""


def read_listed_events(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Events of the times that were never read, and again of those in which events still arrive."""
    now = run.clock.now
    reading.doubt = run.clock.doubt
    windows = EventWindows(state, run.settings)
    plan = windows.plan(now, run.since, run.until, reading.known_until)
    events = EventList(run.client)
    settled = now - run.settings.safety_lag
    count = reading.counted = EventCount()
    stretches = Stretches(events, rows=run.settings.leaf_rows, settled=settled)
    replaces = windows.has_ledger and run.known_keys is None
    if replaces:
        reading.notes.append("rows that were loaded by HogQL before lose their created_at where they are read again")
    spans = _Spans(events, stretches, 2 * run.settings.queries_in_flight, now)
    for stretch in run_jobs(
        spans.jobs(plan),
        threads=run.settings.queries_in_flight,
        ahead=run.settings.pages_ahead,
    ):
        run.progress.fetched(EVENTS.name, stretch.table.num_rows)
        count.add(stretch.start, min(stretch.end, settled), stretch.cells, is_proven=stretch.is_proven)
        reading.completed.append(_batch(stretch))
        span = (stretch.start, stretch.end)
        yield _unknown(run, stretch.table), partial(_cover, plan, run.settings, span, replaces=replaces)
    for start, end in spans.empty:
        count.add(start, min(end, settled), {}, is_proven=True)
    yield empty_table(EVENTS), partial(_finish, plan, run.settings, spans.empty)


class _Spans:
    """The jobs for all spans of a plan, none longer than PostHog allows."""

    def __init__(self, events: EventList, stretches: Stretches, pieces: int, now: int) -> None:
        self._events = events
        self._stretches = stretches
        self._pieces = pieces
        self._now = now
        self.empty: list[tuple[int, int]] = []
        """Years before the first event: nothing but looked at."""

    def jobs(self, plan: Plan) -> Iterator[Job[Stretch]]:
        """Jobs which together are exactly the plan, but for what is `empty`."""
        for start, end in plan.spans:
            # The few events from the future, which are there by mistake, are no reason for many pieces.
            now = min(max(start, self._now), end)
            yield from self._past(start, now)
            if now < end:
                yield from self._stretches.jobs(now, end, now, 1)

    def _past(self, start: int, end: int) -> Iterator[Job[Stretch]]:
        has_begun = False
        while start < end:
            upto = min(end, start + _YEAR)
            first = self._events.first(start, upto)
            has_begun = has_begun or first is not None
            if has_begun:
                # A year without events among others is looked at once more, as all times are.
                yield from self._stretches.jobs(start, upto, upto if first is None else first, self._pieces)
            else:
                self.empty.append((start, upto))
            start = upto


def _unknown(run: Run, table: pa.Table) -> pa.Table:
    """Without the events that the warehouse holds: they do not change, and may be there with their `created_at`."""
    if run.known_keys is None or not table.num_rows:
        return table
    times = table.column("timestamp").cast(pa.int64())
    known = _keys(run.known_keys(EVENTS, pc.min(times).as_py(), pc.max(times).as_py() + 1))
    return table.filter(pc.invert(pc.is_in(table.column("uuid"), value_set=known)))


def _keys(chunks: Iterable[pa.Table]) -> pa.Array:
    found = [chunk.column(0).cast(pa.string()).combine_chunks() for chunk in chunks]
    return pa.concat_arrays(found) if found else pa.array([], pa.string())


def _batch(stretch: Stretch) -> Batch:
    return Batch(Window(stretch.start, stretch.end, MIN, MAX), 0, stretch.table.num_rows)


def _cover(plan: Plan, settings: Settings, span: tuple[int, int], state: State, *, replaces: bool) -> None:
    windows = EventWindows(state, settings)
    windows.cover(plan, [span])
    if replaces:
        windows.give_back(*span)


def _finish(plan: Plan, settings: Settings, empty: list[tuple[int, int]], state: State) -> None:
    windows = EventWindows(state, settings)
    windows.cover(plan, empty)
    windows.finish(plan)
