"""Sandboxes for everybody's tests. Each is a process of its own on a free port."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sandbox.local import Sandbox
from tests.local_postgres import LocalPostgres, local_postgres
from tests.sandboxes import started

if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    # Tests start programs by the hundred. Each would compile its modules anew, for half of its CPU time.
    os.environ["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "posthog-warehouse-bytecode")

StartSandbox = Callable[..., Sandbox]


@pytest.fixture(scope="session")
def sandbox_cloud() -> Iterator[Sandbox]:
    """A local PostHog Cloud shared by all tests of a worker: read from it, change nothing."""
    with started(events=20_000, persons=500, seed=7, days=20) as sandbox:
        yield sandbox


@pytest.fixture
def start_sandbox() -> Iterator[StartSandbox]:
    """Starts sandboxes of one's own, as `started` does; they stop after the test."""
    with ExitStack() as stack:

        def start(**options: Any) -> Sandbox:
            return stack.enter_context(started(**options))

        yield start


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    """A PostgreSQL for all tests of a worker: each takes a database of its own."""
    with local_postgres() as server:
        yield server
