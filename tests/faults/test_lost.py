"""What a sync relied on is gone or old: its working folder, the newest database, its process."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.faults.endstate import EndState, end_state, ledgers
from tests.faults.syncing import sync_here, sync_process

pytestmark = pytest.mark.slow


@pytest.fixture
def half_synced(posthog: Sandbox, database: Path, dlt_folder: Path) -> Path:
    """A database with two load packages, left behind by a process that was killed."""
    with sync_process(posthog, database, dlt_folder, die="counted", nth=2) as process:
        assert process.end() == -9, process.errors
    return database


def test_a_fresh_container_goes_on_from_the_database_alone(
    posthog: Sandbox, undisturbed: EndState, half_synced: Path, dlt_folder: Path, tmp_path: Path
) -> None:
    shutil.rmtree(dlt_folder)

    result = sync_here(posthog, half_synced).result

    assert result.status == "complete"
    assert 0 < result.rows["events"] < undisturbed["events"].rows
    assert end_state(half_synced) == undisturbed
    assert ledgers(half_synced, tmp_path / "fresh").is_backfilled


def test_a_database_restored_from_an_older_copy_is_brought_up_to_date(
    posthog: Sandbox, undisturbed: EndState, half_synced: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    files = [file for file in (half_synced, half_synced.with_name(f"{half_synced.name}.wal")) if file.exists()]
    for file in files:
        shutil.copy(file, copy)
    assert sync_here(posthog, half_synced).result.status == "complete"
    half_synced.unlink()
    for file in files:
        shutil.copy(copy / file.name, file)

    # dlt's working folder knows of the newer database, and must not be believed.
    result = sync_here(posthog, half_synced).result

    assert result.status == "complete"
    assert result.rows["events"] > 0
    assert end_state(half_synced) == undisturbed
    assert ledgers(half_synced, tmp_path / "fresh").is_backfilled


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_soon_and_costs_nothing(
    number: signal.Signals, posthog: Sandbox, undisturbed: EndState, database: Path, dlt_folder: Path
) -> None:
    with sync_process(posthog, database, dlt_folder, package_rows=1_500, leaf_rows=500) as process:
        assert process.until("loaded")
        process.signal_after(0.2, number)
        assert process.end() != 0
        packages = sum("loaded" in line for line in process.said)
        assert packages < 6, "it went on after the signal"

    assert sync_here(posthog, database).result.status == "complete"
    assert end_state(database) == undisturbed
