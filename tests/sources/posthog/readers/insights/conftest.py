"""A small sandbox whose data stays as it is, and an empty warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandboxes import started
from tests.sources.posthog.readers.insights.warehouse import Warehouse

#: The noon after the week that tests look at (see `tests.sandbox.api.insights.facts`).


@pytest.fixture(scope="session")
def _still() -> Iterator[tuple[Sandbox, dict[str, Any]]]:
    with started(events=3_000, persons=200, seed=3, days=10) as sandbox:
        yield sandbox, sandbox.behaviour()


@pytest.fixture
def box(_still: tuple[Sandbox, dict[str, Any]]) -> Iterator[Sandbox]:
    """The sandbox. Switch what you like; do not change its data."""
    sandbox, behaviour = _still
    sandbox.reset_counters()
    yield sandbox
    sandbox.clear_faults()
    sandbox.set_behaviour(**behaviour)


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """An empty one."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    return Warehouse(tmp_path)
