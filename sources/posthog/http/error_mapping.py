"""Which error a PostHog answer stands for.

Statuses, codes and sentences as PostHog's own code has them (posthog/exceptions.py, posthog/errors.py,
posthog/api/query.py, exceptions_hog; autumn 2026, and older ones where they differ). Sentences are looked at where a
status or a code alone does not tell: memory was 504 and 512 before it was 513, and a long query that failed reports
nothing but a sentence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from .. import errors
from .json_values import plain, shown

BYTES_READ = "x-posthog-query-bytes-read"
BYTES_REMAINING = "x-posthog-query-budget-remaining-bytes"

_SCOPE = re.compile(r"missing required scopes? '([^']+)'")
_QUOTA = re.compile(r"quota", re.IGNORECASE)
# A key of other projects or organizations, and one of somebody who is no member (posthog/permissions.py, autumn 2026).
_NO_ACCESS = re.compile(r"have access to the (?:requested )?(?:project|organization)", re.IGNORECASE)
_SECONDS = re.compile(r"available in (\d+(?:\.\d+)?) second")
_CONCURRENCY = re.compile(r"concurren|simultaneous", re.IGNORECASE)
_BUDGET = re.compile(r"budget|bytes read|read limit", re.IGNORECASE)
_BUSY = re.compile(r"too busy|at capacity|simultaneous quer|under (heavy|high) load", re.IGNORECASE)
_PRESSURE = re.compile(r"(try|retry)\b.{0,30}\bminute", re.IGNORECASE)

# What is told by code first, then by sentence; used for failures of any status, and of long queries.
_NARROW_CODES: dict[str, type[errors.Narrow]] = {
    "too_many_bytes": errors.TooManyBytes,
    "too_many_rows": errors.TooManyBytes,
    "too_many_rows_or_bytes": errors.TooManyBytes,
    "clickhouse_memory_limit_exceeded": errors.MemoryLimitHit,
    "memory_limit_exceeded": errors.MemoryLimitHit,
    "timeout_exceeded": errors.QueryTimedOut,
    "too_slow": errors.QueryTimedOut,
    "query_size_exceeded": errors.QueryTooLarge,
}
_NARROW_SENTENCES: tuple[tuple[str, type[errors.Narrow]], ...] = (
    (r"max memory limit|ran out of memory|memory limit .{0,40}exceeded", errors.MemoryLimitHit),
    (r"max execution time|execution time is too long|query timeout exceeded", errors.QueryTimedOut),
    (r"query size exceeded|max query size", errors.QueryTooLarge),
    (r"too[_ ]many[_ ]bytes|limit for rows or bytes to read exceeded", errors.TooManyBytes),
)
_NARROW_STATUSES: dict[int, type[errors.Narrow]] = {
    413: errors.QueryTooLarge,
    414: errors.QueryTooLarge,
    504: errors.QueryTimedOut,
    512: errors.QueryTimedOut,
    513: errors.MemoryLimitHit,
    524: errors.QueryTimedOut,  # Cloudflare's: the server behind it was silent for too long
}


@dataclass(frozen=True)
class Refusal:
    """An answer that is no success, as far as it matters for telling why."""

    status: int
    headers: Mapping[str, str]
    body: bytes | bytearray
    path: str
    is_query: bool
    now: datetime
    """The server's time (UTC) when it answered; our own where it did not say."""


def diagnose(refusal: Refusal) -> errors.PostHogError:
    """The error that the answer stands for. Its text may quote PostHog, so it is still to be redacted."""
    document = _document(refusal.body)
    if document is not None and (failed := query_status_failure(document, refusal.path)):
        return failed
    # PostHog's own errors have `detail`; some of recordings have `message` or `error` (no envelope).
    texts = [] if document is None else [document.get(name) for name in ("detail", "message", "error")]
    detail = next((_short(text) for text in texts if text), "")
    code = _text(document.get("code")) if document is not None else None
    told = _Told(refusal, detail, code, document)
    for attempt in (_limits, _narrowing, _access, _missing):
        if error := attempt(told):
            return error
    return _rest(told)


def query_status_failure(document: Mapping[str, Any], path: str) -> errors.PostHogError | None:
    """The error of a long query (`query_status`), or None when it is running or done."""
    status = document.get("query_status", document)
    if not isinstance(status, Mapping) or not status.get("error") or "complete" not in status:
        return None
    message = _short(status.get("error_message"))
    code = _text(status.get("error_code"))
    if narrow := _narrow_class(code, message):
        return narrow(message or "The query was too much for PostHog", code=code, path=path)
    if _CONCURRENCY.search(message):
        return errors.ConcurrencyLimited(message, code=code, path=path)
    if _BUSY.search(message):
        return errors.ClusterBusy(message, code=code, path=path)
    if message:
        return errors.QueryRefused(message, code=code, path=path)
    return errors.ServerFault("The query failed, and PostHog does not say why", code=code, path=path)


def retry_after(headers: Mapping[str, str], detail: str, now: datetime) -> float | None:
    """Seconds to wait, from Retry-After (a number or a date) and from the sentence of a 429; None if neither tells.

    The longer counts: the header is rounded down, the sentence up (Django REST framework, autumn 2026).
    """
    said = [_header_seconds(headers.get("retry-after", ""), now)]
    if match := _SECONDS.search(detail):
        said.append(float(match[1]))
    usable = [seconds for seconds in said if seconds is not None and seconds > 0]
    return max(usable, default=None)


@dataclass(frozen=True)
class _Told:
    refusal: Refusal
    detail: str
    code: str | None
    document: Mapping[str, Any] | None

    @property
    def status(self) -> int:
        return self.refusal.status

    @property
    def message(self) -> str:
        if self.detail:
            return f"PostHog says: {self.detail}"
        return f"PostHog answered with HTTP {self.status}"

    @property
    def seconds(self) -> float | None:
        return retry_after(self.refusal.headers, self.detail, self.refusal.now)

    @property
    def facts(self) -> dict[str, Any]:
        return {"status": self.status, "code": self.code, "path": self.refusal.path}


def _limits(told: _Told) -> errors.PostHogError | None:
    waitable: type[errors.Waitable] | None = None
    if told.status == 429:
        waitable = _throttle(told)
    elif (told.status == 503 and _BUSY.search(told.detail)) or (told.status == 513 and _PRESSURE.search(told.detail)):
        waitable = errors.ClusterBusy
    return waitable(told.message, seconds=told.seconds, **told.facts) if waitable else None


def _throttle(told: _Told) -> type[errors.Waitable] | None:
    if _narrow_class(told.code, told.detail):
        return None  # session recordings report a query's timeout as 429 (section 5 of PostHog's own handler)
    if _BUSY.search(told.detail):
        return errors.ClusterBusy
    if _CONCURRENCY.search(told.detail):
        return errors.ConcurrencyLimited
    if _BUDGET.search(f"{told.code} {told.detail}") or _spent(told.refusal.headers):
        return errors.ReadBudgetSpent
    # Only the limit of queries in flight comes without seconds; its newest sentence is not a fixed one.
    return errors.Throttled if told.seconds or not told.refusal.is_query else errors.ConcurrencyLimited


def _spent(headers: Mapping[str, str]) -> bool:
    left = header_count(headers, BYTES_REMAINING)
    return left is not None and left <= 0


def _narrowing(told: _Told) -> errors.PostHogError | None:
    if told.document is None and told.status in {504, 524} and not told.refusal.is_query:
        return None  # a gateway's own page: the next try may do
    narrow = _narrow_class(told.code, told.detail) or _NARROW_STATUSES.get(told.status)
    if narrow is None:
        return None
    return narrow(told.message, **told.facts)


def _narrow_class(code: str | None, detail: str) -> type[errors.Narrow] | None:
    if code and code.lower() in _NARROW_CODES:
        return _NARROW_CODES[code.lower()]
    return next((kind for pattern, kind in _NARROW_SENTENCES if re.search(pattern, detail, re.IGNORECASE)), None)


def _access(told: _Told) -> errors.PostHogError | None:
    if told.status == 401:
        return errors.KeyRefused(told.message, **told.facts)
    if told.status == 402:
        is_quota = _QUOTA.search(f"{told.code} {told.detail}")
        return (errors.QuotaSpent if is_quota else errors.PaymentRequired)(told.message, **told.facts)
    if told.status == 403:
        if scope := _SCOPE.search(told.detail):
            return errors.ScopeMissing(told.message, scope=scope[1], **told.facts)
        is_projects = _NO_ACCESS.search(told.detail)
        return (errors.ProjectDenied if is_projects else errors.AccessDenied)(told.message, **told.facts)
    return None


def _missing(told: _Told) -> errors.PostHogError | None:
    if told.status not in {404, 410}:
        return None
    if told.detail.startswith("Project not found") or re.fullmatch(r"/api/projects/[^/]+/?", told.refusal.path):
        return errors.ProjectNotFound(told.message, **told.facts)
    if told.document is None or told.detail.startswith("Endpoint not found"):
        return errors.EndpointNotFound(told.message, **told.facts)
    return errors.NotFound(told.message, **told.facts)


def _rest(told: _Told) -> errors.PostHogError:
    if told.status >= 500 or told.status in {408, 425}:
        return errors.ServerFault(told.message, seconds=told.seconds, **told.facts)
    if told.refusal.is_query and told.status == 400:
        return errors.QueryRefused(told.message, position=_position(told.document), **told.facts)
    return errors.RequestRefused(told.message, **told.facts)


def _position(document: Mapping[str, Any] | None) -> tuple[int, int] | None:
    if document is None:
        return None
    extra = document.get("extra")
    for place in (extra, document):
        if isinstance(place, Mapping):
            start, end = place.get("start"), place.get("end")
            if isinstance(start, int) and isinstance(end, int):
                return start, end
    return None


def header_count(headers: Mapping[str, str], name: str) -> int | None:
    """A header that holds a count, which may be written as a float; None when absent or no number."""
    try:
        return int(float(headers[name]))
    except (KeyError, ValueError, OverflowError):
        return None


def header_date(headers: Mapping[str, str], name: str = "date") -> datetime | None:
    """A header that holds an HTTP date, in UTC; None when absent or no date."""
    return _http_date(headers.get(name, ""))


def _header_seconds(text: str, now: datetime) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        date = _http_date(text)
        return (date - now).total_seconds() if date else None
    return seconds if math.isfinite(seconds) else None


def _http_date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None
    return (date if date.tzinfo else date.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)


def _document(body: bytes | bytearray) -> dict[str, Any] | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _short(value: object) -> str:
    return "" if value is None else plain(value, 600) if isinstance(value, str) else shown(value, 600)
