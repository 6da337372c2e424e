"""Tables of lists to which rows are added and in which none change: logs.

From the oldest row on, a list by cursor is followed from the page where the last run ended. A server that lists the
newest rows first is read until rows come that were there in the last run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from ...errors import EndpointNotFound, NotFound, RequestRefused
from ...http.unsupported import asked_once
from ...tables.rest import Growing
from ..base import Noted, State, TableReading, nothing
from ..run import Run
from .lists import Asking, Row, askings
from .pages import ListPage, pages
from .rows import Shape

OVERLAP = timedelta(hours=1)
"""Rows can become visible after the time that they bear: so much is read again."""

Order = Literal["unknown", "oldest first", "newest first", "none"]


def read_growing(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The rows that are new since the last run, by pages."""
    table, reads = reading.table, reading.table.reads
    if not isinstance(reads, Growing):
        raise TypeError(f"{table.name} is not read from a list that grows")
    shape = Shape(table, dict(state.get("types", {})))
    counts: dict[Asking, int | None] = {}
    for asking in askings(run, reads):
        yield from _read_one(run, reading, reads, asking, shape=shape, state=state, counts=counts)
    reading.notes += shape.notes
    if reads.counted_with is not None:
        reading.evidence.held = None if None in counts.values() else sum(count or 0 for count in counts.values())
        reading.evidence.recount = lambda: sum(_recount(run, reads, asking) for asking in counts)


def _read_one(
    run: Run,
    reading: TableReading,
    reads: Growing,
    asking: Asking,
    *,
    shape: Shape,
    state: State,
    counts: dict[Asking, int | None],
) -> Iterator[Noted]:
    stream = _Stream(run, reads, asking, shape, state.get("streams", {}).get(asking.name, {}))
    try:
        # Before the rows are read: what is added meanwhile may come or not.
        with asked_once(run.lacking, asking.path, names_thing=asking.path != reads.path):
            counts[asking] = _count(run, reads, asking)
        for rows, mark in stream.read():
            reading.answered.columns = shape.more_columns
            run.progress.fetched(reading.table.name, len(rows))
            yield rows, _noting(asking.name, mark, shape)
    except NotFound as error:
        if not asking.values or isinstance(error, EndpointNotFound):
            raise
        counts.pop(asking, None)
        reading.notes.append(f"PostHog has nothing at {asking.path}")


def _noting(name: str, mark: Mapping[str, Any], shape: Shape) -> Callable[[State], None]:
    def noted(state: State) -> None:
        state.setdefault("streams", {})[name] = dict(mark)
        state["types"] = shape.types

    return noted if mark else nothing


def _count(run: Run, reads: Growing, asking: Asking) -> int | None:
    if reads.counted_with is None:
        return None
    answer = run.client.get(asking.path, {**asking.others, **reads.counted_with})
    count = answer.get("count") if isinstance(answer, dict) else None
    return count if isinstance(count, int) else None


def _recount(run: Run, reads: Growing, asking: Asking) -> int:
    count = _count(run, reads, asking)
    return sum(len(page.rows) for page in pages(run.client, asking.path, asking.params)) if count is None else count


@dataclass
class _Stream:
    """One list that grows, and what is noted of it: `page`, where to go on, and `newest`, the latest time seen."""

    run: Run
    reads: Growing
    asking: Asking
    shape: Shape
    mark: Mapping[str, Any]
    order: Order = "unknown"
    last: datetime | None = None
    newest: datetime | None = None
    seen: set[tuple[str, ...]] = field(default_factory=set)
    starts: list[tuple[str | None, datetime | None]] = field(default_factory=list)

    def read(self) -> Iterator[tuple[list[Row], Mapping[str, Any]]]:
        """Pages of rows, each with what is to be noted when it is loaded; nothing: only later pages make it true."""
        known = _time(self.mark.get("newest"))
        self.newest = known
        enough = known - OVERLAP if known else None
        for page in self._pages():
            fresh = [raw for raw in page.rows if self._is_fresh(raw)]
            if fresh:
                self.starts.append((page.address, _time(fresh[0].get(self.reads.time))))
            for raw in fresh:
                self._look_at(_time(raw.get(self.reads.time)))
            if enough and self.order != "none":
                fresh = [raw for raw in fresh if (_time(raw.get(self.reads.time)) or enough) >= enough]
            rows = [self.shape.row(raw, self.asking.values) for raw in fresh]
            if self.order == "oldest first":
                yield rows, {"newest": _text(self.newest), "page": self._page_to_go_on_from()}
            elif rows:
                yield rows, {}
            if self.order == "newest first" and enough and self.last and self.last < enough:
                break
        if self.order != "oldest first":
            yield [], {"newest": None if self.order == "none" else _text(self.newest)}

    def _page_to_go_on_from(self) -> str | None:
        """The last page that begins so early that no row before it can still become visible."""
        page = None
        for address, begins in self.starts:
            if begins and self.newest and begins <= self.newest - OVERLAP:
                page = address
        return page

    def _pages(self) -> Iterator[ListPage]:
        path, params = self.asking.path, {**self.asking.params, **self.reads.oldest_first}
        start = self.mark.get("page")
        if start is not None:
            further = pages(self.run.client, path, params, key=self._key, start=start, exact=True)
            try:
                first = next(further)
            except (NotFound, RequestRefused):
                pass  # the server has another kind of cursor now, or forgot this one
            else:
                yield first
                yield from further
                return
        yield from pages(self.run.client, path, params, key=self._key, exact=True)
        while self.reads.before is not None and self.order == "newest first" and self.last is not None:
            # What came may be cut at the page's size. Rows of the very same time may lie on both sides of the cut.
            known = len(self.seen)
            before = (self.last + timedelta(microseconds=1)).isoformat()
            yield from pages(self.run.client, path, {**params, self.reads.before: before}, key=self._key, exact=True)
            if len(self.seen) == known:
                return

    def _is_fresh(self, raw: Any) -> bool:
        key = self._key(raw)
        if self.reads.before is None:
            return True  # dlt keeps one of each key; only stretches of time that overlap make this worth its memory
        is_fresh = key not in self.seen
        self.seen.add(key)
        return is_fresh

    def _key(self, raw: Any) -> tuple[str, ...]:
        return self.shape.key(raw, self.asking.values)

    def _look_at(self, time: datetime | None) -> None:
        """Learns the order in which rows come. A row without a time, or out of order, means that there is none."""
        if time is None:
            self.order = "none"
            return
        if self.last is not None and time != self.last:
            found: Order = "oldest first" if time > self.last else "newest first"
            self.order = found if self.order in {"unknown", found} else "none"
        self.last = time
        self.newest = max(self.newest, time) if self.newest else time


def _time(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
