"""Limits: requests a minute and an hour, queries at once, bytes read, and failures that are replayed.

Sources: posthog/rate_limit.py, posthog/clickhouse/client/limit.py, posthog/api_queries_budget.py, PR#72777,
as of autumn 2026. Time is the sandbox's clock, so advancing it lets a limit pass. Used on the event loop,
except ``Budget`` and ``Breaker``, which worker threads call too.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import defaultdict, deque
from dataclasses import dataclass

from posthog_warehouse.sandbox.behaviour import Behaviour
from posthog_warehouse.sandbox.clock import Clock

from .envelope import ApiError, throttled

#: Failures double the replay period up to this.
LONGEST_REPLAY_SECONDS = 4 * 3600.0

#: Which limits count for a class of endpoints: names of fields of Behaviour. Classes with the same limit share it.
CLASSES = {
    "crud": ("crud_per_minute", "crud_per_hour"),
    "clickhouse": ("clickhouse_per_minute", "clickhouse_per_hour"),
    "persons": ("clickhouse_per_minute",),
    "query": ("query_per_minute", "query_per_hour"),
    "recordings": (
        "clickhouse_per_minute",
        "clickhouse_per_hour",
        "recordings_per_minute",
        "recordings_per_hour",
    ),
    "snapshots": (
        "clickhouse_per_minute",
        "clickhouse_per_hour",
        "snapshots_per_minute",
        "snapshots_per_hour",
    ),
}


class RequestThrottle:
    """A sliding window per limit and key, as Django REST framework keeps it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._history: dict[tuple[str, str], deque[float]] = defaultdict(deque)

    def check(self, behaviour: Behaviour, class_name: str, key: str) -> None:
        """Count a request.

        Raises:
            ApiError: 429. A refused request is not counted.
        """
        if not behaviour.rate_limit_enabled:
            return
        now = self._clock.now().timestamp()
        waits: list[float] = []
        for name in CLASSES[class_name]:
            minute = name.endswith("minute")
            window = behaviour.throttle_minute_seconds if minute else behaviour.throttle_hour_seconds
            limit: int | None = getattr(behaviour, name)
            if limit is None:
                continue
            history = self._history[name, key]
            while history and history[0] <= now - window:
                history.popleft()
            if len(history) >= limit:
                oldest = history[-limit] if limit else now
                waits.append(window - (now - oldest))
            else:
                history.append(now)
        if waits:
            seconds = max(1, math.ceil(max(waits)))
            unit = "second" if seconds == 1 else "seconds"
            raise throttled(
                f"Request was throttled. Expected available in {seconds} {unit}.",
                retry_after=seconds if behaviour.retry_after_header else None,
            )

    def reset(self) -> None:
        """Forget all requests."""
        self._history.clear()


class QuerySlots:
    """Running queries of the project. A query over the limit waits, then gets 429 without ``Retry-After``."""

    def __init__(self) -> None:
        self.running = 0
        self._freed = asyncio.Condition()

    async def take(self, behaviour: Behaviour, project_id: int, *, patient: bool = False) -> None:
        """Wait for a slot; ``patient`` waits without end, as background queries do.

        Raises:
            ApiError: 429 after ``concurrency_wait_seconds``.
        """
        limit = behaviour.concurrency_limit
        async with self._freed:
            if limit is not None and self.running >= limit:
                try:
                    await asyncio.wait_for(
                        self._freed.wait_for(lambda: self.running < limit),
                        timeout=None if patient else behaviour.concurrency_wait_seconds,
                    )
                except asyncio.TimeoutError:
                    raise throttled(
                        f"Exceeded maximum concurrency limit: {limit} for key: "
                        f"api:query:per-team:{project_id} and task: sandbox",
                        retry_after=None,
                    ) from None
            self.running += 1

    async def give_back(self) -> None:
        """Free a slot."""
        async with self._freed:
            self.running -= 1
            self._freed.notify_all()


class Budget:
    """The project's bytes: a bucket that refills by the hour and may be overdrawn by one hour's refill."""

    def __init__(self, clock: Clock, behaviour: Behaviour) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._capacity = behaviour.query_budget_capacity_bytes
        self._left = float(self._capacity)
        self._at = clock.now().timestamp()

    def _refill(self, behaviour: Behaviour) -> None:
        now = self._clock.now().timestamp()
        if behaviour.query_budget_capacity_bytes != self._capacity:
            # Someone changed the bucket: start it full.
            self._capacity = behaviour.query_budget_capacity_bytes
            self._left = float(self._capacity)
        rate = behaviour.query_budget_bytes_per_hour / behaviour.throttle_hour_seconds
        self._left = min(self._capacity, self._left + (now - self._at) * rate)
        self._at = now

    def left(self, behaviour: Behaviour) -> int:
        """Bytes that may still be read; below 0 when overdrawn."""
        with self._lock:
            self._refill(behaviour)
            return int(self._left)

    def spend(self, behaviour: Behaviour, bytes_read: int) -> int:
        """Take the cost of a finished query off and return what is left."""
        with self._lock:
            self._refill(behaviour)
            self._left = max(-float(behaviour.query_budget_bytes_per_hour), self._left - bytes_read)
            return int(self._left)

    def check(self, behaviour: Behaviour) -> None:
        """Refuse a query when nothing is left.

        Raises:
            ApiError: 429 with ``Retry-After`` of at most an hour.
        """
        if not behaviour.query_budget_enforced:
            return
        left = self.left(behaviour)
        if left > 0:
            return
        hour = behaviour.throttle_hour_seconds
        rate = behaviour.query_budget_bytes_per_hour / hour
        wait = hour if rate <= 0 else min(hour, (1 - left) / rate)
        seconds = max(1, math.ceil(wait))
        raise throttled(
            "This project has used up its hourly budget of bytes read by API queries. "
            f"Expected available in {seconds} seconds.",
            retry_after=seconds if behaviour.retry_after_header else None,
            # The exception is APIQueriesBudgetExceeded; its code is not confirmed.
            code="api_queries_budget_exceeded",
        )

    def reset(self, behaviour: Behaviour) -> None:
        """Fill the bucket."""
        with self._lock:
            self._capacity = behaviour.query_budget_capacity_bytes
            self._left = float(self._capacity)
            self._at = self._clock.now().timestamp()


@dataclass
class _Failures:
    count: int
    error: ApiError
    until: float


class Breaker:
    """Replays a query's failure without running it again, when Behaviour.failure_breaker is on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, _Failures] = {}

    def check(self, behaviour: Behaviour, cache_key: str) -> None:
        """Raise the known failure of this query, if it is still being replayed."""
        if not behaviour.failure_breaker:
            return
        with self._lock:
            known = self._failures.get(cache_key)
            if known is not None and known.until > self._clock.now().timestamp():
                raise known.error

    def failed(self, behaviour: Behaviour, cache_key: str, error: ApiError) -> None:
        """Note a failure that would happen again."""
        if not behaviour.failure_breaker:
            return
        threshold = 1 if error.code == "too_many_bytes" else behaviour.failure_breaker_threshold
        with self._lock:
            known = self._failures.get(cache_key)
            count = 1 if known is None else known.count + 1
            until = 0.0
            if count >= threshold:
                period = behaviour.failure_breaker_seconds * 2 ** (count - threshold)
                until = self._clock.now().timestamp() + min(period, LONGEST_REPLAY_SECONDS)
            self._failures[cache_key] = _Failures(count, error, until)

    def succeeded(self, cache_key: str) -> None:
        """Forget the failures of a query that ran."""
        with self._lock:
            self._failures.pop(cache_key, None)

    def reset(self) -> None:
        """Forget all failures."""
        with self._lock:
            self._failures.clear()
