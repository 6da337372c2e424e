"""Events: windows planned into leaves, leaves fetched in parallel, split where they are too large."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import pyarrow as pa

from sources.posthog.answers import QueryAnswer
from sources.posthog.arrow import declared_table, empty_table
from sources.posthog.client import PostHogClient
from sources.posthog.errors import AnswerMalformed, Narrow
from sources.posthog.hogql.dialect import FEWEST_ROWS, Dialect, select
from sources.posthog.hogql.leaves import (
    Bar,
    Cell,
    Leaf,
    cut_by_bars,
    cut_by_cells,
    cut_evenly,
    cut_in_two,
    day_of,
    histogram_query,
    plan,
)
from sources.posthog.hogql.parallel import Job, Split, run_jobs
from sources.posthog.hogql.windows import DAY, MAX, MIN, Window, day_start
from sources.posthog.http import memory
from sources.posthog.progress import Progress
from sources.posthog.settings import Settings
from sources.posthog.spool import SpooledPage
from sources.posthog.tables import EVENTS

logger = logging.getLogger(__name__)

_SPOOLED_AHEAD = 3
"""Times `pages_ahead`: what a merge of a package takes is enough time to fetch the next one."""


@dataclass
class Batch:
    """A window of whole days, and how many of its leaves are still to come."""

    window: Window
    leaves_left: int
    rows: int = 0


@dataclass(frozen=True)
class Page:
    """The rows of one leaf, and the windows that are complete with it."""

    rows: pa.Table | SpooledPage
    completes: tuple[Batch, ...] = ()

    @property
    def table(self) -> pa.Table:
        """The rows, read back where they are in a file."""
        return self.rows.table() if isinstance(self.rows, SpooledPage) else self.rows


@dataclass(frozen=True)
class _Shaped:
    """Rows that are as they are to be."""

    rows: pa.Table | SpooledPage


T = TypeVar("T")
_Shape = Callable[[pa.Table], "pa.Table | SpooledPage"]
_Read = tuple[Batch, "pa.Table | SpooledPage"]
_Fetched = tuple[Batch, pa.Table | _Shaped]


class EventsReader:
    """Reads events of given windows, each row once, however PostHog cuts its answers."""

    def __init__(
        self,
        client: PostHogClient,
        dialect: Dialect,
        settings: Settings,
        progress: Progress | None = None,
        shape: _Shape | None = None,
        *,
        is_spooled: bool = False,
    ) -> None:
        """`shape` is done to the rows of each page, on the threads that fetch, for one page at a time.

        `is_spooled`: it puts them into files, so that more of them may wait.
        """
        self._client = client
        self._dialect = dialect
        self._settings = settings
        self._progress = progress or Progress()
        self._shape = shape
        self._ahead = settings.pages_ahead * (_SPOOLED_AHEAD if is_spooled else 1)
        self._lock = threading.Lock()
        self._max_rows = dialect.max_rows
        self._proven_rows = dialect.proven_rows

    @property
    def _target(self) -> int:
        """Rows planned for a leaf: some room below the cap, for rows that come meanwhile and for uneven hashes."""
        return min(self._settings.leaf_rows, max(1, self._max_rows * 8 // 10))

    def pages(self, windows: Sequence[Window]) -> Iterator[Page]:
        """The rows of `windows`, page by page, in no order; memory is bounded by the pages in flight."""
        empty: list[Batch] = []
        for batch, table in run_jobs(
            self._jobs(windows, empty),
            threads=self._settings.queries_in_flight,
            ahead=self._ahead,
        ):
            with self._lock:
                batch.rows += table.num_rows
                batch.leaves_left -= 1
            self._progress.fetched(EVENTS.name, table.num_rows)
            completes = (*empty, batch) if batch.leaves_left == 0 else tuple(empty)
            empty.clear()
            yield Page(table, completes)
        if empty:
            yield Page(self.empty(), tuple(empty))

    def empty(self) -> pa.Table:
        """A page of no rows."""
        return empty_table(EVENTS)

    def histogram(self, window: Window, leaf: Leaf | None = None, *, distinct: bool = False) -> list[Cell]:
        """Rows (or `distinct` uuids) by UTC day and event name, in as many requests as the row cap demands."""
        cells: list[Cell] = []
        rest = [leaf or Leaf(window)]
        while rest:
            asked = rest.pop(0)
            try:
                answer = self._ask(histogram_query(asked, self._dialect, self._max_rows, distinct=distinct))
            except Narrow:
                halves = self._halves(asked)
                if not halves:
                    raise
                rest[:0] = halves
                continue
            found = [Cell(day_of(str(day)), str(event), int(rows)) for day, event, rows in answer.rows]
            if len(found) < 2 or self._is_whole(len(found)):
                cells += found
                continue
            # They come in order of day and event: from the last one on, more are due on its day and on those after it.
            cells += found[:-1]
            last, span = found[-1], asked.window
            day_end = last.day + DAY
            day = span._replace(ts_from=max(span.ts_from, last.day), ts_to=min(span.ts_to, day_end))
            rest.append(replace(asked, window=day, event_from=last.event))
            if day_end < span.ts_to:
                rest.append(replace(asked, window=span._replace(ts_from=day_end)))
        return cells

    def _halves(self, leaf: Leaf) -> list[Leaf]:
        """Two leaves of half the days each, to count one after the other; none if there is only one day."""
        span = leaf.window
        if span.ts_from <= MIN or span.ts_to >= MAX:
            ends = [self._dialect.time_text(f"{end}(timestamp)") for end in ("min", "max")]
            answer = self._ask(select(ends, "events", leaf.conditions(self._dialect), limit=1))
            first, last = (day_of(str(text)) for text in answer.rows[0])
        else:
            first, last = day_start(span.ts_from), day_start(span.ts_to - 1)
        if first >= last:
            return []
        middle = day_start(first + (last - first) // 2) + DAY
        return [replace(leaf, window=span._replace(ts_to=middle)), replace(leaf, window=span._replace(ts_from=middle))]

    def distinct_count(self, window: Window) -> int:
        """Distinct uuids in `window`."""
        conditions = Leaf(window).conditions(self._dialect)
        return int(self._ask(select(["uniqExact(uuid)"], "events", conditions, limit=1)).rows[0][0])

    def _jobs(self, windows: Sequence[Window], empty: list[Batch]) -> Iterator[Job[_Read]]:
        for window in windows:
            batches = self._batches(window)
            for batch, leaves in batches:
                if not leaves:
                    empty.append(batch)
                for leaf in leaves:
                    yield partial(self._read, batch, leaf)

    def _batches(self, window: Window) -> Iterator[tuple[Batch, list[Leaf]]]:
        span = self._settings.overlap + self._settings.sweep_every
        if window.ts_to == MAX and window.created_to - window.created_from <= span:
            # A live window is nearly always one leaf: its rows cost no more than counting them first.
            yield Batch(window, 1), [Leaf(window)]
            return
        cells = self.histogram(window)
        self._progress.expect(EVENTS.name, sum(cell.rows for cell in cells))
        for part, leaves in plan(window, cells, self._target, self._dialect):
            yield Batch(part, len(leaves)), leaves

    def _read(self, batch: Batch, leaf: Leaf) -> _Read | Split[_Read]:
        """One leaf's rows, or the smaller leaves to fetch in its place. Runs on a worker thread."""
        fetched = self._fetch(batch, leaf)
        if isinstance(fetched, Split):
            return fetched
        rows = fetched[1]
        return batch, (rows if isinstance(rows, _Shaped) else self._shaped(rows)).rows

    def _fetch(self, batch: Batch, leaf: Leaf) -> _Fetched | Split[_Read]:
        limit = self._max_rows
        if leaf.expected is not None and leaf.expected >= limit:
            return self._split(batch, leaf, self._target)
        try:
            table = self._query(leaf, limit, partial(self._taken, leaf, limit))
        except Narrow as fault:
            if leaf.is_one_part and leaf.expected is not None and leaf.expected <= 1:
                return batch, self._uncut(leaf, fault)
            logger.info("Splitting a leaf: %s", fault.message)
            return self._split(batch, leaf, max(1, min(leaf.expected or self._target, self._target) // 2), fault)
        whole = table if isinstance(table, _Shaped) else self._whole(leaf, limit, table)
        return self._split(batch, leaf, self._target) if whole is None else (batch, whole)

    def _whole(self, leaf: Leaf, limit: int, table: pa.Table) -> pa.Table | None:
        """All rows of a leaf of which an answer has been `table`; None: they are more than one answer holds."""
        while table.num_rows < limit:
            if self._has_all(leaf, table.num_rows):
                return table
            there = int(self._ask(leaf.count_query(self._dialect)).rows[0][0])
            if there <= table.num_rows:
                return table
            # Either more rows came meanwhile, and are there when asked again, or the server cuts its answers short.
            again = self._rows(leaf, limit)
            if again.num_rows <= table.num_rows:
                self._lower_cap(again.num_rows)
                return None
            table = again
        return None

    def _taken(self, leaf: Leaf, limit: int, answer: QueryAnswer) -> pa.Table | _Shaped:
        """The rows of an answer; shaped at once if they are the whole leaf, before another page is decoded."""
        table = _events_table(answer)
        is_done = table.num_rows < limit and self._has_all(leaf, table.num_rows)
        return self._shaped(table) if is_done else table

    def _shaped(self, table: pa.Table) -> _Shaped:
        if self._shape is None:
            return _Shaped(table)
        with memory.one_page:
            return _Shaped(self._shape(table))

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
        return self._is_whole(rows) and rows >= (leaf.expected or 0)

    def _is_whole(self, rows: int) -> bool:
        """Whether an answer of so many rows cannot have been cut short: the server has given longer ones."""
        with self._lock:
            is_whole = rows < self._proven_rows
            self._proven_rows = max(self._proven_rows, rows)
            return is_whole

    def _lower_cap(self, answered: int) -> None:
        """The server holds more rows than it answered though fewer than asked for: its cap is lower than known."""
        if answered < FEWEST_ROWS:
            raise AnswerMalformed(
                f"PostHog counts more rows in a window than the {answered} that it answers",
                meaning="The answer would leave a gap, so it was not used.",
                advice="Try again later; if it stays so, narrow --since and --until to find the day, and tell PostHog.",
            )
        with self._lock:
            if answered < self._max_rows:
                logger.warning("The server answers %d rows at most; planning for that from here.", answered)
                self._max_rows = answered

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
        limit = self._max_rows
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
            cells = self.histogram(leaf.window, leaf)
            leaves = cut_by_cells(leaf, cells, target, dialect)
            if len(leaves) != 1:
                return leaves
            leaf = replace(leaf, is_one_event=True)
        if not leaf.is_one_part:
            answer = self._ask(leaf.part_query(dialect, self._max_rows))
            bars = [Bar(int(low), int(high), int(rows)) for low, high, rows in answer.rows]
            leaves = cut_by_bars(leaf, bars, target, dialect) if bars else []
            return leaves if len(leaves) != 1 else cut_in_two(leaf, bars, dialect)
        ((first, last, rows),) = self._ask(leaf.tail_query(dialect)).rows
        if not int(rows) or first == last:
            return [leaf] if int(rows) else []
        return cut_evenly(leaf, max(2, math.ceil(int(rows) / target)), dialect)

    def _ask(self, sql: str) -> QueryAnswer:
        """A counting query: cheap by rows, but it may read long, so it is asked again as a long one if need be."""
        name = "posthog-warehouse plan"
        try:
            return self._client.query(sql, modifiers=self._dialect.modifiers, name=name)
        except Narrow:
            return self._client.query(sql, modifiers=self._dialect.modifiers, name=name, long=True)


def _events_table(answer: QueryAnswer) -> pa.Table:
    return declared_table(answer.types, answer.rows, EVENTS.columns)
