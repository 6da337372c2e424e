"""Events: windows planned into leaves, leaves fetched in parallel, split where they are too large."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import pyarrow as pa

from ..clock import HOUR, LAST_DAY, MAX, to_text
from ..errors import AnswerMalformed, Narrow
from ..http import memory
from ..http.answers import QueryAnswer
from ..http.client import PostHogClient
from ..pages.arrow import ANY, COUNT, HASH, INTEGER, declared_table, empty_table
from ..pages.spool import Spool, SpooledPage
from ..planning.histogram import EventCounter
from ..planning.intervals import Window, eras
from ..planning.leaves import Bar, Leaf, cut_by_bars, cut_by_cells, cut_evenly, cut_in_two, plan
from ..planning.ledger import Ledger, WindowPlan, note_covered, note_finished, uncounted
from ..planning.row_limit import RowCap
from ..planning.worker_pool import Job, Split, run_jobs
from ..properties.catalogue import Tally
from ..properties.shred import PropertyColumns, ShapedPage
from ..settings import Settings
from ..sql.dialect import Dialect
from ..tables import EVENTS
from .base import Batch, Noted, State, TableReading, nothing
from .run import Progress, Run

logger = logging.getLogger(__name__)

_SPOOLED_AHEAD = 3
"""Times `pages_ahead`: what a merge of a package takes is enough time to fetch the next one."""


@dataclass(frozen=True)
class Page:
    """The rows of one leaf, and the windows that are complete with it."""

    rows: ShapedPage | SpooledPage
    completes: tuple[Batch, ...] = ()

    @property
    def table(self) -> pa.Table:
        """The rows, read back where they are in a file."""
        return self.rows.table() if isinstance(self.rows, SpooledPage) else self.rows.table


T = TypeVar("T")
_Read = tuple[Batch, ShapedPage | SpooledPage, Tally]
_Fetched = tuple[Batch, pa.Table | ShapedPage]


class EventsReader:
    """Reads events of given windows, each row once, however PostHog cuts its answers."""

    def __init__(
        self,
        client: PostHogClient,
        dialect: Dialect,
        settings: Settings,
        progress: Progress | None = None,
        *,
        shape: Callable[[pa.Table], ShapedPage] | None = None,
        spool: Spool | None = None,
    ) -> None:
        """`shape` is done to the rows of each page, on the threads that fetch, for one page at a time.

        `spool` puts them into files, so that more of them may wait; meanwhile the next page is decoded and shaped.
        """
        self._client = client
        self._dialect = dialect
        self._settings = settings
        self._progress = progress or Progress()
        self._shape = shape
        self._spool = spool
        self._ahead = settings.pages_ahead * (1 if spool is None else _SPOOLED_AHEAD)
        self._lock = threading.Lock()
        self._cap = RowCap(dialect)
        self._counter = EventCounter(client, dialect, self._cap)

    @property
    def _target(self) -> int:
        """Rows planned for a leaf: some room below the cap, for rows that come meanwhile and for uneven hashes."""
        return min(self._settings.leaf_rows, max(1, self._cap.most * 8 // 10))

    def pages(self, windows: Sequence[Window]) -> Iterator[Page]:
        """The rows of `windows`, page by page, in no order; memory is bounded by the pages in flight."""
        empty: list[Batch] = []
        for batch, rows, tally in run_jobs(
            self._jobs(windows, empty),
            threads=self._settings.queries_in_flight,
            ahead=self._ahead,
        ):
            with self._lock:
                batch.rows += len(rows)
                batch.tally.add(tally)
                batch.leaves_left -= 1
            self._progress.fetched(EVENTS.name, len(rows))
            completes = (*empty, batch) if batch.leaves_left == 0 else tuple(empty)
            empty.clear()
            yield Page(rows, completes)
        if empty:
            yield Page(ShapedPage(self.empty()), tuple(empty))

    def empty(self) -> pa.Table:
        """A page of no rows."""
        return empty_table(EVENTS)

    def _jobs(self, windows: Sequence[Window], empty: list[Batch]) -> Iterator[Job[_Read]]:
        for era in (era for window in windows for era in eras(window)):
            batches = self._batches(era)
            for batch, leaves in batches:
                if not leaves:
                    empty.append(batch)
                for leaf in leaves:
                    yield partial(self._read, batch, leaf)

    def _batches(self, window: Window) -> Iterator[tuple[Batch, list[Leaf]]]:
        span = self._settings.overlap + self._settings.sweep_every
        if window.ts_to in {LAST_DAY, MAX} and window.created_to - window.created_from <= span:
            # A live window is nearly always one leaf: its rows cost no more than counting them first.
            yield Batch(window, 1), [Leaf(window)]
            return
        cells = self._counter.histogram(window)
        self._progress.expect(EVENTS.name, sum(cell.rows for cell in cells))
        for part, leaves in plan(window, cells, self._target, self._dialect):
            yield Batch(part, len(leaves)), leaves

    def _read(self, batch: Batch, leaf: Leaf) -> _Read | Split[_Read]:
        """One leaf's rows, or the smaller leaves to fetch in its place. Runs on a worker thread."""
        with ExitStack() as writing:
            fetched = self._fetch(batch, leaf, writing)
            if isinstance(fetched, Split):
                return fetched
            rows = fetched[1]
            shaped = rows if isinstance(rows, ShapedPage) else self._shaped(rows, writing)
            page = shaped if self._spool is None or not len(shaped) else self._spool(shaped.table)
            return batch, page, shaped.tally

    def _fetch(self, batch: Batch, leaf: Leaf, writing: ExitStack) -> _Fetched | Split[_Read]:
        limit = self._cap.most
        if leaf.expected is not None and leaf.expected >= limit:
            return self._split(batch, leaf, self._target)
        try:
            table = self._query(leaf, limit, partial(self._taken, leaf, limit, writing))
        except Narrow as fault:
            if leaf.is_one_part and leaf.expected is not None and leaf.expected <= 1:
                return batch, self._uncut(leaf, fault)
            logger.info("Splitting a leaf: %s", fault.message)
            return self._split(batch, leaf, max(1, min(leaf.expected or self._target, self._target) // 2), fault)
        whole = table if isinstance(table, ShapedPage) else self._whole(leaf, limit, table)
        return self._split(batch, leaf, self._target) if whole is None else (batch, whole)

    def _whole(self, leaf: Leaf, limit: int, table: pa.Table) -> pa.Table | None:
        """All rows of a leaf of which an answer has been `table`; None: they are more than one answer holds."""
        while table.num_rows < limit:
            if self._has_all(leaf, table.num_rows):
                return table
            [(there,)] = self._counter.ask(leaf.count_query(self._dialect), COUNT, is_one=True)
            if there <= table.num_rows:
                return table
            # Either more rows came meanwhile, and are there when asked again, or the server cuts its answers short.
            again = self._rows(leaf, limit)
            if again.num_rows <= table.num_rows:
                self._cap.lower(again.num_rows)
                return None
            table = again
        return None

    def _taken(self, leaf: Leaf, limit: int, writing: ExitStack, answer: QueryAnswer) -> pa.Table | ShapedPage:
        """The rows of an answer; shaped at once if they are the whole leaf, before another page is decoded."""
        table = _events_table(answer)
        is_done = table.num_rows < limit and self._has_all(leaf, table.num_rows)
        return self._shaped(table, writing) if is_done else table

    def _shaped(self, table: pa.Table, writing: ExitStack) -> ShapedPage:
        """A page that is ready to be written, once the one before it is."""
        with memory.one_page:
            page = ShapedPage(table) if self._shape is None else self._shape(table)
            writing.close()
            writing.enter_context(memory.one_written)
            return page

    def _rows(self, leaf: Leaf, limit: int, *, long: bool = False) -> pa.Table:
        return self._query(leaf, limit, _events_table, long=long)

    def _query(self, leaf: Leaf, limit: int, read: Callable[[QueryAnswer], T], *, long: bool = False) -> T:
        return self._client.query(
            leaf.rows_query(self._dialect, limit),
            modifiers=self._dialect.modifiers,
            name="posthog-warehouse events",
            long=long,
            read=read,
        )

    def _has_all(self, leaf: Leaf, rows: int) -> bool:
        """Whether an answer of so many rows is the whole leaf, as far as can be told without counting."""
        return self._cap.is_whole(rows) and rows >= (leaf.expected or 0)

    def _split(self, batch: Batch, leaf: Leaf, target: int, fault: Narrow | None = None) -> _Fetched | Split[_Read]:
        leaves = self._refine(leaf, target)
        if not leaves:
            # Counted, and there is none: an answer without rows need not be asked for again.
            return batch, self.empty()
        if len(leaves) == 1:
            return batch, self._uncut(leaf, fault)
        with self._lock:
            batch.leaves_left += len(leaves) - 1
        self._progress.split(EVENTS.name, len(leaves))
        return Split([partial(self._read, batch, part) for part in leaves])

    def _uncut(self, leaf: Leaf, fault: Narrow | None) -> pa.Table:
        """The rows of a leaf that nothing can part: in the time of a long query, if that was the trouble."""
        limit = self._cap.most
        table = self._rows(leaf, limit, long=fault is not None)
        if table.num_rows >= limit:
            raise AnswerMalformed(
                f"PostHog holds {limit:,} events or more that differ in nothing by which they could be asked for",
                meaning="They have the same event name, distinct_id or second, and uuid or end of it.",
                advice="Leave their day out with --since or --until, and look at what sends them.",
            )
        return table

    def _refine(self, leaf: Leaf, target: int) -> list[Leaf]:
        """Smaller leaves that together are exactly `leaf`: two at least, none if it has no rows, one if uncuttable."""
        dialect = self._dialect
        if not leaf.is_one_event:
            cells = self._counter.histogram(leaf.window, leaf)
            leaves = cut_by_cells(leaf, cells, target, dialect)
            if len(leaves) != 1:
                return leaves
            leaf = replace(leaf, is_one_event=True)
        if not leaf.is_one_part:
            query = leaf.part_query(dialect, self._cap.most)
            axis = HASH if dialect.has_hashes else INTEGER
            bars = [Bar(*row) for row in self._counter.ask(query, axis, axis, COUNT)]
            leaves = cut_by_bars(leaf, bars, target, dialect) if bars else []
            return leaves if len(leaves) != 1 else cut_in_two(leaf, bars, dialect)
        [(first, last, rows)] = self._counter.ask(leaf.tail_query(dialect), ANY, ANY, COUNT, is_one=True)
        if not rows or first == last:
            return [leaf] if rows else []
        return cut_evenly(leaf, max(2, math.ceil(rows / target)), dialect)


def _events_table(answer: QueryAnswer) -> pa.Table:
    return declared_table(answer.types, answer.rows, EVENTS.columns, answer.path)


def read_events(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Events that the ledger in `state` does not have yet."""
    clock = run.reckoned
    reading.evidence.doubt = clock.doubt
    reading.notes += [clock.remark] if clock.remark else []
    ledger = Ledger(state)
    ledger.forget_after(min(clock.now, reading.given.known_until))
    # From here on the ledger is by this clock: forgotten twice, what comes now would be counted twice.
    clock.note(state)
    plan = ledger.plan(clock.now, run.since, run.until, run.settings, is_trusted=not clock.doubt)
    reading.evidence.plan = plan
    columns, counted = reading.given.shape, uncounted(ledger.covered, plan.windows)
    shape = None if columns is None else (lambda page: columns(page, counted(page)))
    reader = EventsReader(run.client, run.dialect, run.settings, run.progress, shape=shape, spool=run.spool)
    for page in reader.pages(plan.windows):
        reading.evidence.completed += page.completes
        yield page.rows, partial(_cover, plan, page.completes, columns)
    if plan.is_first or plan.sweeps or clock.is_disputed:
        for page in reader.pages(_ahead(run, reading, plan)):
            yield page.rows, nothing
    # An empty page: it carries the last note, and makes the table where there are no events at all.
    yield ShapedPage(reader.empty()), partial(note_finished, plan)


def _ahead(run: Run, reading: TableReading, plan: WindowPlan) -> list[Window]:
    """Where PostHog holds events that it got after what its clock says: read again each time, and never covered."""
    clock = run.reckoned
    ahead = Window(plan.ts_from, plan.ts_to, clock.now + HOUR, MAX)
    rows = sum(cell.rows for cell in EventCounter(run.client, run.dialect).histogram(ahead))
    if not rows:
        return []
    reading.evidence.ahead = ahead
    words = f"{rows:,} events came in after {to_text(clock.now)[:19]} UTC, which is PostHog's present"
    if clock.is_disputed:
        reading.evidence.doubt = reading.evidence.doubt or f"{clock.remark}; but {words}"
    else:
        reading.notes.append(f"{words}: they are loaded, and its clock was wrong then or is now")
    return [ahead]


def _cover(plan: WindowPlan, completed: Sequence[Batch], columns: PropertyColumns | None, state: State) -> None:
    note_covered(plan, [batch.window for batch in completed], state)
    if columns is not None:
        # Together, so that what is counted is what is covered: the rows of another window are read again.
        for batch in completed:
            columns.count(batch.tally)
