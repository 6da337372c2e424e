"""The made events as other tools ask for them: by the list of events, and by a query that pages through time.

The newest events are composed when the server starts, so that an answer is pieces put together. The list is as PostHog
gives it (its `next` is a moment, compared strictly; it is not packed), but allows 10,000 rows a page, as it once did,
and not 1,000. Answers to the query are packed, as PostHog's are, if they are whole pages of 10,000.
"""

from __future__ import annotations

import gzip
import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime, timezone
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson

from replay.pages import COLUMNS, Made

MOST_ROWS = 10_000
QUERY = (
    "SELECT uuid, event, timestamp, distinct_id, person_id, properties FROM events "
    "WHERE timestamp > toDateTime64('{after}', 6, 'UTC') ORDER BY timestamp LIMIT {limit}"
)
"""The one query that is answered here, as hand-written scripts have it."""

_QUERY = re.compile(re.escape(QUERY).replace(r"\{after\}", r"([-:. \d]+)").replace(r"\{limit\}", r"(\d+)"))
_QUERIED = ("uuid", "event", "timestamp", "distinct_id", "person_id", "properties")
_FIRST = "1970-01-01T00:00:00.000000"


class Lists:
    """The newest events of `made`, so many at most."""

    def __init__(self, made: Made, newest: int) -> None:
        rows: list[list[str]] = []
        for day in reversed(range(len(made.days))):
            if len(rows) >= newest:
                break
            rows += made.rows_of(day)
        time = COLUMNS.index("timestamp")
        rows = sorted(rows, key=lambda row: row[time])[max(0, len(rows) - newest) :]
        self._times = [_iso(row[time]) for row in rows]
        self._listed = [_listed(dict(zip(COLUMNS, row, strict=True))) for row in rows]
        places = [COLUMNS.index(name) for name in _QUERIED]
        self._queried = [orjson.dumps([row[place] for place in places]) for row in rows]
        self._packed = {
            first: gzip.compress(self._page(first, MOST_ROWS), compresslevel=6, mtime=0)
            for first in range(0, len(rows), MOST_ROWS)
        }

    def events(self, url: str, host: str) -> bytes:
        """A page of the list, newest first."""
        arguments = dict(parse_qsl(urlsplit(url).query))
        low = bisect_right(self._times, _asked(arguments.get("after", _FIRST)))
        high = bisect_left(self._times, _asked(arguments["before"])) if "before" in arguments else len(self._times)
        high = max(low, high - int(arguments.get("offset", 0)))
        first = max(low, high - min(int(arguments.get("limit", 100)), MOST_ROWS))
        following = b"null"
        if first > low:
            # All other arguments stay, as in PostHog.
            bounds = {**arguments, "before": f"{self._times[first]}+00:00"}
            following = orjson.dumps(f"{host}{urlsplit(url).path}?{urlencode(bounds)}")
        return b'{"next":%b,"results":[%b]}' % (following, b",".join(reversed(self._listed[first:high])))

    def query(self, sql: str, accepted: str) -> tuple[int, str, bytes] | None:
        """Status, content encoding and body of the answer to `QUERY`; None if `sql` is another one."""
        asked = _QUERY.fullmatch(sql)
        if asked is None:
            return None
        first = bisect_right(self._times, _asked(asked[1]))
        if int(asked[2]) == MOST_ROWS and first in self._packed and "gzip" in accepted:
            return 200, "gzip", self._packed[first]
        return 200, "", self._page(first, int(asked[2]))

    def _page(self, first: int, limit: int) -> bytes:
        rows = b",".join(self._queried[first : first + limit])
        types = orjson.dumps([[name, "String"] for name in _QUERIED])
        return b'{"columns":%b,"types":%b,"results":[%b]}' % (orjson.dumps(_QUERIED), types, rows)


def newest_after(made: Made, count: int) -> str:
    """The moment, ISO and UTC, after which exactly so many events happened: fewer than there are."""
    times: Sequence[str] = []
    for day in reversed(range(len(made.days))):
        times = [*sorted(row[COLUMNS.index("timestamp")] for row in made.rows_of(day)), *times]
        if len(times) > count:
            return _iso(times[-count - 1])
    raise ValueError(f"There are {len(times):,} events, no more than {count:,}.")


def _iso(text: str) -> str:
    """A moment as the pages spell it, as the list does."""
    return text.replace(" ", "T")


def _asked(text: str) -> str:
    """A moment as people ask for it, as `_iso` spells it."""
    moment = datetime.fromisoformat(re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text.replace("Z", "+00:00")))
    moment = moment.replace(tzinfo=moment.tzinfo or timezone.utc).astimezone(timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")


def _listed(event: dict[str, str]) -> bytes:
    fields: dict[str, object] = {
        "id": event["uuid"],
        "distinct_id": event["distinct_id"],
        "properties": orjson.Fragment(event["properties"]),
        "event": event["event"],
        "timestamp": f"{_iso(event['timestamp'])}+00:00",
        "person": None,
        "elements": [],
        "elements_chain": event["elements_chain"],
    }
    return orjson.dumps(fields)
