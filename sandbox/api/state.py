"""What all endpoints of one running sandbox share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import ParamSpec, TypeVar

from posthog_warehouse.sandbox.behaviour import Behaviour
from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.configuration.kinds import KINDS
from posthog_warehouse.sandbox.configuration.project import Configuration
from posthog_warehouse.sandbox.configuration.world import World
from posthog_warehouse.sandbox.store import Store

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
    """One server: its data, its behaviour, and everything it remembers between requests.

    Args:
        store: events, persons, recordings and groups.
        clock: the server's time.
        behaviour: how it behaves.
        project: the project; made up if not given.
        seed: of the configuration: cohorts, flags, insights and so on.
        until: the start of the sandbox: configuration made at first is not younger; now if not given.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        behaviour: Behaviour,
        project: Project | None = None,
        *,
        seed: int = 0,
        until: datetime | None = None,
    ) -> None:
        self.store = store
        self.clock = clock
        self.behaviour = behaviour
        self.project = project or Project()
        self.configuration = Configuration(
            World(store, seed, until or clock.now(), self.project.id, self.project.organization_id), KINDS
        )
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
