"""Pages on their way into files: one is written while the next one is shaped, and there are no more."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.http import memory
from posthog_warehouse.sources.posthog.pages.spool import Spool, SpooledPage
from posthog_warehouse.sources.posthog.properties.catalogue import Tally
from posthog_warehouse.sources.posthog.properties.shred import ShapedPage
from posthog_warehouse.sources.posthog.readers.events import EventsReader
from posthog_warehouse.sources.posthog.settings import Settings
from posthog_warehouse.sources.posthog.sql.capabilities import MODERN_MODIFIERS
from posthog_warehouse.sources.posthog.sql.dialect import Dialect
from tests.sandboxes import started
from tests.sources.posthog.reading import EVERYTHING, connected, uuids_of

DIALECT = Dialect(modifiers=MODERN_MODIFIERS)
SETTINGS = Settings(leaf_rows=150, queries_in_flight=4, pages_ahead=4)
SECONDS = 60


@pytest.fixture(scope="module")
def posthog() -> Iterator[Sandbox]:
    with started(events=1_500, persons=60, seed=5, days=8, behaviour={"query_per_hour": None}) as sandbox:
        yield sandbox


class Watched(Spool):
    """Knows how many pages are in memory, and writes the first one when the second one is shaped."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, ["uuid"])
        self._lock = threading.Lock()
        self._second = threading.Event()
        self.shaped = self.written = self.most = 0

    def shape(self, page: pa.Table) -> ShapedPage:
        with self._lock:
            self.shaped += 1
            self.most = max(self.most, self.shaped - self.written)
            if self.shaped == 2:
                self._second.set()
        return ShapedPage(page, Tally())

    def __call__(self, page: pa.Table) -> SpooledPage:
        assert self._second.wait(SECONDS), "no other page was shaped meanwhile"
        spooled = super().__call__(page)
        with self._lock:
            self.written += 1
        return spooled


def test_one_page_is_written_while_the_next_one_is_shaped_and_no_more(posthog: Sandbox, tmp_path: Path) -> None:
    spool = Watched(tmp_path)
    found: Counter[str] = Counter()
    with connected(posthog) as client:
        for page in EventsReader(client, DIALECT, SETTINGS, shape=spool.shape, spool=spool).pages([EVERYTHING]):
            found.update(page.table.column("uuid").to_pylist())
    assert found == uuids_of(posthog)
    assert spool.shaped == spool.written > 5
    assert spool.most == 2


class Full(Spool):
    def __call__(self, page: pa.Table) -> SpooledPage:
        raise OSError(28, f"No space left on device for {page.num_rows} rows")


def test_a_disk_that_is_full_ends_the_read_and_holds_up_nobody(posthog: Sandbox, tmp_path: Path) -> None:
    with connected(posthog) as client:
        with pytest.raises(OSError, match="No space left"):
            list(EventsReader(client, DIALECT, SETTINGS, spool=Full(tmp_path, [])).pages([EVERYTHING]))
        whole = list(EventsReader(client, DIALECT, SETTINGS, spool=Spool(tmp_path, [])).pages([EVERYTHING]))
    assert sum(len(page.rows) for page in whole) == sum(uuids_of(posthog).values())
    for lock in (memory.one_page, memory.one_written):
        assert lock.acquire(timeout=SECONDS)
        lock.release()
