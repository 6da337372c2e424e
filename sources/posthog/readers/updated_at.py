"""Tables whose rows change and tell when they began and when they last changed, such as sessions.

A row is a point in the plane of both times, and the ledger of events keeps what was asked for of that plane. A row
that changes moves to a later time of change, where the next run looks: so each run reads what began or changed since.
Rows are fetched by when they began, by which PostHog finds them quickly; rows that share any moment cannot be lost,
for a span is cut in two when an answer is full, and paged by the key where nothing is left to cut.

Of tables whose rows say when they last changed, and not when they began (groups), all that changed are read.

The time of change may have whole seconds only (groups.updated_at), and many rows may share one: it is compared with
an overlap and never paged by. Pages follow the key.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..clock import DAY, MAX, MIN, SECOND, to_text
from ..errors import Narrow
from ..pages.arrow import COUNT, INTEGER, empty_table
from ..pages.arrow import DAY as A_DAY
from ..planning.intervals import Window, even_edges, middle_of
from ..planning.ledger import Ledger, WindowPlan, note_covered, note_finished
from ..planning.worker_pool import Job, Split, run_jobs
from ..settings import Settings
from ..tables import Table
from ..tables.analytics import Changing, Stamped
from .base import Batch, Noted, State, TableReading, note, nothing
from .keyset import Rows
from .run import Run

logger = logging.getLogger(__name__)

_FIRST = 365 * 45 * DAY
"""Nothing worth cutting for began before 2015."""

_FARTHEST = 365 * 400 * DAY
"""Beyond that, in microseconds from 1970, lies no time that PostHog has."""


@dataclass(frozen=True)
class WindowPage:
    """Rows, and the windows of which they were the last."""

    table: pa.Table
    completes: list[Window] = field(default_factory=list)


_Outcome = tuple[Batch, pa.Table]


class WindowReader:
    """Reads the rows of windows: `timestamp` stands for when a row began, `created_at` for when it last changed."""

    def __init__(self, run: Run, table: Table, *, knows_changes: bool = True) -> None:
        """`knows_changes`: whether windows may be bounded by when rows changed, which takes the column for it."""
        if not isinstance(table.reads, Changing):
            raise TypeError(f"{table.name} has no times of change")
        self._run = run
        self._table = table
        self.reads = table.reads
        needs = (self.reads.started, self.reads.changed) if knows_changes else (self.reads.started,)
        self.rows = Rows(run, table, self.reads.table, needs=needs)
        self._lock = threading.Lock()

    def pages(self, windows: Sequence[Window]) -> Iterator[WindowPage]:
        """All rows of `windows`, a page for each request."""
        settings = self._run.settings
        jobs = self._jobs(windows)
        for batch, table in run_jobs(jobs, threads=settings.queries_in_flight, ahead=settings.pages_ahead):
            with self._lock:
                batch.leaves_left -= 1
                is_last = batch.leaves_left == 0
            self._run.progress.fetched(self._table.name, table.num_rows)
            yield WindowPage(table, [batch.window] if is_last else [])

    def hidden(self, windows: Sequence[Window]) -> Iterator[pa.Table]:
        """The rows of `windows` that bounds on when they began may not find: compared as text, they are no bounds."""
        began = self._run.dialect.time_text(self.reads.started)
        for window in windows:
            conditions = [self.reads.hidden]
            if window.ts_from > MIN:
                conditions.append(f"{began} >= '{to_text(window.ts_from)}'")
            if window.ts_to < MAX:
                conditions.append(f"{began} < '{to_text(window.ts_to)}'")
            conditions += self._run.dialect.time_bounds(self.reads.changed, window.created_from, window.created_to)
            yield from self.rows.by_key(conditions)

    def count(self, windows: Sequence[Window]) -> int:
        """How many rows lie in `windows`, which are disjoint, now."""
        if not windows:
            return 0
        parts = [" AND ".join(self._conditions(window)) or "1 = 1" for window in windows]
        return self.rows.count([" OR ".join(f"({part})" for part in parts)])

    def _conditions(self, window: Window) -> list[str]:
        dialect = self._run.dialect
        return [
            *dialect.time_bounds(self.reads.started, window.ts_from, window.ts_to),
            *dialect.time_bounds(self.reads.changed, window.created_from, window.created_to),
        ]

    def _jobs(self, windows: Sequence[Window]) -> Iterator[Job[_Outcome]]:
        for window in windows:
            for part, leaves in self._plan(window):
                batch = Batch(part, len(leaves))
                for leaf in leaves:
                    yield partial(self._fetch, batch, leaf)

    def _plan(self, window: Window) -> Iterator[tuple[Window, list[Window]]]:
        """Cuts a window into windows of whole days, and each of those into leaves of about as many rows as wanted."""
        target = min(self._run.settings.leaf_rows, self.rows.max_rows * 8 // 10)
        day = self._run.dialect.day(self.reads.started)
        try:
            days = self.rows.ask([day, "count()"], [A_DAY, COUNT], self._conditions(window), group_by=day, order_by=day)
        except Narrow:
            parts = _halves(window, (_FIRST, self._run.now + DAY), DAY)
            if len(parts) == 1:
                raise
            for part in parts:
                yield from self._plan(part)
            return
        self._run.progress.expect(self._table.name, sum(count for _, count in days))
        starts, room = [window.ts_from], target
        for place, (start, count) in enumerate(days):
            if count > room and place and window.ts_from < start < window.ts_to:
                starts.append(start)
                room = target
            room -= count
        for low, high in pairwise([*starts, window.ts_to]):
            inside = [count for start, count in days if low - DAY < start < high and max(start, low) < high]
            part = window._replace(ts_from=low, ts_to=high)
            yield part, _slices(part, math.ceil(sum(inside) / target)) if len(inside) == 1 else [part]

    def _fetch(self, batch: Batch, leaf: Window) -> _Outcome | Split[_Outcome]:
        """The rows of a leaf, or smaller leaves. Runs on a worker thread."""
        conditions = self._conditions(leaf)
        try:
            table = self.rows.fetch(conditions)
        except Narrow as fault:
            logger.info("Halving %s of %s: %s", leaf, self._table.name, fault.message)
        else:
            if table.num_rows < self.rows.max_rows:
                return batch, table
        halves = _halves(leaf, self._span(conditions))
        if len(halves) == 1:
            pages = list(self.rows.by_key(conditions))
            return batch, pa.concat_tables(pages) if pages else empty_table(self._table)
        with self._lock:
            batch.leaves_left += len(halves) - 1
        self._run.progress.split(self._table.name, len(halves))
        return Split([partial(self._fetch, batch, half) for half in halves])

    def _span(self, conditions: list[str]) -> tuple[int, int] | None:
        """The first and the last second in which rows of a leaf began; None where it has no rows."""
        seconds = f"toUnixTimestamp({self.reads.started})"
        ends = [f"min({seconds})", f"max({seconds})", "count()"]
        kinds = [INTEGER, INTEGER, COUNT]
        [(first, last, count)] = self.rows.ask(ends, kinds, conditions, limit=1, is_one=True)
        return (first * SECOND, (last + 1) * SECOND) if count else None


def read_windows(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """What the ledger in `state` does not have yet of a table that is `Changing`.

    Raises ColumnMissing before anything is yielded where the server does not say when rows changed.
    """
    # Rows that still change would be put off for ever by a lag; the overlap has what becomes visible late.
    settings = replace(run.settings, safety_lag=SECOND)
    clock = run.reckoned
    reading.evidence.doubt = clock.doubt
    Ledger(state).forget_after(min(clock.now, reading.given.known_until))
    ledger = Ledger(dict(state))
    plan = ledger.plan(clock.now, run.since, run.until, settings, is_trusted=not clock.doubt)
    reader = WindowReader(run, reading.table)
    had: list[Any] = []
    if reader.reads.hidden:
        for table in reader.hidden(_hidden_windows(plan, run.until, settings)):
            had += table.column(reading.table.key).to_pylist()
            yield table, nothing
    for page in reader.pages(plan.windows):
        yield without(page.table, reading.table.key, had), partial(note_covered, plan, page.completes)
        ledger.cover(plan, page.completes)
    ledger.finish(plan)
    # What has changed again since it was read is no longer in these windows, and in the warehouse all the same.
    covered = [window for window in ledger.covered if not window.is_empty]
    reading.evidence.held = reader.count(covered)
    since = min([plan.since, *(window.ts_from for window in covered)])
    everything = Window(since, MAX if run.until is None else run.until, MIN, MAX)
    reading.evidence.recount = partial(reader.count, [everything])
    reading.notes += reader.rows.notes
    yield empty_table(reading.table), partial(note_finished, plan)


def without(table: pa.Table, key: str, had: list[Any]) -> pa.Table:
    """The rows whose key was not had before: what is hidden behind some bounds may be found by others."""
    again = pc.is_in(table.column(key), value_set=pa.array(had, table.schema.field(key).type))
    return table.filter(pc.invert(again)) if pc.any(again).as_py() else table


def _hidden_windows(plan: WindowPlan, until: int | None, settings: Settings) -> list[Window]:
    """Where hidden rows are looked for, which costs a look at all rows: with a backfill, and with the daily sweep."""
    windows = [window for window in plan.windows if window.created_from <= MIN]
    if plan.sweeps:
        end = MAX if until is None else until
        windows.append(Window(plan.since, end, plan.origin - settings.overlap, plan.created_to))
    return windows


def _slices(window: Window, pieces: int) -> list[Window]:
    """Even slices of a window by when rows began."""
    low, high = window.ts_from, window.ts_to
    if pieces <= 1 or low <= MIN or high >= MAX:
        return [window]
    return [window._replace(ts_from=a, ts_to=b) for a, b in pairwise(even_edges(low, high, pieces))]


def _halves(leaf: Window, span: tuple[int, int] | None, least: int = SECOND) -> list[Window]:
    """Two parts of a leaf whose rows lie in `span`, or the leaf itself where they all began within `least`."""
    if span is None:
        return [leaf]
    first, last = max(span[0], leaf.ts_from), min(span[1], leaf.ts_to)
    middle = middle_of(first, last, least)
    if middle is None or not leaf.ts_from < middle < leaf.ts_to or abs(middle) > _FARTHEST:
        return [leaf]
    return [leaf._replace(ts_to=middle), leaf._replace(ts_from=middle)]


def read_stamped(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The engine: rows that changed since the last finished run; the first time all of them.

    State: `upto`, the server's time at the start of the last finished run, microseconds UTC.
    """
    table = reading.table
    if not isinstance(table.reads, Stamped):
        raise TypeError(f"{table.name} does not say when its rows changed")
    started = run.now
    rows = Rows(run, table, table.reads.table)
    reading.evidence.held = rows.count([])
    reading.evidence.recount = partial(rows.count, [])
    changed: list[str] = []
    # Where the column is lacking all rows are read each time.
    is_lacking = table.reads.changed in run.lacking.columns(table.reads.table)
    if (upto := state.get("upto")) is not None and not is_lacking:
        upto = min(int(upto), started, reading.given.known_until)
        changed = [run.dialect.changed_since(table.reads.changed, upto - run.settings.overlap)]
    run.progress.expect(table.name, rows.count(changed))
    for page in rows.by_key(changed):
        run.progress.fetched(table.name, page.num_rows)
        yield page, nothing
    reading.notes += rows.notes
    yield empty_table(table), partial(note, {"upto": started})
