"""A run that is stopped (SIGSTOP) at any of its puts into tables with a log, and loses them meanwhile."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from posthog_warehouse.destinations.lake import lease as leases
from tests.destinations.lake.lakes import event
from tests.destinations.lake.pausing import Pausing, do, pausing
from tests.destinations.lake.s3 import S3Server
from tests.destinations.open_tables.tables import FORMATS, S3Tables, load_events, numbers
from tests.faults.syncing import LONG

pytestmark = pytest.mark.slow

OLD = [event(n, f"2026-11-{20 + n % 3}T12:00:00Z") for n in range(9)]
NEW = [
    *OLD[:2],
    event(3, "2026-11-25T12:00:00Z", event="changed"),
    *(event(n, "2026-11-26T12:00:00Z") for n in (9, 10)),
]
CASES = [
    # An entry with changed rows, the first one of a table, and the record of the package.
    ("delta", "there", "_delta_log", 2),
    ("iceberg", "there", "metadata.json", 1),
    ("iceberg", "new", "version-hint.text", 1),
    ("delta", "there", "_dlt_loads/", 1),
]
MORE = [
    *(("delta", where, "_delta_log", 1) for where in ("there", "new")),
    ("iceberg", "new", "metadata.json", 2),
    ("iceberg", "there", "version-hint.text", 2),
]
EACH = [(name, where, "", nth) for name in FORMATS for where in ("there", "new") for nth in range(1, 16)]


@pytest.mark.parametrize("case", [*CASES, *([*MORE, *EACH] if LONG else [])], ids=str)
def test_stopped_at_a_put(
    case: tuple[str, str, str, int], s3: S3Server, other: Pausing, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, where, part, nth = case
    tables = S3Tables(name, f"s3://{s3.new_bucket()}/lake", s3)
    if where == "there":
        load_events(tables, OLD)
    work = (f"merge as {name}", NEW)
    path = other.begin(tables.url, *work, nth=nth, part=part)
    if path is None:
        assert not part, "it is done, and was never there"
        return
    with monkeypatch.context() as patch:
        patch.setattr(leases, "LIMITS", leases.Limits(stale=0.0, margin=-60.0))
        do(tables.url, *work)
    expected = list(range(11)) if where == "there" else [0, 1, 3, 9, 10]
    assert numbers(tables) == expected
    ended = other.go_on()
    assert ended["lost"], ended
    assert found(tables) == expected, "it has put an entry all the same"
    load_events(tables, NEW)
    assert numbers(tables) == expected
    changed = {str(row["uuid"])[-2:]: row["event"] for row in tables.read("events").to_pylist()}
    assert changed["03"] == "changed"


@pytest.fixture(scope="module")
def other(s3_server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pausing]:
    """A run elsewhere: it knows nothing of what dlt has on this machine."""
    folder = tmp_path_factory.mktemp("another-machine")
    with pausing({**os.environ, **s3_server.environment, "DLT_DATA_DIR": str(folder)}) as process:
        yield process


def found(tables: S3Tables) -> list[int]:
    """What we find, and who follows `version-hint.text`: not what was left over beside it."""
    with tables.opened() as destination, destination.reading() as reading:
        uuids = reading.rows(f"SELECT uuid FROM {reading.table('events')}")
    return sorted(int(row["uuid"][-12:]) for row in uuids)
