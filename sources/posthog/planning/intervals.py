"""Windows of events, and the region of them that is already in the warehouse.

A window is a rectangle of `timestamp` x `created_at`, half-open on both sides. Every event lies at exactly one
point of that plane, so a set of disjoint rectangles says precisely which events were asked for and which were not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from ..clock import LAST_DAY, MAX, MIN, to_text


class Window(NamedTuple):
    """Events with `ts_from <= timestamp < ts_to` and `created_from <= created_at < created_to`."""

    ts_from: int
    ts_to: int
    created_from: int
    created_to: int

    @property
    def is_empty(self) -> bool:
        """Whether no event can lie in it."""
        return self.ts_from >= self.ts_to or self.created_from >= self.created_to

    def intersect(self, other: Window) -> Window:
        """What both cover (perhaps empty)."""
        return Window(
            max(self.ts_from, other.ts_from),
            min(self.ts_to, other.ts_to),
            max(self.created_from, other.created_from),
            min(self.created_to, other.created_to),
        )

    def minus(self, other: Window) -> Iterator[Window]:
        """The parts of this window outside `other`: at most four disjoint windows."""
        both = self.intersect(other)
        if both.is_empty:
            if not self.is_empty:
                yield self
            return
        if self.ts_from < both.ts_from:
            yield self._replace(ts_to=both.ts_from)
        if both.ts_to < self.ts_to:
            yield self._replace(ts_from=both.ts_to)
        middle = self._replace(ts_from=both.ts_from, ts_to=both.ts_to)
        if self.created_from < both.created_from:
            yield middle._replace(created_to=both.created_from)
        if both.created_to < self.created_to:
            yield middle._replace(created_from=both.created_to)

    def __str__(self) -> str:
        return (
            f"timestamp [{to_text(self.ts_from)}, {to_text(self.ts_to)}) x "
            f"created_at [{to_text(self.created_from)}, {to_text(self.created_to)})"
        )


def eras(window: Window) -> list[Window]:
    """`window` cut into what has to be asked for in different ways, oldest first; one without bounds in time as it is.

    Before 1970 and from `LAST_DAY` on the first part of the order in which ClickHouse keeps events, a Date, wraps
    around: see `Dialect.time_bounds`.
    """
    if window.ts_from <= MIN and window.ts_to >= MAX:
        return [window]
    edges = [window.ts_from, *(edge for edge in (0, LAST_DAY) if window.ts_from < edge < window.ts_to), window.ts_to]
    return [window._replace(ts_from=start, ts_to=end) for start, end in pairwise(edges)]


def middle_of(low: int, high: int, least: int = 1) -> int | None:
    """Where to cut a range in two: the multiple of `least` in its middle; None where there is none inside.

    Who notes whole days, or seconds, must not find half of one in each of two ranges.
    """
    middle = ((low + high) // 2 + least // 2) // least * least
    return middle if high - low > least and low < middle < high else None


def even_edges(low: int, high: int, pieces: int, least: int = 1) -> list[int]:
    """The bounds of about `pieces` even parts of a range: its own, and multiples of `least` between them."""
    inner = (low + (high - low) * place // pieces // least * least for place in range(1, pieces))
    return sorted({low, high, *(edge for edge in inner if low < edge < high)})


class Region:
    """A set of disjoint windows, kept small by joining neighbours. Saved in dlt state as lists of integers."""

    def __init__(self, windows: Iterable[Window] = ()) -> None:
        self._windows: list[Window] = []
        for window in windows:
            self.add(window)

    @classmethod
    def from_state(cls, saved: Iterable[Iterable[int]]) -> Region:
        """The region that `to_state` wrote."""
        return cls(Window(*map(int, bounds)) for bounds in saved)

    def to_state(self) -> list[list[int]]:
        """What goes into dlt state: `[ts_from, ts_to, created_from, created_to]` for each window, sorted."""
        return [list(window) for window in sorted(self._windows)]

    def add(self, window: Window) -> None:
        """Adds `window`; parts already there are not kept twice."""
        for part in self.missing(window):
            self._windows.append(part)
        self._join()

    def missing(self, window: Window) -> list[Window]:
        """The parts of `window` that are not in this region, oldest `timestamp` first."""
        parts = [] if window.is_empty else [window]
        for held in self._windows:
            parts = [rest for part in parts for rest in part.minus(held)]
        return sorted(parts)

    def covers(self, window: Window) -> bool:
        """Whether all of `window` is in this region."""
        return not self.missing(window)

    def _join(self) -> None:
        """Joins windows that share a whole side, until none do."""
        for along_ts in (True, False, True):
            joined: list[Window] = []
            for window in sorted(self._windows, key=lambda w: _join_key(w, along_ts=along_ts)):
                last = joined[-1] if joined else None
                if last is not None and along_ts and last[2:] == window[2:] and last.ts_to == window.ts_from:
                    joined[-1] = last._replace(ts_to=window.ts_to)
                elif (
                    last is not None
                    and not along_ts
                    and last[:2] == window[:2]
                    and last.created_to == window.created_from
                ):
                    joined[-1] = last._replace(created_to=window.created_to)
                else:
                    joined.append(window)
            self._windows = joined

    def __iter__(self) -> Iterator[Window]:
        return iter(sorted(self._windows))

    def __len__(self) -> int:
        return len(self._windows)

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same events, however they are cut."""
        if not isinstance(other, Region):
            return NotImplemented
        return all(other.covers(w) for w in self) and all(self.covers(w) for w in other)

    __hash__ = None  # type: ignore[assignment]  # mutable, so not a key

    def __repr__(self) -> str:
        return f"Region({self._windows!r})"


def _join_key(window: Window, *, along_ts: bool) -> tuple[Any, ...]:
    return (window[2:], window.ts_from) if along_ts else (window[:2], window.created_from)
