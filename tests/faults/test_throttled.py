"""Every limit of PostHog's, with its periods made short: the same end state, and each wait is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.errors import WaitTooLong
from tests.faults.endstate import EndState, end_state
from tests.faults.syncing import LONG, sync_here

pytestmark = pytest.mark.slow

NOTHING_ELSE: dict[str, Any] = {"query_per_minute": None, "query_per_hour": None, "crud_per_minute": None}

THROTTLES: dict[str, tuple[dict[str, Any], str]] = {
    "requests a minute": (
        {"rate_limit_enabled": True, **NOTHING_ELSE, "query_per_minute": 5, "throttle_minute_seconds": 4.0},
        "PostHog's limit of requests",
    ),
    "requests an hour": (
        {"rate_limit_enabled": True, **NOTHING_ELSE, "query_per_hour": 5, "throttle_hour_seconds": 4.0},
        "PostHog's limit of requests",
    ),
    "queries at once": (
        {"concurrency_limit": 1, "concurrency_wait_seconds": 0.0},
        "other queries of this project to finish",
    ),
    "bytes read": (
        {
            "query_budget_enforced": True,
            "query_budget_capacity_bytes": 10_000_000,
            "query_budget_bytes_per_hour": 20_000_000,
            "throttle_hour_seconds": 2.0,
        },
        "PostHog's hourly read budget",
    ),
}


SILENT = [name for name in THROTTLES if name != "queries at once"] if LONG else ["requests a minute"]
"""Those that are met without a word of how long to wait, too."""


@pytest.mark.parametrize(
    ("throttle", "says_how_long"), [*((name, True) for name in THROTTLES), *((name, False) for name in SILENT)]
)
def test_a_throttled_sync_waits_tells_of_it_and_loads_everything(
    throttle: str, *, says_how_long: bool, posthog: Sandbox, undisturbed: EndState, database: Path
) -> None:
    behaviour, reason = THROTTLES[throttle]
    posthog.set_behaviour(**behaviour, retry_after_header=says_how_long)

    synced = sync_here(posthog, database)

    refused = [request for request in posthog.requests() if request["status"] == 429]
    assert refused, "the limit was never met"
    assert synced.result.status == "complete"
    assert end_state(database) == undisturbed
    assert reason in {wait.reason for wait in synced.waits}
    assert synced.result.waited_seconds > 0


TOO_LONG: dict[str, dict[str, Any]] = {
    "requests an hour": {"rate_limit_enabled": True, **NOTHING_ELSE, "query_per_hour": 24},
    "bytes read": {
        "query_budget_enforced": True,
        "query_budget_capacity_bytes": 30_000_000,
        "query_budget_bytes_per_hour": 1_000_000,
    },
}


@pytest.mark.parametrize("limit", TOO_LONG)
def test_a_wait_beyond_max_wait_stops_the_run_and_the_next_one_completes_it(
    limit: str, posthog: Sandbox, undisturbed: EndState, database: Path
) -> None:
    posthog.set_behaviour(**TOO_LONG[limit])

    stopped = sync_here(posthog, database, package_rows=2_000, leaf_rows=500, max_wait=5.0).result

    assert isinstance(stopped.stopped, WaitTooLong)
    assert stopped.status == "stopped"
    assert stopped.waited_seconds <= 5.0
    kept = stopped.totals["events"]
    assert 0 < kept < undisturbed["events"].rows, "what was whole is kept"

    posthog.reset_counters()
    posthog.set_behaviour(rate_limit_enabled=False, query_budget_enforced=False)
    later = sync_here(posthog, database).result
    assert later.status == "complete"
    assert later.rows["events"] < undisturbed["events"].rows, "what was whole is not asked for again"
    assert end_state(database) == undisturbed
