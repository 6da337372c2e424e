"""Which times of events a run of the `listing` engine has to ask for, and which are done.

The list of events has no `created_at`, so what is new cannot be asked for: a run reads what was never read, and reads
again the days in which events still arrive. It notes both in an entry of its own in dlt's state, beside the ledger of
the `hogql` engine, and takes over from that ledger what it covers, so that either engine goes on where the other was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..clock import DAY, MAX, MIN, day_start
from ..settings import Settings
from .intervals import Region, Window

EARLIEST = 0
"""1970: ClickHouse finds nothing before it by this list."""
AHEAD = 300 * DAY
"""So far into the future events are looked for: PostHog sets the time of one more than a day ahead to now."""

_STATE = "listing"


@dataclass(frozen=True)
class SpanPlan:
    """What one run has to read: spans of `timestamp`, half-open, microseconds UTC, disjoint, none before `EARLIEST`."""

    unread: list[tuple[int, int]]
    """Never read before."""
    again: list[tuple[int, int]]
    """Read before; events have arrived since, perhaps."""
    now: int
    is_current: bool
    """Whether it reaches to the present: `until` lies not before it."""
    sweeps: bool
    since: int

    @property
    def spans(self) -> list[tuple[int, int]]:
        """All of them."""
        return [*self.unread, *self.again]


class EventWindows:
    """Reads and writes the entry `listing` in `state`, the dict that dlt saves for the table.

    `covered`: spans of `timestamp` that were read. `last`: when the last finished run began, or the first one as long
    as none has finished. `swept`: when the last run began that swept. `since`: the oldest `timestamp` wanted so far.
    """

    def __init__(self, state: dict[str, Any], settings: Settings) -> None:
        self._all = state
        self._settings = settings
        self._mine: dict[str, Any] = dict(state.get(_STATE) or {})
        self.covered = Region(Window(start, end, MIN, MAX) for start, end in self._mine.get("covered", []))
        self._take_over()

    def plan(self, now: int, since: int | None, until: int | None, known_until: int = MAX) -> SpanPlan:
        """What a run at `now` must read; `since` None: as far back as any run before.

        A run that is noted as later than `known_until` or `now` went by a clock that was ahead, and counts as one of
        then.
        """
        settings = self._settings
        is_first = "last" not in self._mine
        last, swept = (min(int(self._mine.get(name, now)), now, known_until) for name in ("last", "swept"))
        oldest = int(self._mine.get("since", MAX))
        since = since if since is not None else (MIN if is_first else oldest)
        wanted = min(since, oldest)
        start, end = max(EARLIEST, since), now + AHEAD if until is None else until
        unread = [window[:2] for window in self.covered.missing(Window(start, end, MIN, MAX))]
        slack = settings.safety_lag + min(settings.overlap, settings.sweep_every // 10)
        sweeps = not is_first and now - swept >= settings.sweep_every - slack
        again: list[tuple[int, int]] = []
        if not is_first:
            # What arrived since `last` has a time of at most so much before: later comers are the sweep's.
            again_from = day_start(last - settings.overlap - settings.live_span)
            if sweeps:
                again_from = min(again_from, day_start(swept - settings.overlap - settings.sweep_span))
            known = Region(Window(*span, MIN, MAX) for span in unread)
            again = [w[:2] for w in known.missing(Window(max(EARLIEST, wanted, again_from), end, MIN, MAX))]
        return SpanPlan(unread, again, now, until is None or until >= now, sweeps, wanted)

    def cover(self, plan: SpanPlan, spans: Iterable[tuple[int, int]]) -> None:
        """Notes that all events of `spans` are in this load package."""
        for start, end in spans:
            self.covered.add(Window(start, end, MIN, MAX))
        self._mine.setdefault("last", plan.now)
        self._mine.setdefault("swept", plan.now)
        self._mine.update(since=plan.since, covered=[list(window[:2]) for window in self.covered])
        self._all[_STATE] = self._mine

    def finish(self, plan: SpanPlan) -> None:
        """Notes that all of `plan` is read."""
        self.cover(plan, [])
        if not plan.is_current:
            return  # what has arrived behind `until` is still to be looked for
        self._mine["last"] = plan.now
        if plan.sweeps:
            self._mine["swept"] = plan.now

    @property
    def has_ledger(self) -> bool:
        """Whether the `hogql` engine has loaded this table."""
        return "origin" in self._all

    def _take_over(self) -> None:
        """What the hogql engine's ledger covers is covered here too, late events aside; see `Ledger`."""
        if not self.has_ledger:
            return
        origin, last = int(self._all["origin"]), int(self._all.get("last", self._all["origin"]))
        ledger = Region.from_state(self._all.get("covered", []))
        live_from = day_start(origin - self._settings.overlap - self._settings.live_span)
        wanted = (Window(MIN, MAX, MIN, origin), Window(live_from, MAX, MIN, last))
        gaps = Region(Window(gap.ts_from, gap.ts_to, MIN, MAX) for window in wanted for gap in ledger.missing(window))
        for span in gaps.missing(Window(MIN, MAX, MIN, MAX)):
            self.covered.add(span)
        for name, value, choose in (("last", last, max), ("swept", origin, max), ("since", self._all["since"], min)):
            self._mine[name] = choose(int(self._mine.get(name, value)), int(value))

    def give_back(self, start: int, end: int) -> None:
        """Lets the hogql engine read this span anew: rows of it were replaced by ones without `created_at`."""
        if self.has_ledger:
            without = Window(start, end, MIN, MAX)
            kept = Region(part for window in Region.from_state(self._all["covered"]) for part in window.minus(without))
            self._all["covered"] = kept.to_state()


def forget_listed(state: dict[str, Any], start: int, end: int) -> None:
    """Makes this span of `timestamp` one that was never read by list."""
    if mine := state.get(_STATE):
        covered = Region(Window(low, high, MIN, MAX) for low, high in mine.get("covered", []))
        without = Window(start, end, MIN, MAX)
        kept = Region(part for window in covered for part in window.minus(without))
        state[_STATE] = {**mine, "covered": [list(window[:2]) for window in kept]}
