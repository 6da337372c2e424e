"""Data that paging finds hard to part: one timestamp, or one distinct_id, for far more rows than one answer holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartSandbox
from tests.faults.endstate import end_state
from tests.faults.syncing import LONG, sync_here

pytestmark = pytest.mark.slow

MAX_ROWS = 50_000 if LONG else 2_000
ONE_TIMESTAMP = 200_000 if LONG else 12_000
ONE_PERSON = 120_000 if LONG else 12_000

TIES: dict[str, dict[str, Any]] = {
    "one timestamp": {"count": ONE_TIMESTAMP, "timestamp": "2026-11-18T10:00:00.123456Z"},
    "one distinct_id in a day": {
        "count": ONE_PERSON,
        "timestamp": "2026-11-18T00:00:00.000001Z",
        "distinct_id": "the one",
        "spread_seconds": 86_000,
    },
    "one timestamp, distinct_id and event": {
        "count": ONE_PERSON,
        "timestamp": "2026-11-18T10:00:00.123456Z",
        "distinct_id": "the one",
        "event": "the same",
    },
}


@pytest.mark.parametrize("profile", ["cloud", "selfhosted-2023"] if LONG else ["selfhosted-2023"])
@pytest.mark.parametrize("tie", TIES)
def test_ties(tie: str, profile: str, start_sandbox: StartSandbox, database: Path) -> None:
    posthog = start_sandbox(events=1_000, persons=50, days=5, profile=profile, behaviour={"max_rows": MAX_ROWS})
    uuids = posthog.add_events(**TIES[tie])
    posthog.advance_clock(60)

    result = sync_here(posthog, database, leaf_rows=40_000).result

    assert result.status == "complete", result.checks
    assert all(check.extra == 0 and not check.reason for check in result.checks), result.checks
    events = end_state(database)["events"]
    assert events.rows == events.keys == posthog.counts()["events"] == 1_000 + len(set(uuids))
