"""Session recordings: new ones by when they started, those that go on again until they have ended, and those that grew
later still where PostHog can be asked for them (`recording_marks`).

The list is asked for in windows of `start_time`, the newest first, with both bounds: without them PostHog answers the
last days only. Windows grow while there is little in them and shrink where there is much. Pages by offset shift when
rows come or go meanwhile, so a window that needs several of those is cut in two instead.

The list of recordings, page by page: by cursor, by `next` or by offset, whichever the server answers with.

Three shapes are known (PostHog's code of autumn 2026, its documentation, a server of December 2023):
`{results, has_next, next_cursor}`, `{count, next, previous, results}` and `{results, has_next}`. Whether there is more
is read from these words, never from the number of rows.
"""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import pyarrow as pa

from ...clock import DAY, HOUR, SECOND, to_datetime
from ...errors import ListUnreadable, Narrow
from ...http.client import PostHogClient
from ...http.json_values import shown
from ...pages.arrow import MISFITS, times
from ...planning.intervals import even_edges
from ..base import Noted, State, TableReading
from ..run import Run
from .recording_state import (
    LONGEST_KEPT,
    Reading,
    RecordingPlan,
    Span,
    forget_after,
    grown,
    known,
    note_again,
    note_finished,
    note_marks,
    note_reading,
    plan,
    recording_marks,
    unread,
)
from .rows import Shape

PATH = "session_recordings"

PAGE_ROWS = 500
"""Recordings asked for at once: PostHog allows few requests for this list (12 a minute for free, autumn 2026)."""

_PAGES_WITHOUT_NEWS = 20
_IDS_A_REQUEST = 50


@dataclass(frozen=True)
class RecordingPage:
    """Rows that no page before had, and whether offsets lead to the next page: rows may move between such pages."""

    rows: list[dict[str, Any]]
    has_next: bool
    is_by_offset: bool
    count: int | None = None


def bounds(low: int, high: int) -> dict[str, str]:
    """Both bounds on `start_time` (microseconds UTC), to the second, so wide that they hold `low` to `high`."""
    return {"date_from": _time(low // SECOND), "date_to": _time(-(-high // SECOND))}


def recording_pages(
    client: PostHogClient, params: Mapping[str, Any], limit: int = PAGE_ROWS
) -> Iterator[RecordingPage]:
    """All pages of the list with these parameters, newest recordings first.

    Raises ListUnreadable for what is no list, and where the way to the next page leads in circles.
    """
    asked: set[str] = set()
    seen: set[str] = set()
    offset = without_news = 0
    first = {**params, "limit": limit}
    answer = client.get(PATH, first, exact=True)
    while True:
        rows = _rows(answer)
        new = {str(row["id"]): row for row in rows if str(row["id"]) not in seen}
        seen |= new.keys()
        without_news = 0 if new else without_news + 1
        cursor, address = answer.get("next_cursor"), answer.get("next")
        more = bool(cursor or address or answer.get("has_next"))
        count = answer.get("count")
        yield RecordingPage(list(new.values()), more, not cursor, count if isinstance(count, int) else None)
        if not more:
            return
        # A page may be short; only an empty one does not say how far it went.
        offset += len(rows) or limit
        following = str(cursor or address or f"offset {offset}")
        if following in asked or without_news >= _PAGES_WITHOUT_NEWS:
            raise ListUnreadable(
                f"The list of recordings leads in circles: after {len(seen):,} the next page brings nothing new",
                path=PATH,
            )
        asked.add(following)
        if cursor:
            answer = client.get(PATH, {**first, "after": cursor}, exact=True)
        elif address:
            answer = client.get_url(str(address), exact=True)
        else:
            answer = client.get(PATH, {**first, "offset": offset}, exact=True)


def recordings_by_id(client: PostHogClient, ids: Sequence[str], low: int, high: int) -> Iterator[list[dict[str, Any]]]:
    """The recordings of these ids that PostHog still has and that started between `low` and `high`."""
    for start in range(0, len(ids), _IDS_A_REQUEST):
        some = list(ids[start : start + _IDS_A_REQUEST])
        params = {**bounds(low, high), "session_ids": json.dumps(some)}
        for page in recording_pages(client, params, limit=len(some)):
            yield page.rows


def _rows(answer: Any) -> list[dict[str, Any]]:
    rows = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ListUnreadable(f"PostHog's answer is no list of recordings: {shown(answer)}", path=PATH)
    if odd := [row for row in rows if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not row["id"]]:
        raise ListUnreadable(f"PostHog's answer is no list of recordings: one is {shown(odd[0])}", path=PATH)
    return rows


def _time(second: int) -> str:
    return to_datetime(second * SECOND).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


logger = logging.getLogger(__name__)

Row = dict[str, Any]

_FIRST_WIDTH = DAY
_MOST_CHANGE = 16
_NARROWEST = HOUR
"""A window no longer than that is read by offset, however many pages it has: cutting it further costs more."""
_SHORTEST = 60 * SECOND
_PASSES = 3


class RecordingReader:
    """Reads spans of the list."""

    def __init__(self, run: Run, now: int, limit: int = PAGE_ROWS) -> None:
        self._run = run
        self._limit = limit
        self._unfinished_after = now - run.settings.overlap
        self.counts: dict[Span, int] = {}
        """How many recordings each window held that was read so far."""

    def windows(self, span: Span) -> Iterator[tuple[Span, list[Row]]]:
        """Parts of a span, the newest first, each with all of its recordings."""
        high, width = span.high, min(_FIRST_WIDTH, max(HOUR, span.high - span.low))
        while high > span.low:
            low = max(span.low, (high - width) // HOUR * HOUR)
            rows = self.rows(low, high)
            part = Span(low, high, span.is_again)
            self.counts[part] = len(rows)
            yield part, rows
            # As wide as would nearly fill a page, if the rest is like this part.
            wanted = width * self._limit * 3 // (4 * max(1, len(rows)))
            width = min(max(wanted, width // _MOST_CHANGE, _NARROWEST), width * _MOST_CHANGE, LONGEST_KEPT)
            high = low

    def rows(self, low: int, high: int) -> list[Row]:
        """All recordings that started from `low` to `high`, each once."""
        found: dict[str, Row] = {}
        try:
            for page in recording_pages(self._run.client, bounds(low, high), self._limit):
                found.update((str(row["id"]), row) for row in page.rows)
                if page.has_next and page.is_by_offset:
                    return self._by_offset(low, high, page.count)
        except Narrow as fault:
            if high - low <= _SHORTEST:
                raise
            logger.info("Halving a window of recordings: %s", fault.message)
            return self._cut(low, high, 2)
        return _between(found, low, high)

    def unfinished(self, rows: list[Row]) -> dict[str, int]:
        """Of these, those to which more may come: ids and starts."""
        starts, ends = _micros(rows, "start_time"), _micros(rows, "end_time")
        return {
            str(row["id"]): start
            for row, start, end in zip(rows, starts, ends, strict=True)
            if start is not None and (row.get("ongoing") or (end is not None and end > self._unfinished_after))
        }

    def _by_offset(self, low: int, high: int, count: int | None) -> list[Row]:
        if high - low > _NARROWEST:
            return self._cut(low, high, max(2, -(-(count or 0) * 3 // (self._limit * 2))))
        found: dict[str, Row] = {}
        for _ in range(_PASSES):
            before = len(found)
            for page in recording_pages(self._run.client, bounds(low, high), self._limit):
                found.update((str(row["id"]), row) for row in page.rows)
            if before == len(found):
                break
        return _between(found, low, high)

    def _cut(self, low: int, high: int, pieces: int) -> list[Row]:
        found: dict[str, Row] = {}
        for start, end in pairwise(even_edges(low, high, pieces, SECOND)):
            found.update((str(row["id"]), row) for row in self.rows(start, end))
        return list(found.values())


def read_recordings(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The engine: recordings that started since, and those that had not ended when they were read last."""
    # The state is another object in each load package; this one goes along with all of them.
    reading.evidence.doubt = run.clock.doubt
    forget_after(state, min(run.clock.now, reading.given.known_until))
    mirror = copy.deepcopy(state)
    planned = plan(mirror, run.clock.now, run.since, run.until, run.settings)
    marks, marks_from = _marks(run, planned, mirror)
    if marks is None:
        reading.notes.append(
            "PostHog cannot be asked which recordings grew after their end: those of the last "
            f"{run.settings.live_span // DAY} days are listed again once a day, and older ones stay as they were"
        )
    else:
        planned = replace(planned, spans=[*planned.spans, *grown(mirror, planned, marks)])
    reader = RecordingReader(run, planned.now)
    shape = Shape(reading.table, dict(state.get("types", {})))

    def page(rows: list[Row], note: Callable[[State], None]) -> Noted:
        def noted(state: State) -> None:
            note(state)
            if shape.types:
                state["types"] = shape.types

        note(mirror)
        shaped = [shape.row(row, {}) for row in rows]
        reading.answered.columns = shape.more_columns
        run.progress.fetched(reading.table.name, len(rows))
        return shaped, noted

    if marks is not None:
        # Hours that are yet to be read: a run that is stopped need not begin with them again.
        yield page([], partial(note_marks, unread(mirror, marks), planned.now))
    for rows, note in _again(run, reader, planned, mirror):
        yield page(rows, note)
    for span in planned.spans:
        for part, rows in reader.windows(span):
            run.progress.expect(reading.table.name, len(rows))
            starts = [start for start in _micros(rows, "start_time") if start is not None]
            result = Reading(part, starts, reader.unfinished(rows))
            yield page(rows, partial(note_reading, result, planned))
    reading.evidence.held = known(mirror)
    reading.evidence.recount = partial(_recount, reader, reading.evidence.held)
    reading.notes += shape.notes
    if marks is not None:
        # Asked for before the recordings were: what grew in between has another mark in the next run.
        yield page([], partial(note_marks, marks, marks_from))
    yield page([], partial(note_finished, planned))


def _marks(run: Run, planned: RecordingPlan, state: State) -> tuple[dict[int, str] | None, int]:
    """PostHog's mark of each hour (`recording_marks`), and the start of the first hour asked for, microseconds UTC.

    Asked for are the latest days; with the daily sweep, all hours that may be read again.
    """
    is_all = planned.sweeps or "marks" not in state
    low = planned.horizon + HOUR if is_all else planned.now - run.settings.live_span - DAY
    low = max(low, planned.horizon + HOUR) // HOUR * HOUR
    return recording_marks(run, low, planned.now), low


def _again(
    run: Run, reader: RecordingReader, planned: RecordingPlan, state: State
) -> Iterator[tuple[list[Row], Callable[[State], None]]]:
    """The recordings that had not ended, but for those that the windows of this run bring anyway."""
    waiting = {
        name: int(start)
        for name, start in state.get("open", {}).items()
        if not any(span.low <= int(start) < span.high for span in planned.spans)
    }
    if not waiting:
        return
    ids = sorted(waiting)
    run.progress.expect("session_recordings", len(ids))
    low, high = min(waiting.values()) - DAY, planned.now
    rows = [row for some in recordings_by_id(run.client, ids, low, high) for row in some]
    yield rows, partial(note_again, ids, reader.unfinished(rows))


def _recount(reader: RecordingReader, held: int) -> int:
    """How many there are now: what this run read is listed again, all else as it was when it was read."""
    now = sum(len(reader.rows(span.low, span.high)) for span in reader.counts)
    return held - sum(reader.counts.values()) + now


def _between(found: dict[str, Row], low: int, high: int) -> list[Row]:
    """Those that started from `low` to `high`: bounds are asked for in whole seconds, and some servers round more."""
    rows = list(found.values())
    starts = _micros(rows, "start_time")
    return [row for row, start in zip(rows, starts, strict=True) if start is None or low <= start < high]


def _micros(rows: list[Row], field: str) -> list[int | None]:
    """The times in `field`, microseconds UTC; None where it holds no time."""
    values = [row.get(field) for row in rows]
    try:
        found: list[int | None] = times(values).cast(pa.int64()).to_pylist()
    except MISFITS:
        return [None] if len(rows) == 1 else [moment for row in rows for moment in _micros([row], field)]
    return found
