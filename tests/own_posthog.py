"""A local PostHog in the test's own process."""

from __future__ import annotations

import queue
import threading
from typing import Any

from posthog_warehouse.sandbox.api.state import State
from posthog_warehouse.sandbox.behaviour import Behaviour
from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.generator import Dataset, generate
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sandbox.server import listen, serve
from posthog_warehouse.sandbox.store import Store


class OwnPostHog:
    """As `Sandbox`, and its ClickHouse takes statements too. `posthog` talks to it."""

    """A local PostHog in this process, whose ClickHouse tests may write to."""

    def __init__(self, *, events: int, persons: int, seed: int, days: int) -> None:
        clock = Clock()
        self._store = Store(clock)
        until = clock.now().replace(second=0, microsecond=0)
        generate(self._store, Dataset(events=events, persons=persons, seed=seed, days=days, until=until))
        self._state = State(self._store, clock, Behaviour())
        ready: queue.Queue[dict[str, Any]] = queue.Queue()
        self._thread = threading.Thread(target=serve, args=(self._state, listen(0), ready.put), daemon=True)
        self._thread.start()
        self.posthog = Sandbox(ready.get(timeout=30))

    def execute(self, sql: str) -> None:
        """Runs a statement on its ClickHouse."""
        self._store.execute(sql)

    def close(self) -> None:
        """Ends it, and its data."""
        self._state.stop()
        self._thread.join(timeout=10)
        self._store.close()
