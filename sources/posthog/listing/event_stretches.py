"""Stretches of events: so much time as fills a page, read twice in different ways, so that what is missing shows.

The list of events has no count. What stands for one: the events of a stretch are read oldest first, then newest first,
and, where the two differ (events arrived meanwhile, or a server that looks at one day only), oldest first again by
other bounds. A stretch is proven when a later reading has brought exactly what was known before.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import pyarrow as pa
import pyarrow.compute as pc

from sources.posthog.errors import Narrow
from sources.posthog.hogql.parallel import Job, Split
from sources.posthog.hogql.windows import DAY, SECOND
from sources.posthog.listing.event_list import EventList, no_events

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
        bounds = [start, *(first + (end - first) * number // pieces for number in range(1, pieces)), end]
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
            if end - start <= SECOND:
                raise
            middle = start + (end - start) // 2
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
