"""Events counted by PostHog: by day and name, in as many queries as its cap on rows demands."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from ..clock import DAY, MAX, MIN, day_start
from ..errors import Narrow
from ..http.client import PostHogClient
from ..pages.arrow import COUNT, TEXT, Kind, cells
from ..pages.arrow import DAY as A_DAY
from ..sql.dialect import Dialect
from ..sql.select import select
from .intervals import Window, eras, middle_of
from .leaves import Cell, Leaf, histogram_query
from .row_limit import RowCap


class EventCounter:
    """Counts events of given windows."""

    def __init__(self, client: PostHogClient, dialect: Dialect, cap: RowCap | None = None) -> None:
        """`cap`: what is known of the server's, where it is known to somebody else as well."""
        self._client = client
        self._dialect = dialect
        self._cap = cap or RowCap(dialect)

    def histogram(self, window: Window, leaf: Leaf | None = None, *, distinct: bool = False) -> list[Cell]:
        """Rows (or `distinct` uuids) by UTC day and event name, in as many requests as the row cap demands."""
        counted: list[Cell] = []
        rest = [replace(leaf or Leaf(window), window=era) for era in eras((leaf or Leaf(window)).window)]
        while rest:
            asked = rest.pop(0)
            try:
                query = histogram_query(asked, self._dialect, self._cap.most, distinct=distinct)
                found = [Cell(*row) for row in self.ask(query, A_DAY, TEXT, COUNT)]
            except Narrow:
                halves = self._halves(asked)
                if not halves:
                    raise
                rest[:0] = halves
                continue
            if len(found) < 2 or self._cap.is_whole(len(found)):
                counted += found
                continue
            # They come in order of day and event: from the last one on, more are due on its day and on those after it.
            counted += found[:-1]
            last, span = found[-1], asked.window
            day_end = last.day + DAY
            day = span._replace(ts_from=max(span.ts_from, last.day), ts_to=min(span.ts_to, day_end))
            rest.append(replace(asked, window=day, event_from=last.event))
            if day_end < span.ts_to:
                rest.append(replace(asked, window=span._replace(ts_from=day_end)))
        return counted

    def distinct_count(self, window: Window) -> int:
        """Distinct uuids in `window`."""
        conditions = [Leaf(era).conditions(self._dialect) for era in eras(window)]
        if len(conditions) > 1:
            # One uuid may stand in several of them.
            conditions = [[" OR ".join(f"({' AND '.join(some)})" for some in conditions)]]
        [(count,)] = self.ask(select(["uniqExact(uuid)"], "events", conditions[0], limit=1), COUNT, is_one=True)
        return int(count)

    def ask(self, sql: str, *kinds: Kind, is_one: bool = False) -> list[tuple[Any, ...]]:
        """A counting query, by the kinds of its columns; with `is_one` it has one row whatever there is.

        Cheap by rows, but it may read long, so it is asked again as a long one if need be.
        """
        read = partial(cells, kinds=kinds, is_one=is_one)
        name = "posthog-warehouse plan"
        return self._client.query(sql, modifiers=self._dialect.modifiers, name=name, long=Narrow, read=read)

    def _halves(self, leaf: Leaf) -> list[Leaf]:
        """Two leaves of half the days each, to count one after the other; none if there is only one day."""
        span = leaf.window
        if span.ts_from <= MIN or span.ts_to >= MAX:
            ends = [self._dialect.time_text(f"{end}(timestamp)") for end in ("min", "max")]
            query = select(ends, "events", leaf.conditions(self._dialect), limit=1)
            [(first, last)] = self.ask(query, A_DAY, A_DAY, is_one=True)
        else:
            first, last = day_start(span.ts_from), day_start(span.ts_to - 1)
        middle = middle_of(first, last + DAY, DAY)
        if middle is None:
            return []
        return [replace(leaf, window=span._replace(ts_to=middle)), replace(leaf, window=span._replace(ts_from=middle))]
