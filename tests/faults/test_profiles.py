"""A self-hosted PostHog of December 2023 with the same data gives the same tables as PostHog Cloud."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import StartSandbox
from tests.faults.conftest import DAYS, EVENTS, PERSONS, SEED
from tests.faults.endstate import EndState, end_state
from tests.faults.syncing import sync_here

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("project_timezone", ["UTC", "America/New_York"])
def test_an_old_self_hosted_server_gives_the_same(
    project_timezone: str, start_sandbox: StartSandbox, undisturbed: EndState, database: Path
) -> None:
    posthog = start_sandbox(
        events=EVENTS,
        persons=PERSONS,
        seed=SEED,
        days=DAYS,
        profile="selfhosted-2023",
        behaviour={"project_timezone": project_timezone},
    )

    result = sync_here(posthog, database).result

    assert result.status == "complete", result.checks
    assert end_state(database) == undisturbed
