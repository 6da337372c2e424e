"""`kill -9` at any moment, then the same command: the end state is an undisturbed run's."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.faults.endstate import EndState, end_state, ledgers
from tests.faults.moments import MOMENTS
from tests.faults.syncing import LONG, sync_here, sync_process

pytestmark = pytest.mark.slow

KILLS = 10 if LONG else 3
SEEDS = range(5) if LONG else range(1)
PACKAGE_SECONDS = 1.0
"""About what a package takes: a delay below it hits any part of one."""


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_at_random_moments(
    seed: int, posthog: Sandbox, undisturbed: EndState, database: Path, dlt_folder: Path
) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    killed = 0
    for _ in range(KILLS):
        with sync_process(posthog, database, dlt_folder, package_rows=1_500, leaf_rows=500) as process:
            # No kill comes before something is under way, and some come before anything of this run is committed.
            process.until("phase", times=2)
            process.until("loaded", times=chance.choice([0, 0, 1]))
            process.signal_after(chance.uniform(0, 1.5 * PACKAGE_SECONDS))
            killed += process.end() == -9

    assert killed >= min(KILLS, 3), "the sync was over before it could be killed"
    result = sync_here(posthog, database).result
    assert result.status == "complete"
    assert end_state(database) == undisturbed
    assert ledgers(database, database.parent / "fresh").is_backfilled


IN_THE_SECOND_PACKAGE = [("merged", 2), ("counted", 2)]
EVERY_COMMIT = [("staged", 2), ("marked", 2), *(("committed", nth) for nth in range(1, 19))]


@pytest.mark.parametrize("place", [*IN_THE_SECOND_PACKAGE, *(EVERY_COMMIT if LONG else [("committed", 4)])], ids=str)
def test_killed_behind_a_commit_that_dlt_has_not_noted(
    place: tuple[str, int], posthog: Sandbox, undisturbed: EndState, database: Path, dlt_folder: Path
) -> None:
    moment, nth = place
    with sync_process(posthog, database, dlt_folder, die=moment, nth=nth) as process:
        assert process.end() == -9, process.errors
        committed = [line for line in process.said if "loaded" in line]

    result = sync_here(posthog, database).result
    assert result.status == "complete"
    assert end_state(database) == undisturbed
    assert ledgers(database, database.parent / "fresh").is_backfilled
    if committed:
        assert result.rows["events"] < undisturbed["events"].rows, "what was committed is not asked for again"


@pytest.mark.parametrize("moment", sorted(set(MOMENTS) - {"committed", "changed", "logged"}) if LONG else ["staged"])
def test_a_plain_dlt_script_killed_there_goes_on_from_its_working_folder(
    moment: str, posthog: Sandbox, undisturbed: EndState, database: Path, dlt_folder: Path
) -> None:
    with sync_process(posthog, database, dlt_folder, die=moment, plain=True) as process:
        assert process.end() == -9, process.errors
    with sync_process(posthog, database, dlt_folder, plain=True) as process:
        assert process.end() == 0, process.errors

    assert {name: (state.rows, state.keys) for name, state in end_state(database).items()} == {
        name: (state.rows, state.keys) for name, state in undisturbed.items()
    }
