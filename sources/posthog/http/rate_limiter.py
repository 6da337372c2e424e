"""The limits that all requests of a run share: requests a minute and an hour, queries in flight, pauses.

Figures of PostHog Cloud for API queries (posthog/rate_limit.py, docs/api/queries, autumn 2026): 240 requests a
minute, 2,400 an hour, 3 queries at once, counted for the whole project.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..errors import Cancelled, WaitTooLong

_MINUTE = 60.0
_HOUR = 3600.0
_ROUNDING = 1e-6  # below it a wait may be too short to move a clock of floats


@dataclass(frozen=True)
class Wait:
    """A wait that begins now: how many seconds, and for what ("PostHog's hourly read budget")."""

    seconds: float
    reason: str


class Allowance:
    """How long one call may still wait for limits, all its waits added up."""

    def __init__(self, seconds: float) -> None:
        self._allowed = seconds
        self._taken = 0.0

    def take(self, seconds: float, reason: str) -> None:
        """Count a wait that is about to begin. Raises WaitTooLong when it would be too long."""
        total = self._taken + seconds
        if total > self._allowed:
            raise WaitTooLong(
                f"Waiting for {reason} would take {total:,.0f} s, more than the {self._allowed:,.0f} s allowed",
                seconds=total,
                reason=reason,
            )
        self._taken = total


class Budget:
    """Thread-safe; one for all clients of a run that share a project.

    `max_wait` bounds, in seconds, what one call waits for limits in all. `on_wait` hears of each wait when it begins;
    waits of several threads for the same reason at the same time are told and added up once.
    """

    def __init__(
        self,
        *,
        requests_per_minute: int = 240,
        requests_per_hour: int = 2400,
        queries_in_flight: int = 3,
        max_wait: float = 900.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        on_wait: Callable[[Wait], object] | None = None,
    ) -> None:
        if min(requests_per_minute, requests_per_hour, queries_in_flight) < 1:
            raise ValueError("requests_per_minute, requests_per_hour and queries_in_flight must be at least 1")
        if max_wait < 0:
            raise ValueError("max_wait must not be negative")
        self.max_wait = max_wait
        self.clock = clock
        self.on_wait = on_wait
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._windows = (
            _Window(requests_per_minute, _MINUTE, f"our limit of {requests_per_minute} requests a minute"),
            _Window(requests_per_hour, _HOUR, f"our limit of {requests_per_hour:,} requests an hour"),
        )
        self._free_queries = queries_in_flight
        self._paused_until = float("-inf")
        self._pause_reason = ""
        self._told_until = float("-inf")
        self._waited = 0.0
        self._bytes_remaining: int | None = None
        # One lock for all fields; notified when a query slot gets free and on cancel.
        self._changed = threading.Condition()

    def allowance(self) -> Allowance:
        """A fresh bound of `max_wait` for the waits of one call."""
        return Allowance(self.max_wait)

    def request(self, allowance: Allowance | None = None) -> None:
        """Take the right to send one request, waiting for it as long as need be.

        Raises WaitTooLong before a wait that passes the allowance, and Cancelled.
        """
        allowance = allowance or self.allowance()
        while True:
            self.check()
            with self._changed:
                now = self.clock()
                seconds, reason = self._delay(now)
                if seconds <= _ROUNDING:
                    for window in self._windows:
                        window.sent.append(now)
                    return
            self.wait(seconds, reason, allowance)

    @contextmanager
    def query(self) -> Iterator[None]:
        """Hold one of the places for queries in flight. Raises Cancelled."""
        with self._changed:
            self._changed.wait_for(lambda: self._free_queries > 0 or self.cancelled)
            self.check()
            self._free_queries -= 1
        try:
            yield
        finally:
            with self._changed:
                self._free_queries += 1
                self._changed.notify()

    def pause(self, seconds: float, reason: str) -> None:
        """Let no request of any thread begin for so many seconds."""
        with self._changed:
            until = self.clock() + seconds
            if until > self._paused_until:
                self._paused_until = until
                self._pause_reason = reason

    def wait(self, seconds: float, reason: str, allowance: Allowance | None = None) -> None:
        """Wait now, tell of it, and add it up. Raises WaitTooLong and Cancelled."""
        if allowance is not None:
            allowance.take(seconds, reason)
        self._tell(seconds, reason)
        self.sleep(seconds)

    def sleep(self, seconds: float) -> None:
        """Sleep without telling, for the pace of polling. Raises Cancelled, at once when cancelled meanwhile."""
        self.check()
        self._sleep(seconds)
        self.check()

    def note_bytes_remaining(self, count: int) -> None:
        """Keep what PostHog said is left to read.

        Nothing waits for it: how fast it refills is not told, and the query that crosses zero still completes. The
        429 of the next one says how long to wait (posthog/api_queries_budget.py, autumn 2026).
        """
        with self._changed:
            self._bytes_remaining = count

    def cancel(self) -> None:
        """Wake every waiter with Cancelled and let nothing begin any more."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()

    def check(self) -> None:
        """Raises Cancelled after `cancel()`."""
        if self.cancelled:
            raise Cancelled("The run was stopped")

    @property
    def cancelled(self) -> bool:
        """Whether `cancel()` was called."""
        return self._stopped.is_set()

    @property
    def waited_seconds(self) -> float:
        """Seconds waited for limits and before retries; overlapping waits of several threads count once."""
        with self._changed:
            return self._waited

    @property
    def bytes_remaining(self) -> int | None:
        """Bytes that the project's queries may still read, by the last answer that said so."""
        with self._changed:
            return self._bytes_remaining

    def _delay(self, now: float) -> tuple[float, str]:
        delays = [(self._paused_until - now, self._pause_reason)]
        delays += [(window.delay(now), window.reason) for window in self._windows]
        return max(delays)

    def _tell(self, seconds: float, reason: str) -> None:
        with self._changed:
            now = self.clock()
            untold = now + seconds - max(now, self._told_until)
            if untold <= 0:
                return
            self._told_until = now + seconds
            self._waited += untold
        if self.on_wait is not None:
            self.on_wait(Wait(seconds, reason))


class _Window:
    """A sliding window: at most `limit` requests in any `span` seconds."""

    def __init__(self, limit: int, span: float, reason: str) -> None:
        self.limit = limit
        self.span = span
        self.reason = reason
        self.sent: deque[float] = deque(maxlen=limit)

    def delay(self, now: float) -> float:
        # The deque holds the last `limit` requests: one more may go when the oldest of them has left the window.
        if len(self.sent) < self.limit:
            return 0.0
        return self.sent[0] + self.span - now
