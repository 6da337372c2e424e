"""What insights are compared with: the sandbox's events by plain SQL, counted in Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any

import httpx

from posthog_warehouse.sandbox.local import Sandbox

Ask = Callable[..., Any]

#: The week that the tests look at; the sandbox's now is noon of the day after.
FIRST, LAST = "2026-11-13", "2026-11-19"
WEEK = {"date_from": FIRST, "date_to": LAST}
DAYS = [f"2026-11-{day}" for day in range(13, 20)]

#: Who an event belongs to now: persons on Cloud are those of ingestion, unless the distinct_id was moved since.
WHO = """
(
    SELECT e.*, if(empty(o.moved), e.person_id, o.mover) AS who FROM events AS e LEFT JOIN (
        SELECT distinct_id, distinct_id AS moved, argMax(person_id, version) AS mover
        FROM person_distinct_id_overrides GROUP BY distinct_id HAVING argMax(is_deleted, version) = 0
    ) AS o ON o.distinct_id = e.distinct_id
)"""

MINUTE = 60_000_000
DAY = 86_400_000_000


def series(event: str | None, **fields: Any) -> dict[str, Any]:
    """A series of events."""
    return {"kind": "EventsNode", "event": event, **fields}


@dataclass(frozen=True)
class Event:
    """One event: `at` in microseconds since 1970."""

    who: str
    event: str
    at: int
    uuid: str
    url: str
    screen: str

    @property
    def day(self) -> str:
        """Its date in UTC."""
        return datetime.fromtimestamp(self.at // 1_000_000, timezone.utc).strftime("%Y-%m-%d")


def _raw(name: str) -> str:
    # Quotes within a property stay escaped, as in HogQL.
    return f"replaceRegexpAll(JSONExtractRaw(properties, '{name}'), '^\"|\"$', '')"


def events(box: Sandbox, where: str = "1", *, all_time: bool = False) -> list[Event]:
    """The events of the week, every copy of them, in the order of their time."""
    week = "1" if all_time else f"toDate(timestamp) BETWEEN '{FIRST}' AND '{LAST}'"
    rows = box.sql(
        "SELECT toString(who), event, toUnixTimestamp64Micro(timestamp), toString(uuid), "
        f"{_raw('$current_url')}, {_raw('$screen_name')} "
        f"FROM {WHO} WHERE {week} AND ({where}) ORDER BY timestamp, toString(uuid)"
    )
    return [Event(*row) for row in rows]


def by_person(found: Iterable[Event]) -> dict[str, list[Event]]:
    """Each person's events, in their order."""
    persons: dict[str, list[Event]] = defaultdict(list)
    for event in found:
        persons[event.who].append(event)
    return persons


def alive(box: Sandbox) -> set[str]:
    """The persons that are not deleted."""
    rows = box.sql("SELECT toString(id) FROM person GROUP BY id HAVING argMax(is_deleted, version) = 0")
    return {row[0] for row in rows}


def day_after(day: str, count: int = 1) -> str:
    """A date some days later."""
    return (date.fromisoformat(day) + timedelta(days=count)).isoformat()


def asker(http: httpx.Client) -> Ask:
    """Asks for a query's results, calculated anew; anything but success is an error."""

    def ask(kind: str, **fields: Any) -> Any:
        body = {"query": {"kind": kind, **fields}, "refresh": "force_blocking"}
        answer = http.post("/api/projects/1/query/", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    return ask
