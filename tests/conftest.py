"""Sandboxes for everybody's tests. Each is a process of its own on a free port."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from posthog_warehouse.sandbox.local import Sandbox
from tests import one_name
from tests.local_postgres import LocalPostgres, local_postgres
from tests.sandboxes import started

if TYPE_CHECKING:
    from tests.destinations.lake.azure import AzureServer
    from tests.destinations.lake.gcs import GcsServer
    from tests.destinations.lake.s3 import S3Server

if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    # Tests start programs by the hundred. Each would compile its modules anew, for half of its CPU time.
    os.environ["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "posthog-warehouse-bytecode")

one_name.insist()

# How long an example takes depends on what else the machine does, and is nothing that a test is about.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

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


# Servers of object stores, imported where they are asked for: most tests need none.


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server for all tests of a worker: each takes a bucket of its own."""
    from tests.destinations.lake.s3 import S3Server  # noqa: PLC0415

    with S3Server() as server:
        yield server


@pytest.fixture(scope="session")
def gs_server() -> Iterator[GcsServer]:
    """A server of Google's storage, likewise."""
    from tests.destinations.lake.gcs import GcsServer  # noqa: PLC0415

    with GcsServer() as server:
        yield server


@pytest.fixture(scope="session")
def az_server() -> Iterator[AzureServer]:
    """A server of Azure's blobs, likewise."""
    from tests.destinations.lake.azure import AzureServer, is_installed  # noqa: PLC0415

    if not is_installed():
        pytest.skip("Azurite is not there: scripts/test installs it where npm is")
    with AzureServer() as server:
        yield server
