"""What all endpoints of one running sandbox share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from sandbox.behaviour import Behaviour
from sandbox.clock import Clock
from sandbox.store import Store

from .auth import KeyRing, Project
from .faults import Faults
from .query_cache import QueryCache
from .query_jobs import QueryJobs
from .request_log import RequestLog
from .throttle import Breaker, Budget, QuerySlots, RequestThrottle

#: ClickHouse runs one statement at a time; the other threads wait their turn off the event loop.
WORKERS = 16

P = ParamSpec("P")
T = TypeVar("T")


class State:
    """One server: its data, its behaviour, and everything it remembers between requests."""

    def __init__(self, store: Store, clock: Clock, behaviour: Behaviour, project: Project | None = None) -> None:
        self.store = store
        self.clock = clock
        self.behaviour = behaviour
        self.project = project or Project()
        self.keys = KeyRing()
        self.log = RequestLog()
        self.faults = Faults()
        self.throttle = RequestThrottle(clock)
        self.slots = QuerySlots()
        self.budget = Budget(clock, behaviour)
        self.breaker = Breaker(clock)
        self.cache = QueryCache(clock)
        self.jobs = QueryJobs(clock)
        self.stop: Callable[[], None] = lambda: None
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="sandbox")

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run blocking work without holding up the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: work(*args, **kwargs))

    def set_behaviour(self, behaviour: Behaviour) -> None:
        """Behave differently from now on. What is cached was right for another behaviour, so it goes."""
        self.behaviour = behaviour
        self.cache.clear()
