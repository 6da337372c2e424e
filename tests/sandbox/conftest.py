"""ClickHouse in this process: chdb keeps one server per process, so every test that needs one shares it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.store import Store

#: The time at which the shared ClickHouse was started.
NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[Store]:
    """A store with empty tables. Tests put rows under a `team_id` of their own and leave other teams' alone."""
    store = Store(Clock(NOW))
    yield store
    store.close()
