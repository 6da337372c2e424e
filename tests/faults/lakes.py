"""Lakes of the fault tests: what an undisturbed sync leaves there, for all readers."""

from __future__ import annotations

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE
from tests.destinations.lake.lakes import Place
from tests.destinations.lake.readers import READERS, Seen, can_read
from tests.faults.syncing import LONG


def assert_whole(place: Place, posthog: Sandbox, expected: Seen) -> None:
    """All tables have their keys once, and all readers find the events of an undisturbed run."""
    with place.connect() as con:
        for name, table in CORE.items():
            glob = f"read_parquet('{place.url}/posthog/{name}/**/*.parquet', union_by_name=true)"
            counted = con.execute(f"SELECT count(*), count(DISTINCT {table.key}) FROM {glob}").fetchone()
            assert counted == (posthog.counts()[name],) * 2, name
    for name, read in READERS.items():
        # Spark comes with a JVM: in the short form it reads one lake, in a test of its own.
        if can_read(name) and (LONG or name != "spark"):
            assert read(place) == expected, name
