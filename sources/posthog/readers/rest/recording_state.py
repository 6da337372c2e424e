"""What is known of recordings from run to run: which spans of `start_time` were read, and which may still grow.

Kept in dlt's state: `covered`, spans as [from, to]; `since`, the oldest start wanted so far; `upto`, the server's time
of the last finished run; `swept`, that of the last sweep; `open`, ids that may still grow, with their start; `hours`
and `settled`, how many recordings were found, by hour of their start and for all hours before those; `marks`, what
PostHog said of each hour when it was read last (`recording_marks`). Times are microseconds UTC.

Which recordings grew since they were read, found by one HogQL query, whenever that was after their end.

PostHog's list of recordings tells nothing of when a recording changed, and asks for many requests to be read again. Its
table of replay events has what a recording is made of: when it began and ended, clicks, keys, seconds of activity. All
of these only grow. So the sums over the recordings that began in one hour of UTC say whether any of them did, and the
hours with another sum than at their last reading are listed again. Sums need no function that an older server lacks.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

from ...clock import DAY, HOUR, MAX, MIN, to_micros
from ...errors import AccessDenied, Narrow, NotFound, QueryRefused, TableMissing
from ...http.unsupported import refused_as
from ...pages.arrow import COUNT, INTEGER, Kind, cells
from ...planning.intervals import Region, Window
from ...settings import Settings
from ...sql.select import select
from ..run import Run

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


logger = logging.getLogger(__name__)

TABLE = "raw_session_replay_events"
_SLACK = 2 * DAY
"""How far before the span parts of recordings are read as well, in microseconds: else a recording that began before it
would seem to begin in it. All parts lie within a day (PostHog ends a session after 24 hours)."""
_FIGURES = (
    *("click_count", "keypress_count", "mouse_activity_count", "active_milliseconds"),
    *("console_log_count", "console_warn_count", "console_error_count"),
)


def recording_marks(run: Run, low: int, high: int) -> dict[int, str] | None:
    """A mark for each hour from `low` to `high` (microseconds UTC) in which recordings began, by its number since 1970.

    None where PostHog cannot be asked: the key may not query, the server has no such table, or the query is too much
    for it.
    """
    if run.settings.engine == "listing" or run.lacking.error(TABLE) is not None:
        return None
    try:
        return _marks(run, low, high)
    except (AccessDenied, NotFound, Narrow) as error:
        logger.info("Recordings that grew cannot be asked for: %s", error)
    except QueryRefused as refused:
        # A server that names these columns otherwise gives no marks, and is not asked again.
        logger.info("Recordings that grew cannot be asked for: %s", refused)
        run.lacking.add(TABLE, refused_as(TableMissing, refused))
    return None


def _marks(run: Run, low: int, high: int) -> dict[int, str]:
    dialect = run.dialect
    figures = " + ".join(f"sum({name})" for name in _FIGURES)
    began = "min(min_first_timestamp)"
    bounds = " AND ".join(dialect.time_bounds("min_first_timestamp", low - _SLACK, high + DAY))
    inner = (
        f"SELECT session_id, substring({dialect.time_text(began)}, 1, 13) AS hour, toUnixTimestamp({began}) AS began, "
        f"toUnixTimestamp(max(max_last_timestamp)) AS ended, {figures} AS figures FROM {TABLE} "
        f"WHERE {bounds} GROUP BY session_id"
    )
    marks: dict[int, str] = {}
    beyond = [f"hour >= '{_text(low)}'", f"hour <= '{_text(high)}'"]
    while True:
        sql = select(
            ["hour", "count()", "sum(began)", "sum(ended)", "sum(figures)"],
            f"({inner})",
            beyond,
            group_by="hour",
            order_by="hour",
            limit=dialect.max_rows,
        )
        read = partial(cells, kinds=_KINDS)
        name = "posthog-warehouse session_recordings"
        rows = run.client.query(sql, modifiers=dialect.modifiers, name=name, read=read)
        for hour, *sums in rows:
            marks[hour // HOUR] = " ".join(map(str, sums))
        if len(rows) < dialect.max_rows:
            return marks
        beyond[0] = f"hour > '{_text(rows[-1][0])}'"


def _text(micros: int) -> str:
    return datetime.fromtimestamp(micros // HOUR * 3600, timezone.utc).strftime("%Y-%m-%d %H")


def _hour(cell: Any) -> int:
    """Microseconds UTC of the start of an hour as text. Raises ValueError and TypeError for what is none."""
    if not isinstance(cell, str):
        raise TypeError
    return to_micros(datetime.strptime(cell, "%Y-%m-%d %H").replace(tzinfo=timezone.utc))


_KINDS = (Kind("an hour", _hour), COUNT, INTEGER, INTEGER, INTEGER)
