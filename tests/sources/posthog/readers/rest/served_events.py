"""PostHog's list of events over real HTTP, with every way in which it has ever misled."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Literal, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from tests.sources.posthog.httpserver import Answer, Request, envelope

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_DAY = 86_400_000_000
_PROBES = (60, 300, 900, 3_600, 21_600, 86_400)


class Served(NamedTuple):
    """An event: `timestamp` in microseconds UTC."""

    uuid: str
    timestamp: int
    event: str = "seen"
    distinct_id: str = "somebody"


def uuid_of(number: int) -> str:
    return str(UUID(int=number))


def micros(text: str) -> int:
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1)


def spelled(moment: int, digits: int = 6) -> str:
    moment -= moment % 10 ** (6 - digits)
    return (_EPOCH + timedelta(microseconds=moment)).isoformat()


@dataclass
class ServedEvents:
    """The list. `cap`: rows of an answer at most; `ties`: the order of rows of one timestamp.

    `newest_first`: what a request for that order gets: all, short windows first (autumn 2026), or one day only (2024).
    `next_link`: `lies` is null although there is more, or leads elsewhere. `before_answer` may change the rows.
    """

    rows: list[Served]
    cap: int = 1_000
    ties: Literal["fixed", "any"] = "fixed"
    newest_first: Literal["all", "probes", "one day", "ignored"] = "all"
    next_link: Literal["honest", "lies", "repeats", "loops"] = "honest"
    offsets: Literal["heeded", "ignored", "refused"] = "heeded"
    first_of_ties: set[str] = field(default_factory=set)
    """Rows that come first on each page that is sorted by itself: later pages by offset show these again."""
    digits: int = 6
    only_descending: bool = False
    before_answer: Callable[[int], None] | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Answer:
        with self._lock:
            self.asked.append(request.params)
            if self.before_answer is not None:
                self.before_answer(len(self.asked))
            return self._answer(request, len(self.asked))

    def _answer(self, request: Request, number: int) -> Answer:
        params = request.params
        offset = int(params.get("offset", 0))
        if offset and self.offsets == "refused":
            return envelope(400, "invalid_input", "Offset is deprecated.", "validation_error")
        descending = self.only_descending or json.loads(params["orderBy"]) == ["-timestamp"]
        limit = min(int(params.get("limit", 100)), self.cap)
        after, before = micros(params["after"]), micros(params["before"])
        if before - after > 366 * _DAY:
            return envelope(500, "error", "Date range cannot exceed 1 year")
        found = self._found(params, after, before, descending=descending, limit=limit, number=number)
        rows = found[offset if self.offsets == "heeded" else 0 :][:limit]
        if offset and self.first_of_ties:
            visible = [row for row in found if row.uuid in self.first_of_ties]
            rows = (visible * 2)[offset:][: len(rows)]
        return Answer(body={"next": self._next(request, rows, more=len(found) > limit), "results": self.shown(rows)})

    def _found(
        self, params: dict[str, str], after: int, before: int, *, descending: bool, limit: int, number: int
    ) -> list[Served]:
        rows = [row for row in self.rows if all(getattr(row, name) == params[name] for name in _FILTERS & {*params})]
        order = random.Random(number) if self.ties == "any" else None  # noqa: S311 - a test
        keyed = sorted(rows, key=lambda row: (row.timestamp, order.random() if order else row.uuid))
        if descending and self.newest_first != "ignored":
            keyed.reverse()
        floors = [after]
        if descending and self.newest_first == "one day" and after // _DAY != before // _DAY:
            floors = [max(after, before - before % _DAY)]
        elif descending and self.newest_first == "probes":
            floors = [floor for seconds in _PROBES if (floor := before - seconds * 1_000_000) > after] + [after]
        for floor in floors:
            found = [row for row in keyed if floor < row.timestamp < before]
            if len(found) >= max(1, limit // 2):
                return found
        return found

    def _next(self, request: Request, rows: list[Served], *, more: bool) -> str | None:
        if self.next_link == "lies":
            return None if more else f"http://{request.headers['Host']}/api/projects/1/events/?limit=1"
        if self.next_link == "repeats":
            return f"http://{request.headers['Host']}{request.target}"
        if self.next_link == "loops":
            return f"http://{request.headers['Host']}{request.path}"
        if not more:
            return None
        following = {**request.params, "before": spelled(rows[-1].timestamp)}
        return f"http://{request.headers['Host']}{request.path}?{urlencode(following)}"

    def shown(self, rows: list[Served]) -> list[dict[str, Any]]:
        """The rows as the list has them."""
        return [
            {
                "id": row.uuid,
                "event": row.event,
                "timestamp": spelled(row.timestamp, self.digits),
                "distinct_id": row.distinct_id,
                "properties": {"$session_id": "s", "n": 1},
                "person": None,
                "elements": [],
                "elements_chain": "",
            }
            for row in rows
        ]


_FILTERS = {"event", "distinct_id"}
