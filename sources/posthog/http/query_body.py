"""The body of a query as the server at hand takes it.

PostHog checks the body against a schema that forbids what it does not know, so a field that one version takes makes
another refuse the whole query (400 `parse_error`). The fields that a query can do without, or that servers of another
age take in another form, stand in `FALLBACKS`: once a server has refused one, the other form is sent from then on.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sources.posthog.errors import RequestRefused

Body = dict[str, Any]


def _without(name: str) -> Callable[[Body], Body]:
    return lambda body: {field: value for field, value in body.items() if field != name}


def _flags(body: Body) -> Body:
    """`refresh` and `async` as booleans: servers of 2023 take no words for `refresh`."""
    is_long = body.get("refresh") == "force_async"
    return {**body, "refresh": True, **({"async": True} if is_long else {})}


FALLBACKS: Mapping[str, Callable[[Body], Body]] = {
    # The query's name in PostHog's query log. Refused by its server code of 4 August 2025.
    "name": _without("name"),
    # The id by which a running query can be cancelled.
    "client_query_id": _without("client_query_id"),
    # Words since 2024; servers since 2025 refuse the flags instead.
    "refresh": _flags,
}

# As pydantic words it: `1 validation error for QueryRequest name Extra inputs are not permitted`. A dot before the
# name would make it a field of something inside.
_REFUSED = re.compile(
    rf"(?<![\w.])({'|'.join(FALLBACKS)}) (?:extra (?:inputs|fields) (?:are )?not permitted|input should be|value )",
    re.IGNORECASE,
)


class QueryBody:
    """Which fields this server refuses, and bodies without them. Safe to use from several threads."""

    def __init__(self) -> None:
        self._refused: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    @property
    def refused(self) -> frozenset[str]:
        """The fields of which the server takes another form, or none."""
        return self._refused

    def refuse(self, fields: Iterable[str]) -> None:
        """Sends these fields in their other form from now on; names that are not in `FALLBACKS` mean nothing."""
        with self._lock:
            self._refused |= FALLBACKS.keys() & set(fields)

    def fitting(self, body: Body) -> tuple[Body, frozenset[str]]:
        """`body` as the server takes it, and the fields that were known to be refused when it was made."""
        known = self._refused
        for name in sorted(known & body.keys()):
            body = FALLBACKS[name](body)
        return body, known

    def learn(self, error: RequestRefused, known: frozenset[str]) -> bool:
        """Whether `error` is about fields that were sent (all but `known`) and can be sent otherwise."""
        named = {name.lower() for name in _REFUSED.findall(error.message)} - known
        self.refuse(named)
        return bool(named)
