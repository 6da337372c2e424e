"""From one HTTP exchange to one good answer: the budget asked, redirects followed, refusals named."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from sources.posthog import errors
from sources.posthog.budget import Allowance, Budget
from sources.posthog.http.diagnosis import Refusal, diagnose
from sources.posthog.http.wire import Reply, Wire
from sources.posthog.keys import ApiKey, redact

_REDIRECTS_FOLLOWED = 5


class Counts:
    """What a client used: requests, queries, bytes_read, retries. Thread-safe."""

    def __init__(self) -> None:
        self._counts = {"requests": 0, "queries": 0, "bytes_read": 0, "retries": 0}
        self._lock = threading.Lock()

    def add(self, **more: int) -> None:
        """Add to some of them."""
        with self._lock:
            for name, count in more.items():
                self._counts[name] += count

    def taken(self) -> dict[str, int]:
        """All of them, at one moment."""
        with self._lock:
            return dict(self._counts)


class Exchange:
    """Sends one request within the budget and gives its answer, or the error that the answer stands for."""

    def __init__(self, wire: Wire, budget: Budget, key: ApiKey, counts: Counts) -> None:
        self._wire = wire
        self._budget = budget
        self._key = key
        self._counts = counts

    def send(
        self,
        method: str,
        url: str,
        allowance: Allowance,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        is_query: bool = False,
        is_json: bool = True,
        accept: Callable[[Reply], bool] = lambda _: False,
    ) -> Reply:
        """A good answer in JSON (or anything: `is_json`), or one that `accept` takes; redirects within the host are
        followed.

        Raises what the wire, the budget and `diagnose` raise, WrongContentType and RedirectRefused.
        """
        reply = self._follow(method, url, allowance, params=params, json=json, is_query=is_query)
        if reply.status >= 400:
            if accept(reply):
                return reply
            raise self.error(reply, is_query=is_query)
        content_type = reply.headers.get("content-type", "application/json")
        if is_json and "json" not in content_type.lower():
            raise errors.WrongContentType(
                f"PostHog answered with {redact(content_type, self._key)[:80]} instead of JSON",
                status=reply.status,
                path=reply.path,
            )
        return reply

    def error(self, reply: Reply, *, is_query: bool) -> errors.PostHogError:
        """What a refusal stands for, without the key even where PostHog quotes it."""
        now = self._wire.server_time() or datetime.now(timezone.utc)
        error = diagnose(
            Refusal(reply.status, reply.headers, reply.body.read(), reply.path, is_query=is_query, now=now)
        )
        return self._redacted(error)

    @contextmanager
    def redacting(self) -> Iterator[None]:
        """Keep the key out of the errors of whoever reads an answer: they may quote it."""
        try:
            yield
        except errors.PostHogError as error:
            self._redacted(error)
            raise

    def _redacted(self, error: errors.PostHogError) -> errors.PostHogError:
        error.message = redact(error.message, self._key)
        error.args = (error.message,)
        return error

    def _follow(
        self,
        method: str,
        url: str,
        allowance: Allowance,
        *,
        params: Mapping[str, Any] | None,
        json: Any,
        is_query: bool,
    ) -> Reply:
        for _ in range(_REDIRECTS_FOLLOWED + 1):
            self._budget.request(allowance)
            self._counts.add(requests=1)
            reply = self._wire_send(method, url, params=params, json=json, is_query=is_query)
            target = self._wire.redirected(reply)
            if target is None:
                return reply
            url, params = target, None
        raise errors.RedirectRefused("PostHog redirects in a circle", meaning="", path=reply.path)

    def _wire_send(self, method: str, url: str, **options: Any) -> Reply:
        try:
            return self._wire.send(method, url, **options)
        except errors.PostHogError:
            self._budget.check()  # a connection that was cut by `cancel_all` did not fail
            raise
