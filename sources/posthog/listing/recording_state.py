"""What is known of recordings from run to run: which spans of `start_time` were read, and which may still grow.

Kept in dlt's state: `covered`, spans as [from, to]; `since`, the oldest start wanted so far; `upto`, the server's time
of the last finished run; `swept`, that of the last sweep; `open`, ids that may still grow, with their start; `hours`
and `settled`, how many recordings were found, by hour of their start and for all hours before those; `marks`, what
PostHog said of each hour when it was read last (`recording_marks`). Times are microseconds UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sources.posthog.hogql.windows import DAY, HOUR, MAX, MIN, Region, Window
from sources.posthog.settings import Settings

State = dict[str, Any]

LONGEST_KEPT = 5 * 366 * DAY
"""PostHog keeps no recording longer (30 days to 5 years by plan, autumn 2026)."""

_SETTLED_AFTER = 2 * DAY


@dataclass(frozen=True)
class Span:
    """Recordings that started from `low` to `high`, half-open. `is_again`: hours of it were read before."""

    low: int
    high: int
    is_again: bool = False


@dataclass(frozen=True)
class Reading:
    """What one span held: starts of all its recordings, and those that may still grow (id and start)."""

    span: Span
    starts: list[int]
    unfinished: Mapping[str, int]


@dataclass(frozen=True)
class RecordingPlan:
    """What one run asks for: spans, the newest first."""

    spans: list[Span]
    now: int
    since: int
    sweeps: bool
    horizon: int
    """Hours before this are not read again by any later run."""


def plan(state: State, now: int, since: int | None, until: int | None, settings: Settings) -> RecordingPlan:
    """What a run at `now` has to ask for; `since` None: as far back as any run before, at first all that is kept."""
    is_first = "upto" not in state and not state.get("covered")
    wanted = since if since is not None else (MIN if is_first else MAX)
    oldest = min(wanted, int(state.get("since", MAX)))
    # A `since` later than that of an earlier run puts off what is left, and nothing else.
    low = max(oldest if since is None else since, now - LONGEST_KEPT)
    high = now if until is None else min(until, now)
    swept = int(state.get("swept", now))
    sweeps = not is_first and now - swept >= settings.sweep_every - settings.sweep_every // 10
    back = settings.live_span if sweeps else settings.overlap
    covered = _region(state)
    ends = {window.ts_to: window.ts_from for window in covered}
    edge = max(ends, default=MIN)
    spans = []
    for gap in covered.missing(Window(low, max(low, high), MIN, MAX)):
        if gap.ts_from in ends:
            # Hours are counted whole, so what is read again begins with an hour, or where reading ever began.
            again = (gap.ts_from - (back if gap.ts_from == edge else settings.overlap)) // HOUR * HOUR
            spans.append(Span(max(ends[gap.ts_from], again), gap.ts_to, is_again=True))
        else:
            spans.append(Span(gap.ts_from, gap.ts_to))
    spans.sort(key=lambda span: -span.high)
    # Recordings that grow are looked for as far back as late events are.
    return RecordingPlan(spans, now, oldest, sweeps, max(edge, high) - settings.sweep_span - _SETTLED_AFTER)


def grown(state: State, plan: RecordingPlan, marks: Mapping[int, str]) -> list[Span]:
    """Spans of the hours that were read before, that `plan` does not read anyway, and whose mark has changed since.

    `marks` are those of now. Neighbours are one span; the newest come first.
    """
    then = {int(hour): str(mark) for hour, mark in state.get("marks", {}).items()}
    covered = _region(state)
    spans: list[Span] = []
    for hour in sorted((hour for hour, mark in marks.items() if then.get(hour) != mark), reverse=True):
        low, high = hour * HOUR, (hour + 1) * HOUR
        is_known = covered.covers(Window(low, high, MIN, MAX)) and hour * HOUR > plan.horizon
        if not is_known or any(span.low < high and low < span.high for span in plan.spans):
            continue
        last = spans[-1] if spans else None
        if last is not None and last.low == high and last.high - low <= DAY:
            spans[-1] = Span(low, last.high, is_again=True)
        else:
            spans.append(Span(low, high, is_again=True))
    return spans


def forget_after(state: State, until: int) -> None:
    """Takes back what is noted of times after `until` (microseconds UTC): a clock that was ahead noted it.

    What is forgotten is read again.
    """
    spans = [(low, min(high, until)) for low, high in state.get("covered", []) if low < until]
    if spans != [(low, high) for low, high in state.get("covered", [])]:
        kept = {hour: count for hour, count in state.get("hours", {}).items() if int(hour) * HOUR < until}
        state.update(covered=[list(span) for span in spans], hours=kept)
    state.update({name: min(int(state[name]), until) for name in ("upto", "swept") if name in state})


def note_reading(reading: Reading, plan: RecordingPlan, state: State) -> None:
    """Writes into `state` what a span held."""
    span = reading.span
    covered = _region(state)
    covered.add(Window(span.low, span.high, MIN, MAX))
    hours = _hours(state)
    if span.is_again:
        for hour in [hour for hour in hours if hour * HOUR < span.high and (hour + 1) * HOUR > span.low]:
            del hours[hour]
    found = Counter(start // HOUR for start in reading.starts)
    if not span.is_again:
        _settle(found, plan.horizon, state)
    hours.update(found)
    still = {name: start for name, start in state.get("open", {}).items() if not span.low <= int(start) < span.high}
    state.update(
        covered=[[window.ts_from, window.ts_to] for window in covered],
        hours={str(hour): count for hour, count in sorted(hours.items())},
        open={**still, **reading.unfinished},
        since=min(plan.since, int(state.get("since", MAX))),
    )


def unread(state: State, marks: Mapping[int, str]) -> dict[int, str]:
    """Those of `marks` whose hours were not read yet."""
    covered = _region(state)
    return {
        hour: mark
        for hour, mark in marks.items()
        if not covered.covers(Window(hour * HOUR, (hour + 1) * HOUR, MIN, MAX))
    }


def note_marks(marks: Mapping[int, str], low: int, state: State) -> None:
    """Writes into `state` the marks of all hours from `low` (microseconds UTC) on; those of older hours stay."""
    kept = {hour: mark for hour, mark in state.get("marks", {}).items() if int(hour) * HOUR < low}
    kept |= {str(hour): mark for hour, mark in marks.items()}
    state["marks"] = {hour: kept[hour] for hour in sorted(kept, key=int)}


def note_again(asked: Iterable[str], unfinished: Mapping[str, int], state: State) -> None:
    """Writes into `state` which of the recordings `asked` for by their ids may still grow."""
    gone = set(asked)
    still = {name: start for name, start in state.get("open", {}).items() if name not in gone}
    state["open"] = {**still, **unfinished}


def note_finished(plan: RecordingPlan, state: State) -> None:
    """Writes into `state` that all of `plan` was read."""
    state["since"] = min(plan.since, int(state.get("since", MAX)))
    state["upto"] = plan.now
    hours = _hours(state)
    _settle(hours, plan.horizon, state)
    state["hours"] = {str(hour): count for hour, count in sorted(hours.items())}
    if "marks" in state:
        state["marks"] = {hour: mark for hour, mark in state["marks"].items() if int(hour) * HOUR > plan.horizon}
    if plan.sweeps or "swept" not in state:
        state["swept"] = plan.now


def known(state: State) -> int:
    """How many recordings PostHog held, in all spans that were read, when each was read last."""
    return int(state.get("settled", 0)) + sum(int(count) for count in state.get("hours", {}).values())


def _hours(state: State) -> Counter[int]:
    return Counter({int(hour): int(count) for hour, count in state.get("hours", {}).items()})


def _settle(hours: Counter[int], horizon: int, state: State) -> None:
    """Moves the counts of hours that no later run reads again into one number."""
    gone = [hour for hour in hours if (hour + 1) * HOUR <= horizon]
    state["settled"] = int(state.get("settled", 0)) + sum(hours.pop(hour) for hour in gone)


def _region(state: State) -> Region:
    return Region(Window(int(low), int(high), MIN, MAX) for low, high in state.get("covered", []))
