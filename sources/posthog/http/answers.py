"""What the client gives back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from ..errors import AnswerFromCache, AnswerMalformed, QueryRefused
from .error_mapping import BYTES_READ, BYTES_REMAINING, header_count, query_status_failure
from .json_values import plain, shown

# The server's Date has whole seconds, and PostHog may share one answer between equal queries for 5 s
# (posthog/api/query_coalescer.py, autumn 2026): that is fresh enough.
_FRESH_WITHIN = timedelta(seconds=10)


@dataclass(frozen=True)
class QueryAnswer:
    """The rows of a HogQL query, and what it cost.

    `types` are ClickHouse's, in the order of `columns`; either may be empty where there are no rows, and PostHog need
    not tell the types at all. `bytes_read` is what this query took from the project's hourly budget and
    `budget_remaining` what is left of it, in bytes; both None where PostHog does not say. `seconds` is from sending the
    query to the end of the answer. `has_more` is None for a query with its own LIMIT.
    """

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: list[list[Any]] = field(repr=False)
    bytes_read: int | None = None
    budget_remaining: int | None = None
    query_id: str = ""
    path: str = ""
    """Of the endpoint that answered."""
    seconds: float = 0.0
    timezone: str | None = None
    has_more: bool | None = None
    warnings: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Project:
    """A project. `raw` is PostHog's whole answer; `timezone` is an IANA name."""

    id: int
    uuid: str | None
    name: str
    timezone: str
    organization_id: str | None
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Identity:
    """Whose key it is. `scopes`: what the key may do, where PostHog says it."""

    email: str | None
    scopes: tuple[str, ...] | None
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Usage:
    """What a client has used so far. `budget_remaining` and `bytes_read` are bytes, None and 0 where not told."""

    requests: int = 0
    queries: int = 0
    bytes_read: int = 0
    retries: int = 0
    waited_seconds: float = 0.0
    budget_remaining: int | None = None


@dataclass(frozen=True)
class Cost:
    """What a query took from the project's hourly budget, and what is left of it, in bytes; None: not told."""

    bytes_read: int | None = None
    budget_remaining: int | None = None


def query_document(
    document: Any, path: str, *, headers: Mapping[str, str], asked_at: datetime | None
) -> tuple[dict[str, Any], Cost]:
    """Check a decoded answer to a query of any kind: the object with its `results`, and what it cost.

    `headers` tell what it cost, `asked_at` is the server's time when it was asked. Raises AnswerFromCache for results
    older than that, QueryRefused and others for an error inside an answer, AnswerMalformed for what is no answer.
    """
    if not isinstance(document, dict):
        raise AnswerMalformed("The answer to a query is not an object", path=path)
    if failed := query_status_failure(document, path):
        raise failed
    status = document.get("query_status")
    if isinstance(status, dict) and isinstance(status.get("results"), dict):
        document = {**status["results"], "query_status": status}
    elif "complete" in document and isinstance(document.get("results"), dict):
        # Servers of 2023 gave the status of a long query without the wrapper.
        status, document = document, document["results"]
    if error := document.get("error"):
        raise QueryRefused(f"PostHog says: {plain(error, 600) if isinstance(error, str) else shown(error)}", path=path)
    _refuse_cached(document, path, asked_at)
    told = status if isinstance(status, dict) else {}
    return document, Cost(
        _first(header_count(headers, BYTES_READ), _count(told.get("bytes_read"))),
        _first(header_count(headers, BYTES_REMAINING), _count(told.get("budget_remaining_bytes"))),
    )


def query_answer(document: Mapping[str, Any], cost: Cost, path: str, *, query_id: str, seconds: float) -> QueryAnswer:
    """Give the checked answer to a HogQL query its type.

    Raises AnswerMalformed for rows that do not fit. An answer without rows is one whatever else it lacks.
    """
    rows = document.get("results")
    if not isinstance(rows, list):
        raise AnswerMalformed(f"PostHog answered a query with {shown(rows)} where a list of rows was due", path=path)
    columns = _described(document, "columns", _name, path)
    types = _described(document, "types", _type, path)
    if rows and len(types) not in {0, len(columns)}:
        raise AnswerMalformed(f"The answer has {len(columns)} columns and {len(types)} types", path=path)
    if not ({*map(type, rows)} <= {list} and {*map(len, rows)} <= {len(columns)}):
        odd = next(row for row in rows if not isinstance(row, list) or len(row) != len(columns))
        is_list = isinstance(odd, list)
        raise AnswerMalformed(
            f"PostHog answered a row of {f'{len(odd)} cells' if is_list else shown(odd)} to a query of "
            f"{len(columns)} columns",
            path=path,
        )
    has_more, zone, warnings = (document.get(each) for each in ("hasMore", "timezone", "warnings"))
    return QueryAnswer(
        columns=columns,
        types=types,
        rows=rows,
        bytes_read=cost.bytes_read,
        budget_remaining=cost.budget_remaining,
        query_id=query_id,
        path=path,
        seconds=seconds,
        timezone=zone if isinstance(zone, str) else None,
        has_more=has_more if isinstance(has_more, bool) else None,
        warnings=tuple(warnings) if isinstance(warnings, list) else (),
    )


def _described(document: Mapping[str, Any], name: str, read: Callable[[Any], str], path: str) -> tuple[str, ...]:
    """What an answer says of its columns; nothing where it does not."""
    told = document.get(name)
    if told is None:
        return ()
    if not isinstance(told, list):
        raise AnswerMalformed(f"PostHog answered a query with {shown(told)} as its {name}", path=path)
    try:
        return tuple(map(read, told))
    except TypeError:
        raise AnswerMalformed(f"PostHog answered a query with {shown(told)} as its {name}", path=path) from None


def project(document: Any, path: str) -> Project:
    """Give a decoded project its type."""
    if not isinstance(document, dict) or not isinstance(document.get("id"), int):
        raise AnswerMalformed("The answer is not a project", path=path)
    return Project(
        id=document["id"],
        uuid=document.get("uuid"),
        name=str(document.get("name") or ""),
        timezone=str(document.get("timezone") or "UTC"),
        organization_id=document.get("organization"),
        raw=document,
    )


def identity(document: Any, path: str) -> Identity:
    """Give a decoded user its type."""
    if not isinstance(document, dict):
        raise AnswerMalformed("The answer is not a user", path=path)
    scopes = document.get("scopes")
    return Identity(
        email=document.get("email"),
        scopes=tuple(str(scope) for scope in scopes) if isinstance(scopes, list) else None,
        raw=document,
    )


def _refuse_cached(document: Mapping[str, Any], path: str, asked_at: datetime | None) -> None:
    if document.get("is_cached") is True:
        raise AnswerFromCache("PostHog answered with a cached result", path=path)
    refreshed = _moment(document.get("last_refresh"))
    if refreshed and asked_at and refreshed < asked_at - _FRESH_WITHIN:
        age = (asked_at - refreshed).total_seconds()
        raise AnswerFromCache(f"PostHog answered with a result from {age:,.0f} s before the question", path=path)


def _moment(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        # Python 3.10 reads neither `Z` nor other than 3 or 6 digits of a second; whole seconds are enough here.
        moment = datetime.fromisoformat(value[:19])
    except ValueError:
        return None
    offset = value[19:].lstrip(".0123456789")
    if offset in {"", "Z", "+00:00", "+0000"}:
        return moment.replace(tzinfo=timezone.utc)
    try:
        return datetime.strptime(value[:19] + offset.replace(":", ""), "%Y-%m-%dT%H:%M:%S%z")
    except ValueError:
        return None


def _type(entry: Any) -> str:
    """HogQL gives [column, type] pairs, older servers and other kinds of query the type alone."""
    return _name(entry[1] if isinstance(entry, list) and len(entry) == 2 else entry)


def _name(entry: Any) -> str:
    if not isinstance(entry, str):
        raise TypeError
    return entry


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)


def _count(value: object) -> int | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return int(value)
