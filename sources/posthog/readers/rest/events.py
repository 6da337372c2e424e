"""Events by the list of events: for servers without HogQL. Slower by far, and just as complete.

A stretch is so much time as fills a page, read twice in different ways, so that what is missing shows.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from ...clock import DAY, MAX, MIN, SECOND
from ...errors import Narrow
from ...pages.arrow import empty_table
from ...planning.intervals import Window, even_edges, middle_of
from ...planning.list_ledger import EventWindows, SpanPlan
from ...planning.worker_pool import Job, Split, run_jobs
from ...settings import Settings
from ...tables import EVENTS
from ..base import Batch, EventCount, Noted, State, TableReading
from ..run import Run
from .event_list import EventList, no_events

_READINGS = 4
"""At most, oldest and newest first together."""
_OTHER_ROWS = 700
"""Rows asked for in a third reading: other bounds than the caps of any server give."""


@dataclass(frozen=True)
class Stretch:
    """The events with `start <= timestamp < end` (microseconds UTC), each uuid once."""

    start: int
    end: int
    table: pa.Table
    is_proven: bool
    cells: Counter[tuple[str, str]]
    """Events by UTC day (YYYY-MM-DD) and name, of those older than `settled`."""


class Stretches:
    """Makes jobs for `run_jobs`. `rows`: how many events make a stretch; `settled`: what is newer proves nothing."""

    def __init__(self, events: EventList, *, rows: int, settled: int) -> None:
        self._events = events
        self._rows = rows
        self._settled = settled
        self._lock = threading.Lock()
        self._newest_first_fails = False

    def jobs(self, start: int, end: int, first: int, pieces: int) -> Iterator[Job[Stretch]]:
        """Jobs for a span of time, which together are exactly it; most events lie evenly from `first` on."""
        pieces = max(1, min(pieces, (end - first) // DAY))
        bounds = [start, *even_edges(first, end, pieces)[1:-1], end]
        for low, high in pairwise(bounds):
            yield partial(self._read, low, high)

    def _read(self, start: int, end: int) -> Stretch | Split[Stretch]:
        """A stretch from `start` on, and what is left up to `end`. Runs on a worker thread."""
        try:
            rows = _Rows()
            upto = start
            for table, reached in self._events.oldest_first(start, end):
                rows.add(table)
                upto = reached if reached is not None else upto
                if len(rows.uuids) >= self._rows and upto > start:
                    break
            rows.cut(upto)
            stretch = self._proven(start, upto, rows)
        except Narrow:
            middle = middle_of(start, end) if end - start > SECOND else None
            if middle is None:
                raise
            return Split([partial(self._read, start, middle), partial(self._read, middle, end)])
        if upto >= end:
            return stretch
        return Split([lambda: stretch, partial(self._read, upto, end)])

    def _proven(self, start: int, end: int, rows: _Rows) -> Stretch:
        is_proven = False
        for number in range(1, _READINGS):
            known = rows.settled(self._settled)
            again = _Rows()
            newest_first = number == 1 and not self._newest_first_fails
            for table in self._again(start, end, rows, newest_first=newest_first):
                again.add(table)
            found = again.settled(self._settled)
            for table in again.tables:
                rows.add(table)
            is_proven = found == known
            if is_proven:
                break
            if newest_first and not found >= known:
                with self._lock:
                    self._newest_first_fails = True
        table = rows.table()
        settled = table.filter(pc.less(table.column("timestamp").cast(pa.int64()), self._settled))
        days = pc.strftime(settled.column("timestamp"), format="%Y-%m-%d").to_pylist()
        cells = Counter(zip(days, settled.column("event").to_pylist(), strict=True))
        return Stretch(start, end, table, is_proven, cells)

    def _again(self, start: int, end: int, rows: _Rows, *, newest_first: bool) -> Iterator[pa.Table]:
        if newest_first:
            yield from self._events.newest_first(start, end, known=rows.uuids)
            return
        middle = rows.median(start, end)
        for low, high in ((start, middle), (middle, end)):
            parts = self._events.oldest_first(low, high, most=_OTHER_ROWS, known=rows.uuids)
            yield from (table for table, _ in parts)


class _Rows:
    """Events, each uuid once: the first that came."""

    def __init__(self) -> None:
        self.tables: list[pa.Table] = []
        self.uuids: dict[str, int] = {}

    def add(self, table: pa.Table) -> None:
        uuids = table.column("uuid").to_pylist()
        times = table.column("timestamp").cast(pa.int64()).to_pylist()
        new: list[int] = []
        for number, (uuid, time) in enumerate(zip(uuids, times, strict=True)):
            if uuid not in self.uuids:
                self.uuids[uuid] = time
                new.append(number)
        if len(new) == table.num_rows:
            self.tables.append(table)
        elif new:
            self.tables.append(table.take(pa.array(new)))

    def cut(self, end: int) -> None:
        """Leaves out what is not before `end`."""
        self.uuids = {uuid: time for uuid, time in self.uuids.items() if time < end}
        self.tables = [_before(table, end) for table in self.tables]

    def settled(self, end: int) -> set[str]:
        return {uuid for uuid, time in self.uuids.items() if time < end}

    def median(self, start: int, end: int) -> int:
        """A time strictly between the bounds, where there is one, with about as many events on both sides."""
        times = sorted(self.uuids.values())
        middle = times[len(times) // 2] if times else start + (end - start) // 2
        return min(max(middle, start), end)

    def table(self) -> pa.Table:
        return pa.concat_tables([no_events(), *self.tables]).combine_chunks()


def _before(table: pa.Table, end: int) -> pa.Table:
    return table.filter(pc.less(table.column("timestamp").cast(pa.int64()), end))


_YEAR = 360 * DAY
"""PostHog refuses ranges of more than 366 days (posthog/models/event/events_list.py, autumn 2026)."""


def read_listed_events(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Events of the times that were never read, and again of those in which events still arrive."""
    now = run.clock.now
    reading.evidence.doubt = run.clock.doubt
    windows = EventWindows(state, run.settings)
    plan = windows.plan(now, run.since, run.until, reading.given.known_until)
    events = EventList(run.client)
    settled = now - run.settings.safety_lag
    count = reading.evidence.counted = EventCount()
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
        reading.evidence.completed.append(_batch(stretch))
        spans_done = [(stretch.start, stretch.end)]
        yield _unknown(run, stretch.table), partial(_note, plan, run.settings, spans_done, replaces=replaces)
    for start, end in spans.empty:
        count.add(start, min(end, settled), {}, is_proven=True)
    yield empty_table(EVENTS), partial(_note, plan, run.settings, spans.empty, is_last=True)


class _Spans:
    """The jobs for all spans of a plan, none longer than PostHog allows."""

    def __init__(self, events: EventList, stretches: Stretches, pieces: int, now: int) -> None:
        self._events = events
        self._stretches = stretches
        self._pieces = pieces
        self._now = now
        self.empty: list[tuple[int, int]] = []
        """Years before the first event: nothing but looked at."""

    def jobs(self, plan: SpanPlan) -> Iterator[Job[Stretch]]:
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


def _note(
    plan: SpanPlan,
    settings: Settings,
    spans: list[tuple[int, int]],
    state: State,
    *,
    replaces: bool = False,
    is_last: bool = False,
) -> None:
    windows = EventWindows(state, settings)
    windows.cover(plan, spans)
    for span in spans if replaces else []:
        windows.give_back(*span)
    if is_last:
        windows.finish(plan)
