"""Events counted by PostHog: by day and name, in as many queries as its cap on rows demands."""

from __future__ import annotations

from dataclasses import replace

from sources.posthog.answers import QueryAnswer
from sources.posthog.client import PostHogClient
from sources.posthog.errors import Narrow
from sources.posthog.hogql.dialect import Dialect, select
from sources.posthog.hogql.leaves import Cell, Leaf, day_of, histogram_query
from sources.posthog.hogql.row_cap import RowCap
from sources.posthog.hogql.windows import DAY, MAX, MIN, Window, day_start


class EventCounter:
    """Counts events of given windows."""

    def __init__(self, client: PostHogClient, dialect: Dialect, cap: RowCap | None = None) -> None:
        """`cap`: what is known of the server's, where it is known to somebody else as well."""
        self._client = client
        self._dialect = dialect
        self._cap = cap or RowCap(dialect)

    def histogram(self, window: Window, leaf: Leaf | None = None, *, distinct: bool = False) -> list[Cell]:
        """Rows (or `distinct` uuids) by UTC day and event name, in as many requests as the row cap demands."""
        cells: list[Cell] = []
        rest = [leaf or Leaf(window)]
        while rest:
            asked = rest.pop(0)
            try:
                answer = self.ask(histogram_query(asked, self._dialect, self._cap.most, distinct=distinct))
            except Narrow:
                halves = self._halves(asked)
                if not halves:
                    raise
                rest[:0] = halves
                continue
            found = [Cell(day_of(str(day)), str(event), int(rows)) for day, event, rows in answer.rows]
            if len(found) < 2 or self._cap.is_whole(len(found)):
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

    def distinct_count(self, window: Window) -> int:
        """Distinct uuids in `window`."""
        conditions = Leaf(window).conditions(self._dialect)
        return int(self.ask(select(["uniqExact(uuid)"], "events", conditions, limit=1)).rows[0][0])

    def ask(self, sql: str) -> QueryAnswer:
        """A counting query: cheap by rows, but it may read long, so it is asked again as a long one if need be."""
        name = "posthog-warehouse plan"
        try:
            return self._client.query(sql, modifiers=self._dialect.modifiers, name=name)
        except Narrow:
            return self._client.query(sql, modifiers=self._dialect.modifiers, name=name, long=True)

    def _halves(self, leaf: Leaf) -> list[Leaf]:
        """Two leaves of half the days each, to count one after the other; none if there is only one day."""
        span = leaf.window
        if span.ts_from <= MIN or span.ts_to >= MAX:
            ends = [self._dialect.time_text(f"{end}(timestamp)") for end in ("min", "max")]
            answer = self.ask(select(ends, "events", leaf.conditions(self._dialect), limit=1))
            first, last = (day_of(str(text)) for text in answer.rows[0])
        else:
            first, last = day_start(span.ts_from), day_start(span.ts_to - 1)
        if first >= last:
            return []
        middle = day_start(first + (last - first) // 2) + DAY
        return [replace(leaf, window=span._replace(ts_to=middle)), replace(leaf, window=span._replace(ts_from=middle))]
