"""One local PostHog for the fault tests of a worker, and what an undisturbed sync of it leaves behind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from posthog_warehouse.destinations.lake import Lake
from posthog_warehouse.sandbox.local import Sandbox
from tests.destinations.lake.lakes import LocalPlace
from tests.destinations.lake.readers import Seen, by_duckdb
from tests.faults.endstate import EndState, end_state
from tests.faults.syncing import LONG, sync_here
from tests.sandboxes import started

EVENTS = 20_000 if LONG else 9_000
PERSONS = 400
SEED = 11
DAYS = 12
"""With a fixed time two local PostHogs hold the same data."""


@pytest.fixture(scope="session")
def shared_posthog() -> Iterator[Sandbox]:
    with started(events=EVENTS, persons=PERSONS, seed=SEED, days=DAYS) as sandbox:
        yield sandbox


@pytest.fixture
def posthog(shared_posthog: Sandbox) -> Iterator[Sandbox]:
    """The shared one: its behaviour and faults may be switched, its data stays as it is."""
    before = shared_posthog.behaviour()
    shared_posthog.reset_counters()
    yield shared_posthog
    shared_posthog.clear_faults()
    shared_posthog.set_behaviour(**before)
    shared_posthog.reset_counters()


@pytest.fixture(scope="session")
def undisturbed(shared_posthog: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> EndState:
    """What a sync without any fault leaves behind; it has every row that the local PostHog has."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        assert sync_here(shared_posthog, folder / "warehouse.duckdb").result.status == "complete"
    state = end_state(folder / "warehouse.duckdb")
    counts = shared_posthog.counts()
    assert {name: (table.rows, table.keys) for name, table in state.items()} == {
        name: (counts[name], counts[name]) for name in state
    }
    return state


@pytest.fixture(scope="session")
def expected(shared_posthog: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What readers find after a sync without any fault."""
    folder = tmp_path_factory.mktemp("undisturbed-lake")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        assert sync_here(shared_posthog, Lake(str(folder / "lake"))).result.status == "complete"
    seen = by_duckdb(LocalPlace(folder / "lake"))
    assert seen.rows == seen.keys == shared_posthog.counts()["events"]
    return seen


@pytest.fixture(autouse=True)
def dlt_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """dlt's working folder, for this test alone."""
    folder = tmp_path / "dlt"
    monkeypatch.setenv("DLT_DATA_DIR", str(folder))
    return folder


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"
