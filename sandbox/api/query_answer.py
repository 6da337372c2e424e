"""The body of a query's answer, put together around rows that are already JSON.

A page can be 80 MB: its rows are never parsed here, only framed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .envelope import dumps

#: Strings and brackets: all that matters for finding where a row ends.
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)

#: A whole cell holding a UTC time. Quotes inside of text are escaped, so this cannot match within a string.
_UTC_CELL = re.compile(rb'(?<=[\[,])"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)Z"(?=[,\]])')

#: How soon a client may ask for a fresh calculation (posthog/caching/utils.py).
REFRESH_AFTER = timedelta(minutes=3)


@dataclass(frozen=True)
class Answer:
    """A calculated query.

    Attributes:
        data: the rows, a JSON array of arrays.
        fields: every other field of the response that does not depend on how it is delivered.
        rows, rows_read, bytes_read: what it gave and cost.
        calculated_at: the sandbox's time (UTC) when it was calculated.
        cache_key: what it is cached under.
    """

    data: bytes
    fields: dict[str, Any]
    rows: int
    rows_read: int
    bytes_read: int
    calculated_at: datetime
    cache_key: str

    def parts(
        self, *, is_cached: bool, stale_after: float, offset_spelling: bool = False, **extra: object
    ) -> list[bytes]:
        """The response object as pieces of JSON.

        Args:
            is_cached: replayed from the cache.
            stale_after: seconds after which the cached answer is stale.
            offset_spelling: spell UTC as ``+00:00`` in replayed rows.
            extra: further fields, such as ``query_status``.
        """
        data = self.data
        if is_cached and offset_spelling:
            data = _UTC_CELL.sub(rb'"\1+00:00"', data)
        fields = {
            **self.fields,
            "is_cached": is_cached,
            "cache_key": self.cache_key,
            "cache_target_age": self.calculated_at + timedelta(seconds=stale_after),
            "last_refresh": self.calculated_at,
            "next_allowed_client_refresh": self.calculated_at + REFRESH_AFTER,
            **extra,
        }
        return [b'{"results":', data, b",", dumps(fields)[1:]]


def drop_last_row(data: bytes) -> bytes:
    """The JSON array of arrays without its last row. For small pages: it looks at every token."""
    depth = 0
    start = 1
    for token in _TOKEN.finditer(data):
        mark = token.group()
        if mark in (b"[", b"{"):
            depth += 1
            if depth == 2:
                start = token.start()
        elif mark in (b"]", b"}"):
            depth -= 1
    return data[:start].rstrip(b", \n") + b"]"
