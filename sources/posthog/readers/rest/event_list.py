"""Events out of PostHog's list of events, which was never made for reading all of them.

What the list does (posthog/api/event.py and models/event/events_list.py, 2022 to autumn 2026): `after` and `before` are
both exclusive; `next` carries only a timestamp, so it loses events that share it; newest first, the server tries short
windows and takes the first with half a page, or looks at one day only; a page is cut at 1,000 rows today, 10,000 or
100,000 earlier, whatever `limit` says; a range of more than a year is refused; and without `after` it is a day.

So `next` is never looked at. Oldest first, which no server narrows, each request takes up where the last row stood,
that row's timestamp included, and a window is at its end when an answer brings nothing new. Rows of one timestamp that
fill a whole answer are parted by `offset`, name and distinct_id, and counted: what cannot be read whole is an error.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Container, Iterator
from functools import cache
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ...clock import to_datetime, to_text
from ...errors import ListUnreadable, RequestRefused
from ...http.client import PostHogClient
from ...http.json_values import json_text
from ...http.response_body import fields_of
from ...pages.arrow import ColumnMismatch, declared_table, empty_table
from ...planning.intervals import middle_of
from ...planning.row_limit import ProvenRows
from ...sql.dialect import FEWEST_ROWS
from ...tables import EVENTS

PATH = "events"
MOST_ROWS = 10_000
"""Asked for; what a server of today lowers to 1,000. More would be a lot of memory at once."""
_MILLISECOND = 1_000
_TIE_ATTEMPTS = 5
_PAGES_WITHOUT_NEWS = 3
_TYPES = [""] * len(EVENTS.columns)

OLDEST_FIRST = '["timestamp"]'
NEWEST_FIRST = '["-timestamp"]'


class Part(NamedTuple):
    """Rows of an answer; from oldest to newest, all that are older than `upto` (microseconds) have come with it."""

    table: pa.Table
    upto: int | None


class EventList:
    """Reads windows of the list: half-open, microseconds UTC. For all threads of a run.

    `fewest_rows`: so many an answer has, if there are as many.
    """

    def __init__(self, client: PostHogClient, *, fewest_rows: int = FEWEST_ROWS) -> None:
        self._client = client
        self._lock = threading.Lock()
        self._proven = ProvenRows(fewest_rows)
        self._with_person = True
        self._events: Counter[str] = Counter()
        """Rows of each name so far."""
        self.requests = 0

    def first(self, start: int, end: int) -> int | None:
        """The time of the oldest event in the window; None: there is none."""
        return min(_times(self._ask(start, end, limit=1)), default=None)

    def oldest_first(
        self, start: int, end: int, *, most: int = MOST_ROWS, known: Container[str] = ()
    ) -> Iterator[Part]:
        """The rows of the window, some twice, at most about `most` at a time; `known` uuids without properties."""
        seen: set[str] = set()
        while start < end:
            table, is_full = self._page(start, end, limit=most, known=known)
            times = _times(table)
            is_new = _note(seen, table)
            if not is_full and not is_new:
                break
            last = max(times)
            if times != sorted(times):
                # The order was not the one asked for, so the answer says nothing about what it lacks.
                yield Part(table, None)
                middle = middle_of(start, end)
                if middle is None:
                    yield from (Part(tied, None) for tied in self._tied(start))
                    yield Part(table.slice(0, 0), end)
                    return
                yield from self.oldest_first(start, middle, most=most, known=known)
                start = middle
                continue
            if len(times) > 1 and start < last == min(times):
                # Rows of one time have any order.
                yield from self.oldest_first(start, last, most=most, known=known)
                start = last
            if is_full and last <= start:
                yield Part(table, start)
                yield from (Part(tied, start) for tied in self._tied(start))
                start += 1
                continue
            start = max(start, last)
            yield Part(table, start)
        yield Part(_table([]), end)

    def newest_first(self, start: int, end: int, *, known: Container[str] = ()) -> Iterator[pa.Table]:
        """The rows of the window, some twice; `known` uuids without properties.

        Servers from 2022 to 2025 may leave out all but the rows of one day.
        """
        seen: set[str] = set()
        while start < end:
            table, is_full = self._page(start, end, newest_first=True, known=known)
            is_new = _note(seen, table)
            if not is_full and not is_new:
                return
            yield table
            first = min(_times(table))
            if is_full and first >= end - 1:
                yield from self._tied(end - 1)
                end -= 1
            else:
                end = min(end, first + 1)

    def _tied(self, moment: int) -> Iterator[pa.Table]:
        """All rows of one microsecond, of which there are more than one answer has.

        Pages by offset say how many there are, but not which: ClickHouse orders them otherwise for each page. Each
        name (and distinct_id) that fits into an answer is whole; if these make up the total, nothing is missing.
        """
        seen: dict[str, tuple[str, str]] = {}
        total = 0
        for attempt in range(_TIE_ATTEMPTS):
            # Another order and another size of pages bring other rows.
            limit = max(1, self._proven.rows * (10 - attempt) // 10)
            total, tables = self._by_offset(moment, newest_first=attempt % 2 == 1, limit=limit)
            for table in tables:
                seen.update(_names(table))
                yield table
            # All of them on one page: an event that was sent again is there twice for a while.
            if len(seen) == total or tables[0].num_rows == total:
                return
            whole = 0
            for table, is_whole in self._by_name(moment, seen):
                yield table
                whole += table.num_rows if is_whole else 0
                if whole == total:
                    return
                seen.update(_names(table))
        raise ListUnreadable(
            f"PostHog holds {total:,} events at {to_text(moment)} UTC, and shows {len(seen):,} of them",
            meaning="Events of one microsecond come in no fixed order, and there are more than an answer has. "
            "Nothing of their window was loaded.",
            advice="Leave their day out with --since or --until, or use a key and a server with HogQL queries.",
            path=PATH,
        )

    def _by_offset(self, moment: int, *, newest_first: bool, limit: int) -> tuple[int, list[pa.Table]]:
        """How many rows the microsecond has, by counting pages, and the rows: some twice and others not at all."""
        tables: list[pa.Table] = []
        total = without_news = 0
        uuids: set[str] = set()
        while True:
            try:
                table, is_full = self._page(moment, moment + 1, newest_first=newest_first, limit=limit, offset=total)
            except RequestRefused as error:
                raise ListUnreadable(
                    f"PostHog holds more than {total:,} events at {to_text(moment)} UTC, and refuses to show the rest: "
                    f"{error.message}",
                    meaning="Events of the same microsecond can only be paged by offset, and that has a limit.",
                    advice="Leave their day out with --since or --until, or use a key and a server with HogQL queries.",
                    path=PATH,
                ) from None
            without_news = 0 if _note(uuids, table) else without_news + 1
            tables.append(table)
            total += table.num_rows
            if not is_full:
                return total, tables
            if without_news >= _PAGES_WITHOUT_NEWS:
                raise ListUnreadable(
                    f"PostHog holds {len(uuids):,} events or more at {to_text(moment)} UTC, and does not page them",
                    meaning="This server answers every page alike, so what lies behind the first cannot be seen.",
                    advice="Leave their day out with --since or --until.",
                    path=PATH,
                )

    def _by_name(self, moment: int, seen: dict[str, tuple[str, str]]) -> Iterator[tuple[pa.Table, bool]]:
        """The rows of each name, and whether an answer was all of them; by distinct_id where it was not.

        First the names seen here, then all that were seen anywhere, the frequent ones first.
        """
        here = {event for event, _ in seen.values()}
        with self._lock:
            elsewhere = [name for name, _ in self._events.most_common() if name not in here]
        for name in [*sorted(here), *elsewhere]:
            table, is_full = self._page(moment, moment + 1, event=name)
            if not is_full:
                yield _only(table, "event", name), True
                continue
            yield table, False
            for distinct_id in sorted({who for event, who in seen.values() if event == name}):
                table, is_full = self._page(moment, moment + 1, event=name, distinct_id=distinct_id)
                mine = _only(_only(table, "event", name), "distinct_id", distinct_id)
                yield mine, not is_full

    def _page(
        self,
        start: int,
        end: int,
        *,
        newest_first: bool = False,
        limit: int = MOST_ROWS,
        known: Container[str] = (),
        **more: Any,
    ) -> tuple[pa.Table, bool]:
        """An answer, and whether it may have been cut: it has as many rows as any so far, or as were asked for."""
        table = self._ask(start, end, newest_first=newest_first, limit=limit, known=known, **more)
        is_whole = self._proven.is_whole(table.num_rows) and table.num_rows < limit
        return table, not is_whole

    def _ask(
        self,
        start: int,
        end: int,
        *,
        newest_first: bool = False,
        limit: int,
        known: Container[str] = (),
        **more: Any,
    ) -> pa.Table:
        params: dict[str, Any] = {
            # Both bounds are exclusive, and spelled as the server spells times in `next`.
            "after": to_datetime(start - 1).isoformat(timespec="microseconds"),
            "before": to_datetime(end).isoformat(timespec="microseconds"),
            "orderBy": NEWEST_FIRST if newest_first else OLDEST_FIRST,
            "limit": limit,
            **{name: value for name, value in more.items() if value},
        }
        if self._with_person:
            params["include_person"] = "true"
        with self._lock:
            self.requests += 1
        answer = self._client.get(PATH, params)
        rows = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise ListUnreadable("PostHog's list of events is no list", path=PATH)
        shown = [row for row in rows if isinstance(row, dict) and isinstance(row.get("person"), dict)]
        if shown and not any(map(_person, shown)):
            self._with_person = False  # it costs the server a join, and tells nothing that this table has
        table = _table(rows, known)
        with self._lock:
            self._events.update(table.column("event").to_pylist())
        times = _times(table)
        # Servers that cut times to milliseconds show some up to one before the bound.
        if times and (min(times) <= start - _MILLISECOND or max(times) >= end):
            raise ListUnreadable(
                f"PostHog was asked for events from {to_text(start)} to {to_text(end)} UTC, and gives others",
                meaning="This server does not heed the times that it is asked for, so nothing is ever proven whole.",
                path=PATH,
            )
        return table


@cache
def no_events() -> pa.Table:
    """A page of no events: made once, for there are many such answers."""
    return empty_table(EVENTS)


def _table(rows: list[Any], known: Container[str] = ()) -> pa.Table:
    """Events of the list as rows of the table; of `known` ones only what tells them apart. Raises ListUnreadable."""
    if not rows:
        return no_events()
    try:
        return declared_table(_TYPES, [_cells(row, known) for row in rows], EVENTS.columns)
    except (ColumnMismatch, KeyError, TypeError, AttributeError) as error:
        raise ListUnreadable(
            f"An event in PostHog's list is not what is known of events: {type(error).__name__}: {error}", path=PATH
        ) from None


def _cells(row: dict[str, Any], known: Container[str]) -> list[Any]:
    """In the order of the table's columns. The list has no created_at (posthog/models/event/util.py, autumn 2026)."""
    uuid = _uuid(row["id"])
    if uuid in known:
        # Nobody wants these rows again; most of the work would be theirs.
        return [uuid, row["event"], row["timestamp"], None, row["distinct_id"], None, None, None, "", None]
    properties = fields_of(row.get("properties"), PATH) or {}
    session_id, window_id = properties.get("$session_id"), properties.get("$window_id")
    return [
        uuid,
        row["event"],
        row["timestamp"],
        None,
        row["distinct_id"],
        _person(row),
        session_id if isinstance(session_id, str) else None,
        window_id if isinstance(window_id, str) else None,
        row.get("elements_chain") or "",
        json_text(properties),
    ]


def _uuid(value: object) -> str:
    text = str(value).lower()
    if len(text) != 36 or text.count("-") != 4:
        raise TypeError("an event has no uuid")
    return text


def _person(row: dict[str, Any]) -> str | None:
    """The person's UUID, where this server shows it: whose the distinct_id is now."""
    person = row.get("person")
    if not isinstance(person, dict):
        return None
    found = next((person[name] for name in ("uuid", "id") if isinstance(person.get(name), str)), None)
    return found.lower() if found and len(found) == 36 and found.count("-") == 4 else None


def _times(table: pa.Table) -> list[int]:
    found: list[int] = table.column("timestamp").cast(pa.int64()).to_pylist()
    return found


def _note(seen: set[str], table: pa.Table) -> bool:
    """Adds the uuids to `seen`; whether there was a new one."""
    before = len(seen)
    seen.update(table.column("uuid").to_pylist())
    return len(seen) > before


def _names(table: pa.Table) -> dict[str, tuple[str, str]]:
    """Name and distinct_id of each row, by uuid."""
    columns = (table.column(name).to_pylist() for name in ("uuid", "event", "distinct_id"))
    return {uuid: (event, distinct_id) for uuid, event, distinct_id in zip(*columns, strict=True)}


def _only(table: pa.Table, column: str, value: str) -> pa.Table:
    return table.filter(pc.equal(table.column(column), value))
