"""A project's server and the file that it is loaded into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.posthog.readers.rest.loading import Warehouse


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """An empty one."""
    made = Warehouse(tmp_path)
    yield made
    made.close()
