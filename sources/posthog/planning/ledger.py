"""The ledger of events: which windows are covered, and which the next run has to ask for.

It lives in dlt's resource state, so it is committed with the rows and a fresh machine finds it at the destination.

Backfill windows take whole days of `timestamp` with all of `created_at` up to the start of the first sync. From then on
live windows take what came in since (`created_at`) for recent days, and once a day a sweep takes the same span of
`created_at` for the days before those. What arrives even later is found by the check.

`uncounted` tells which events of a page were not counted by an earlier run: overlaps ask for some of them again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..clock import MAX, MIN, day_start
from ..settings import Settings
from .intervals import Region, Window


@dataclass(frozen=True)
class WindowPlan:
    """What one run has to ask for. Times are microseconds UTC."""

    windows: list[Window]
    origin: int
    """The ledger's origin, set by the first run."""
    since: int
    """The oldest `timestamp` that this run or an earlier one wants."""
    created_to: int
    """Everything asked for was created before this."""
    sweeps: bool
    """Whether the windows hold the daily sweep."""
    swept_from: int
    """The oldest `timestamp` that the sweep looks at: what comes later for older ones is found by the check."""
    is_first: bool
    is_trusted: bool = True
    """Whether the clock is known to be that by which PostHog stamps events. Else windows are covered, but it is not
    noted when runs ended and swept."""

    @property
    def ts_from(self) -> int:
        """The oldest `timestamp` asked for."""
        return min((window.ts_from for window in self.windows), default=MAX)

    @property
    def ts_to(self) -> int:
        """The end of the `timestamp`s asked for."""
        return max((window.ts_to for window in self.windows), default=MAX)


class Ledger:
    """Reads and writes the ledger in `state`, a dict that dlt saves.

    `covered`: the windows whose rows are loaded. `origin`: below this `created_at`, a span of `timestamp` counts as
    covered once it was backfilled. `last`: `created_at` up to which the last finished run asked. `since`: the oldest
    `timestamp` wanted so far.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state
        self.covered = Region.from_state(state.get("covered", []))

    def forget_after(self, until: int) -> None:
        """Takes back what is noted of `created_at` after `until` (microseconds UTC): a clock that was ahead noted it,
        and those rows are yet to come.

        May be done at any time: what is forgotten is asked for again.
        """
        if all(window.created_to <= until for window in self.covered) and self._state.get("last", until) <= until:
            return
        cut = Window(MIN, MAX, MIN, until)
        self.covered = Region(part for window in self.covered if not (part := window.intersect(cut)).is_empty)
        self._state["covered"] = self.covered.to_state()
        self._state.update(
            {name: min(int(self._state[name]), until) for name in ("origin", "last") if name in self._state}
        )

    def plan(
        self,
        now: int,
        since: int | None,
        until: int | None,
        settings: Settings,
        *,
        is_trusted: bool = True,
    ) -> WindowPlan:
        """What a run at `now` (the server's clock) must ask for; `since` None: as far back as any run before.

        A `since` later than that of an earlier run puts off what is left of the backfill, and nothing else: what was
        wanted once is kept up to date.
        """
        is_first = "origin" not in self._state
        origin, last = int(self._state.get("origin", now)), int(self._state.get("last", now))
        oldest = int(self._state.get("since", MAX))
        since = since if since is not None else (MIN if "since" not in self._state else oldest)
        wanted_since = min(since, oldest)
        until = MAX if until is None else until
        created_to = now if is_first else max(last, now - settings.safety_lag)
        # A run each day at about the same time sweeps each time: what is left to the next run does not count, nor do
        # some minutes that it began earlier than the day before.
        slack = settings.safety_lag + min(settings.overlap, settings.sweep_every // 10)
        sweeps = not is_first and created_to - origin >= settings.sweep_every - slack
        # The overlap reaches below the origin, so the spans of timestamp that belong to it do too.
        live_from, sweep_from = (
            day_start(origin - settings.overlap - span) for span in (settings.live_span, settings.sweep_span)
        )

        wanted = Region()
        for gap in self.covered.missing(Window(since, until, MIN, origin)):
            for part in self.covered.missing(gap._replace(created_from=MIN, created_to=created_to)):
                wanted.add(_with_overlap(part, settings))
        if not is_first:
            spans = [(max(wanted_since, live_from), until, last - settings.overlap)]
            if sweeps:
                spans.append((max(wanted_since, sweep_from), min(live_from, until), origin - settings.overlap))
            for ts_from, ts_to, again_from in spans:
                for part in self.covered.missing(Window(ts_from, ts_to, origin, created_to)):
                    wanted.add(_with_overlap(part, settings))
                wanted.add(Window(ts_from, ts_to, again_from, last))
        return WindowPlan(list(wanted), origin, wanted_since, created_to, sweeps, sweep_from, is_first, is_trusted)

    def cover(self, plan: WindowPlan, windows: Iterable[Window]) -> None:
        """Notes that all rows of `windows` are in this load package."""
        self._state.update(since=plan.since)
        if plan.is_trusted or not plan.is_first:
            self._state["origin"] = plan.origin
            self._state.setdefault("last", plan.created_to)
        for window in windows:
            self.covered.add(window)
        self._state["covered"] = self.covered.to_state()

    def finish(self, plan: WindowPlan) -> None:
        """Notes that all windows of `plan` are covered."""
        self.cover(plan, [])
        if not plan.is_trusted:
            return
        if plan.sweeps:
            # Before the sweep's span a timestamp that was backfilled counts as covered from now on. What this run or
            # an earlier one left out (`until`, a backfill put off) stays missing, to be asked for when it is wanted.
            forgotten = [Window(MIN, plan.swept_from, plan.origin, plan.created_to)]
            for gap in self.covered.missing(Window(MIN, plan.swept_from, MIN, plan.origin)):
                column = gap._replace(created_from=MIN, created_to=MAX)
                forgotten = [part for span in forgotten for part in span.minus(column)]
            for span in forgotten:
                self.covered.add(span)
            self.covered = _as_few_windows(self.covered)
            self._state.update(origin=plan.created_to, covered=self.covered.to_state())
        self._state["last"] = max(int(self._state["last"]), plan.created_to)


def note_covered(plan: WindowPlan, windows: Iterable[Window], state: dict[str, Any]) -> None:
    """Notes in the ledger in `state` that all rows of `windows` are in this load package."""
    Ledger(state).cover(plan, windows)


def note_finished(plan: WindowPlan, state: dict[str, Any]) -> None:
    """Notes there that all windows of `plan` are covered."""
    Ledger(state).finish(plan)


def _with_overlap(part: Window, settings: Settings) -> Window:
    """What comes after something covered is asked for from a bit before: rows may have become visible since."""
    return part if part.created_from <= MIN else part._replace(created_from=part.created_from - settings.overlap)


def _as_few_windows(region: Region) -> Region:
    """The same region, cut as its gaps are: few where those are few."""
    whole = Window(MIN, MAX, MIN, MAX)
    spans = [whole]
    for gap in region.missing(whole):
        spans = [part for span in spans for part in span.minus(gap)]
    return Region(spans)


def uncounted(covered: Region, asked: Sequence[Window]) -> Callable[[pa.Table], np.ndarray | None]:
    """A function that tells which rows of a page of events are to be counted (a mask; None: all).

    Rows in windows that are `covered` already are not: they were counted when those were. Of rows that PostHog shows
    more than once until it has merged them, which come on one page, the first is. `asked`: the windows of the pages.
    """
    again = [part for held in covered for part in map(held.intersect, asked) if not part.is_empty]

    def counted(page: pa.Table) -> np.ndarray | None:
        has_copies = pc.count_distinct(page.column("uuid")).as_py() < len(page)
        if not again and not has_copies:
            return None
        is_new = _first_ones(page.column("uuid")) if has_copies else np.ones(len(page), bool)
        at, created = _micros(page, "timestamp"), _micros(page, "created_at")
        for part in again:
            is_within = (at >= part.ts_from) & (at < part.ts_to)
            is_new &= ~(is_within & (created >= part.created_from) & (created < part.created_to))
        return is_new

    return counted


def _first_ones(keys: pa.ChunkedArray) -> np.ndarray:
    codes = keys.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    is_first = np.zeros(len(codes), bool)
    is_first[np.unique(codes, return_index=True)[1]] = True
    return is_first


def _micros(page: pa.Table, column: str) -> np.ndarray:
    """Microseconds since 1970, UTC; what is missing lies before all windows."""
    micros: np.ndarray = pc.fill_null(page.column(column).cast(pa.int64()), MIN - 1).to_numpy()
    return micros
