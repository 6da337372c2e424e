"""The ledger of events: which windows are covered, and which the next run has to ask for.

It lives in dlt's resource state, so it is committed with the rows and a fresh machine finds it at the destination.

Backfill windows take whole days of `timestamp` with all of `created_at` up to the start of the first sync. From then on
live windows take what came in since (`created_at`) for recent days, and once a day a sweep takes the same span of
`created_at` for the days before those. What arrives even later is found by the check.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .settings import Settings
from .windows import MAX, MIN, Region, Window, day_start


@dataclass(frozen=True)
class Plan:
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
    is_first: bool

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

    def plan(self, now: int, since: int | None, until: int | None, settings: Settings) -> Plan:
        """What a run at `now` (the server's clock) must ask for; `since` None: as far back as any run before."""
        is_first = "origin" not in self._state
        origin, last = int(self._state.get("origin", now)), int(self._state.get("last", now))
        oldest = int(self._state.get("since", MAX))
        since = since if since is not None else (MIN if is_first else oldest)
        until = MAX if until is None else until
        created_to = now if is_first else max(last, now - settings.safety_lag)
        sweeps = created_to - origin >= settings.sweep_every

        wanted = Region()
        for gap in self.covered.missing(Window(since, until, MIN, origin)):
            for part in self.covered.missing(gap._replace(created_from=MIN, created_to=created_to)):
                wanted.add(part)
        if not is_first:
            live_from = max(since, day_start(origin - settings.live_span))
            sweep_from = max(since, day_start(origin - settings.sweep_span))
            spans = [(live_from, until, last - settings.overlap)]
            if sweeps:
                spans.append((sweep_from, min(live_from, until), origin - settings.overlap))
            for ts_from, ts_to, again_from in spans:
                again = Window(ts_from, ts_to, again_from, last)
                for part in [*self.covered.missing(Window(ts_from, ts_to, origin, created_to)), again]:
                    if not part.is_empty:
                        wanted.add(part)
        return Plan(list(wanted), origin, min(since, oldest), created_to, sweeps, is_first)

    def cover(self, plan: Plan, windows: Iterable[Window]) -> None:
        """Notes that all rows of `windows` are in this load package."""
        self._state.update(origin=plan.origin, since=plan.since)
        self._state.setdefault("last", plan.created_to)
        for window in windows:
            self.covered.add(window)
        self._state["covered"] = self.covered.to_state()

    def finish(self, plan: Plan) -> None:
        """Notes that all windows of `plan` are covered."""
        self.cover(plan, [])
        if plan.sweeps:
            backfilled = [Window(MIN, MAX, MIN, plan.created_to)]
            for gap in self.covered.missing(Window(MIN, MAX, MIN, plan.origin)):
                column = gap._replace(created_from=MIN, created_to=MAX)
                backfilled = [part for span in backfilled for part in span.minus(column)]
            self.covered = Region(backfilled)
            self._state.update(origin=plan.created_to, covered=self.covered.to_state())
        self._state["last"] = max(int(self._state["last"]), plan.created_to)
