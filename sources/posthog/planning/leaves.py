"""Leaves: what one request fetches of the events.

A leaf is a contiguous range of the order in which ClickHouse stores events (`team_id, toDate(timestamp), event,
cityHash64(distinct_id), cityHash64(uuid)`; PostHog's sources, autumn 2026), so the server reads little more than the
rows it answers. From coarse to fine: days; within one day, a range of event names; within one event, a range of
`cityHash64(distinct_id)`; within one distinct_id, a range of `cityHash64(uuid)`. Each cut is a partition: whatever
appears between planning and fetching still lies in exactly one leaf.

A server without `cityHash64` is cut by whole seconds instead, and within a second by the last digits of the uuid.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import NamedTuple

from ..clock import DAY, LAST_DAY, MAX, MIN, SECOND
from ..sql.dialect import HASH_SPACE, Dialect, text_literal
from ..sql.select import select
from ..tables import EVENTS, Column
from .intervals import Window, even_edges

_UUID_TAIL_DIGITS = 12
_UUID_TAIL_SPACE = 16**_UUID_TAIL_DIGITS
_HISTOGRAM_BARS = 512
_SECONDS_BEFORE = 2_208_988_800
"""From 1900, where DateTime64 begins, to 1970: counted from there no time has a negative second."""
_TABLE = "events"

WHOLE_PART = (0, HASH_SPACE)
"""All hashes; or all seconds, as a range that ends where the axis does asks for no bound there."""


class Cell(NamedTuple):
    """A bar of the histogram: `rows` events named `event` on the UTC day that starts at `day` (microseconds)."""

    day: int
    event: str
    rows: int


class Bar(NamedTuple):
    """A bar of a finer histogram: `rows` events between `low` and `high` (both included) on a leaf's part axis."""

    low: int
    high: int
    rows: int


@dataclass(frozen=True)
class Leaf:
    """A range of events in storage order, inside one window. Bounds are half-open; None is no bound."""

    window: Window
    event_from: str | None = None
    event_to: str | None = None
    is_one_event: bool = False
    """At planning, all its rows had one event name on one day: only hashes can cut it further."""
    part: tuple[int, int] | None = None
    """Range of `cityHash64(distinct_id)`, or of seconds since 1900 on a server without it."""
    is_one_part: bool = False
    """At planning, all its rows had one distinct_id (or one second): only the uuid can cut it further."""
    tail: tuple[int, int] | None = None
    """Range of `cityHash64(uuid)`, or of the uuid's last 12 digits."""
    expected: int | None = None
    """Rows that the histogram promised; None where none was asked for."""

    def conditions(self, dialect: Dialect) -> list[str]:
        """The leaf as HogQL conditions."""
        conditions = dialect.time_bounds("timestamp", self.window.ts_from, self.window.ts_to)
        if self.event_from is not None:
            conditions.append(f"event >= {text_literal(self.event_from)}")
        if self.event_to is not None:
            conditions.append(f"event < {text_literal(self.event_to)}")
        if self.part is not None:
            conditions += _range(part_axis(dialect), self.part)
        if self.tail is not None and dialect.has_hashes:
            conditions += _range(tail_axis(dialect), self.tail)
        elif self.tail is not None:
            low, high = self.tail
            conditions.append(f"{tail_axis(dialect)} >= '{low:0{_UUID_TAIL_DIGITS}x}'")
            if high < _UUID_TAIL_SPACE:
                conditions.append(f"{tail_axis(dialect)} < '{high:0{_UUID_TAIL_DIGITS}x}'")
        return conditions + dialect.time_bounds("created_at", self.window.created_from, self.window.created_to)

    def rows_query(self, dialect: Dialect, limit: int, columns: Sequence[Column] = EVENTS.columns) -> str:
        """Selects the leaf's rows. No ORDER BY, no OFFSET, no cursor: fewer rows than `limit` are all of them."""
        return select(
            [dialect.cell(column, column.hogql) for column in columns],
            _TABLE,
            self.conditions(dialect),
            limit=limit,
        )

    def count_query(self, dialect: Dialect) -> str:
        """Counts the leaf's rows."""
        return select(["count()"], _TABLE, self.conditions(dialect), limit=1)

    def tail_query(self, dialect: Dialect) -> str:
        """The first and the last on the axis that cuts a leaf of one part, and how many rows there are."""
        axis = tail_axis(dialect)
        ends = [f"min({axis})", f"max({axis})", "count()"]
        return select(ends, _TABLE, self.conditions(dialect), limit=1)

    def part_query(self, dialect: Dialect, limit: int) -> str:
        """The finer histogram: bars of distinct_id hashes (or seconds) of a leaf of one event."""
        axis = part_axis(dialect)
        low, high = self.part or WHOLE_PART
        if dialect.has_hashes or high < HASH_SPACE:
            step = max(1, (high - low) // _HISTOGRAM_BARS)
        else:
            # The end of the seconds is open, but at planning they all lay in one day.
            step = DAY // SECOND // _HISTOGRAM_BARS
        return select(
            [f"min({axis})", f"max({axis})", "count()"],
            _TABLE,
            self.conditions(dialect),
            group_by=f"intDiv({axis}, {step})",
            order_by=f"min({axis})",
            limit=limit,
        )


def part_axis(dialect: Dialect) -> str:
    """The expression whose ranges cut a leaf of one event."""
    if dialect.has_hashes:
        return "cityHash64(distinct_id)"
    # Not toUnixTimestamp, which fails a whole query for one row before 1970 or after 2106.
    return f"(dateDiff('second', toDateTime('1970-01-01T00:00:00Z'), timestamp) + {_SECONDS_BEFORE})"


def tail_axis(dialect: Dialect) -> str:
    """The expression whose ranges cut a leaf of one distinct_id (or second)."""
    if dialect.has_hashes:
        return "cityHash64(uuid)"
    return f"substring(toString(uuid), {37 - _UUID_TAIL_DIGITS}, {_UUID_TAIL_DIGITS})"


def histogram_query(leaf: Leaf, dialect: Dialect, limit: int, *, distinct: bool = False) -> str:
    """Rows (or distinct uuids) by day and event of a leaf: what leaves are planned from, and checked by."""
    day = dialect.day("timestamp")
    return select(
        [day, "event", "uniqExact(uuid)" if distinct else "count()"],
        _TABLE,
        leaf.conditions(dialect),
        group_by=f"{day}, event",
        order_by=f"{day}, event",
        limit=limit,
    )


def plan(window: Window, cells: Sequence[Cell], target: int, dialect: Dialect) -> Iterator[tuple[Window, list[Leaf]]]:
    """Cuts `window` into windows of whole days, and each of those into leaves of about `target` rows.

    The windows follow each other without a gap and together are exactly `window`, also where there are no events.
    """
    days = [(day, list(bars)) for day, bars in groupby(sorted(cells), key=lambda cell: cell.day)]
    groups: list[list[tuple[int, list[Cell]]]] = []
    room = 0
    for day, bars in days:
        rows = sum(bar.rows for bar in bars)
        if groups and rows <= room and _era(day) == _era(groups[-1][-1][0]):
            groups[-1].append((day, bars))
            room -= rows
        else:
            groups.append([(day, bars)])
            room = target - rows
    start = window.ts_from
    for index, group in enumerate(groups):
        end = window.ts_to if index == len(groups) - 1 else _end(group[-1][0], groups[index + 1][0][0])
        part = window._replace(ts_from=start, ts_to=end)
        yield (
            part,
            (
                [Leaf(part, expected=sum(bar.rows for _, bars in group for bar in bars))]
                if len(group) > 1
                else list(_cut_day(Leaf(part), group[0][1], target, dialect))
            ),
        )
        start = end
    if not groups:
        yield window, []


def cut_by_cells(leaf: Leaf, cells: Sequence[Cell], target: int, dialect: Dialect) -> list[Leaf]:
    """Cuts a leaf of several days or events along its histogram, into the ranges that `plan` would choose."""
    if leaf.event_from is not None or leaf.event_to is not None:
        # Names are cut only within a day.
        return list(_cut_day(leaf, cells, target, dialect))
    return [part for _, parts in plan(leaf.window, cells, target, dialect) for part in parts]


def _cut_day(leaf: Leaf, bars: Sequence[Cell], target: int, dialect: Dialect) -> Iterator[Leaf]:
    """Cuts a leaf that holds one day's events into ranges of event names; an event too large is cut by hash."""
    # A leaf planned for one day may have got rows of others since: a name still belongs into one piece.
    rows_of: Counter[str] = Counter()
    for bar in bars:
        rows_of[bar.event] += bar.rows
    groups: list[list[Cell]] = []
    for event, rows in sorted(rows_of.items(), key=lambda item: item[0].encode()):
        bar = Cell(bars[0].day, event, rows)
        if groups and sum(b.rows for b in groups[-1]) + bar.rows <= target:
            groups[-1].append(bar)
        else:
            groups.append([bar])
    for index, group in enumerate(groups):
        cut = replace(
            leaf,
            event_from=leaf.event_from if index == 0 else group[0].event,
            event_to=leaf.event_to if index == len(groups) - 1 else groups[index + 1][0].event,
            is_one_event=len(group) == 1,
            expected=sum(bar.rows for bar in group),
        )
        pieces = math.ceil(group[0].rows / target) if len(group) == 1 else 1
        yield from cut_evenly(cut, pieces, dialect)


def cut_evenly(leaf: Leaf, pieces: int, dialect: Dialect) -> list[Leaf]:
    """Cuts a leaf of one event into `pieces` equal ranges of its part axis (or of the uuid, within one part)."""
    if pieces <= 1:
        return [leaf]
    expected = None if leaf.expected is None else math.ceil(leaf.expected / pieces)
    if leaf.is_one_part:
        whole = leaf.tail or (0, HASH_SPACE if dialect.has_hashes else _UUID_TAIL_SPACE)
        return [replace(leaf, tail=cut, expected=expected) for cut in pairwise(even_edges(*whole, pieces))]
    low, high = leaf.part or WHOLE_PART
    if dialect.has_hashes:
        edges = even_edges(low, high, pieces)
    else:
        first, last = (_second(bound) for bound in (leaf.window.ts_from, leaf.window.ts_to + SECOND - 1))
        if leaf.part is not None:
            first, last = max(first, low), min(last, high)
        if first <= _second(MIN) or last >= _second(MAX):
            # Seconds need bounds to be cut evenly: the finer histogram will find better ones.
            return [leaf]
        inner = [edge for edge in even_edges(first, last, pieces) if max(low, first) < edge < min(high, last)]
        edges = [low, *inner, high]
    return [replace(leaf, part=cut, expected=expected) for cut in pairwise(edges)]


def cut_by_bars(leaf: Leaf, bars: Sequence[Bar], target: int, dialect: Dialect) -> list[Leaf]:
    """Cuts a leaf of one event along its finer histogram, so that each piece has about `target` rows or fewer.

    A bar that is too large by itself becomes a leaf of its own: of one part if `low` is `high`.
    """
    groups: list[list[Bar]] = []
    for bar in sorted(bars):
        if groups and sum(b.rows for b in groups[-1]) + bar.rows <= target:
            groups[-1].append(bar)
        else:
            groups.append([bar])
    start, end = leaf.part or WHOLE_PART
    leaves: list[Leaf] = []
    for index, group in enumerate(groups):
        rows = sum(bar.rows for bar in group)
        following = groups[index + 1][0].low if index + 1 < len(groups) else end
        if rows <= target:
            leaves.append(replace(leaf, part=(start, following), expected=rows))
            start = following
        else:
            leaves += _gap(leaf, start, group[0].low)
            leaves += _cut_bar(leaf, group[0], math.ceil(rows / target), dialect)
            start = group[0].high + 1
    return leaves + _gap(leaf, start, end)


def cut_in_two(leaf: Leaf, bars: Sequence[Bar], dialect: Dialect) -> list[Leaf]:
    """Cuts a leaf of one event that has few rows by its finer histogram, and is too large for one answer all the same.

    One leaf comes back only where nothing can part its rows.
    """
    if len(bars) > 1:
        return cut_by_bars(leaf, bars, max(1, sum(bar.rows for bar in bars) // 2), dialect)
    start, end = leaf.part or WHOLE_PART
    bar = bars[0]
    return [*_gap(leaf, start, bar.low), *_cut_bar(leaf, bar, 2, dialect), *_gap(leaf, bar.high + 1, end)]


def _cut_bar(leaf: Leaf, bar: Bar, pieces: int, dialect: Dialect) -> list[Leaf]:
    """What lies between the ends of `bar`, in `pieces`: a single part is cut by the uuid."""
    cut = replace(leaf, part=(bar.low, bar.high + 1), is_one_part=bar.low == bar.high, expected=bar.rows)
    return cut_evenly(cut, pieces, dialect)


def _second(micros: int) -> int:
    return micros // SECOND + _SECONDS_BEFORE


def _gap(leaf: Leaf, start: int, end: int) -> list[Leaf]:
    """The parts between, in which there were no rows at planning."""
    return [replace(leaf, part=(start, end), expected=0)] if start < end else []


def _era(day: int) -> int:
    """Days before 1970 and after 2149 are asked for in another way: see `Dialect.time_bounds`."""
    return -1 if day < 0 else int(day >= LAST_DAY)


def _end(day: int, following: int) -> int:
    """Where a window ends whose last day is `day`, if the next one's first is `following`."""
    match _era(day), _era(following):
        case (-1, 0):
            return 0
        case (-1, 1):
            return -1
        case (0, 1):
            return LAST_DAY
    return day + DAY


def _range(expression: str, bounds: tuple[int, int]) -> list[str]:
    low, high = bounds
    conditions = [f"{expression} >= {low}"] if low > 0 else []
    return [*conditions, f"{expression} < {high}"] if high < HASH_SPACE else conditions
