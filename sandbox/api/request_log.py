"""What was asked of the server, and what it cost: the request log and its sums."""

from __future__ import annotations

import re
from collections import Counter, deque
from dataclasses import asdict, dataclass
from typing import Any

#: The log keeps the newest requests; the counters count all.
LOG_LENGTH = 20_000
#: Longer query texts are cut in the log.
QUERY_LENGTH = 4_000

_COLLECTION_ITEM = re.compile(r"^(/api/\w+/[^/]+/[^/]+/)(?!values/)[^/]+/")


@dataclass
class Entry:
    """One request. Times are milliseconds; ``fault`` names the fault that was injected, if any."""

    n: int
    method: str
    path: str
    status: int | None = None
    kind: str | None = None
    query: str | None = None
    rows: int = 0
    rows_read: int = 0
    bytes_read: int = 0
    ms: float = 0.0
    key_hint: str | None = None
    fault: str | None = None


class RequestLog:
    """The log and the counters since the last reset. Used on the event loop only."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew at request 1."""
        self._entries: deque[Entry] = deque(maxlen=LOG_LENGTH)
        self._by_path: Counter[str] = Counter()
        self._requests = 0
        self._queries = self._rows = self._rows_read = self._bytes_read = 0

    def begin(self, method: str, path: str) -> Entry:
        """Note a request that came in."""
        self._requests += 1
        entry = Entry(self._requests, method, path)
        self._entries.append(entry)
        self._by_path[_COLLECTION_ITEM.sub(r"\1:id/", path)] += 1
        return entry

    def executed(self, entry: Entry, *, rows: int, rows_read: int, bytes_read: int) -> None:
        """Note that ClickHouse answered a query for this request."""
        entry.rows += rows
        entry.rows_read += rows_read
        entry.bytes_read += bytes_read
        self._queries += 1
        self._rows += rows
        self._rows_read += rows_read
        self._bytes_read += bytes_read

    def entries(self) -> list[dict[str, Any]]:
        """The log, oldest first."""
        return [asdict(entry) for entry in self._entries]

    def counters(self) -> dict[str, Any]:
        """The sums. ``queries`` are those that ClickHouse ran for ``/query/``: replays do not count."""
        return {
            "requests": self._requests,
            "by_path": dict(self._by_path),
            "queries": self._queries,
            "rows": self._rows,
            "rows_read": self._rows_read,
            "bytes_read": self._bytes_read,
        }
