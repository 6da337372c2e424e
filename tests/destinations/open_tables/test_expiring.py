"""`compact` removes what nobody needs any more, and nothing that somebody may read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.table.metadata import TableMetadata

from posthog_warehouse.destinations.errors import DestinationForeign, DestinationUnusable
from posthog_warehouse.destinations.lake.store import Store
from posthog_warehouse.destinations.open_tables import iceberg
from posthog_warehouse.destinations.open_tables.expiring import cutoff_of, expired
from tests.destinations.lake.dying import Dead
from tests.destinations.lake.lakes import event
from tests.destinations.lake.s3 import S3Server
from tests.destinations.open_tables.tables import LocalTables, S3Tables, Tables, load_events, numbers
from tests.faults.syncing import LONG

Later = Callable[[float], None]


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    """Makes it so many days later."""

    def made(days: float) -> None:
        def shifted(metadata: TableMetadata) -> datetime:
            return cutoff_of(metadata, datetime.now(timezone.utc) + timedelta(days=days))

        monkeypatch.setattr(iceberg, "cutoff_of", shifted)

    return made


def changed_often(tables: Tables, times: int = 2) -> None:
    for n in range(times):
        load_events(tables, [event(i, "2026-11-20T12:00:00Z", event=f"change {n}") for i in range(n, n + 3)])


def compacted(tables: Tables) -> int:
    """Compacts. Returns how many files were removed."""
    with tables.opened() as destination:
        return sum(each.removed for each in destination.compact(["events"]))


def lying(tables: Tables) -> list[str]:
    with tables.opened() as destination:
        store: Store = destination._store
        return sorted(path for path in store.written("events") if not path.startswith("_delta_log"))


@pytest.fixture(params=["local", "s3"])
def iceberg_tables(request: pytest.FixtureRequest, tmp_path: Path) -> Tables:
    if request.param == "local":
        return LocalTables("iceberg", str(tmp_path / "lake"))
    server: S3Server = request.getfixturevalue("s3")
    return S3Tables("iceberg", f"s3://{server.new_bucket()}/lake", server)


def test_old_snapshots_and_their_files_go(iceberg_tables: Tables, later: Later) -> None:
    tables = iceberg_tables
    changed_often(tables)
    before = lying(tables)
    assert compacted(tables) == 0, "within a week somebody may still read all of it"
    assert set(before) < set(lying(tables))
    first = tables.iceberg("events").metadata.snapshots[0].snapshot_id
    was = tables.duckdb.execute(f"SELECT DISTINCT event FROM {tables.scan('events')[:-1]}, snapshot_from_id = {first})")
    assert was.fetchall() == [("change 0",)]

    later(8)
    assert compacted(tables) > 0
    assert numbers(tables) == [0, 1, 2, 3]
    left = tables.iceberg("events")
    assert len(left.metadata.snapshots) == 1
    assert {path.rsplit(".", 1)[-1] for path in lying(tables)} == {"parquet", "avro", "json", "text"}
    assert len([path for path in lying(tables) if path.endswith(".parquet")]) == 1
    [snapshot] = left.metadata.snapshots
    named = [snapshot.manifest_list, *(manifest.manifest_path for manifest in snapshot.manifests(left.io))]
    assert {path for path in lying(tables) if path.endswith(".avro")} == {f"metadata/{Path(n).name}" for n in named}
    assert compacted(tables) == 0
    load_events(tables, [event(9, "2026-11-20T12:00:00Z")])
    assert numbers(tables) == [0, 1, 2, 3, 9]


def test_a_snapshot_is_as_old_as_the_one_after_it(tmp_path: Path) -> None:
    """It may have been the table for a year, and somebody began to read a minute ago."""
    tables = LocalTables("iceberg", str(tmp_path / "lake"))
    changed_often(tables)
    metadata = tables.iceberg("events").metadata
    ids, times = zip(*((each.snapshot_id, each.timestamp_ms) for each in metadata.snapshots), strict=True)

    def gone(ms: float) -> list[int]:
        return expired(metadata, datetime.fromtimestamp(ms / 1000, timezone.utc))

    assert gone(times[1] - 0.5) == [], "the first one is older than that, and was the table until then"
    assert gone(times[1] + 0.5) == [ids[0]]
    assert gone(times[-1] + 1e9) == list(ids[:-1]), "what is the table stays, however old"


@pytest.mark.parametrize("step", ["commit", "some files"] if LONG else ["some files"])
def test_dead_between_the_snapshots_and_their_files(
    step: str, tmp_path: Path, later: Later, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = LocalTables("iceberg", str(tmp_path / "lake"))
    changed_often(tables)
    compacted(tables)
    later(8)
    files = len(lying(tables))
    deleted = Store.delete
    count = {"commit": 0, "some files": 3}[step]

    def mortal(self: Store, relative: str) -> None:
        nonlocal count
        if relative.startswith("events/"):
            if not count:
                raise Dead("the store is dead")
            count -= 1
        deleted(self, relative)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "delete", mortal)
        with pytest.raises(DestinationUnusable, match="the store is dead"):
            compacted(tables)
    assert len(tables.iceberg("events").metadata.snapshots) == 1
    assert numbers(tables) == [0, 1, 2, 3]
    assert len(lying(tables)) > files // 2
    assert compacted(tables) > 0
    assert len([path for path in lying(tables) if path.endswith(".parquet")]) == 1
    assert numbers(tables) == [0, 1, 2, 3]


def set_to_keep_nothing(tables: LocalTables) -> None:
    """As the owner of a table says it, with the format's own library."""
    if tables.format == "delta":
        tables.delta("events").alter.set_table_properties({"delta.deletedFileRetentionDuration": "interval 0 seconds"})
        return
    catalog = load_catalog("mine", type="sql", uri="sqlite:///:memory:")
    catalog.create_namespace("mine")
    table = catalog.register_table("mine.events", tables.metadata_files("events")[-1])
    with table.transaction() as transaction:
        transaction.set_properties({"history.expire.max-snapshot-age-ms": "0"})


def test_how_long_is_said_by_the_table(local: LocalTables) -> None:
    changed_often(local)
    folder = Path(local.url, "posthog", "events")
    left = folder / ("data/00000-0-left.parquet" if local.format == "iceberg" else "part-00000-left.parquet")
    shutil.copy(next(folder.rglob("*.parquet")), left)
    compacted(local)
    assert left.exists(), "a killed run may have left it, or somebody is about to name it"
    set_to_keep_nothing(local)
    assert compacted(local) >= 2
    assert not left.exists()
    assert len(list(folder.rglob("*.parquet"))) == 1
    assert numbers(local) == [0, 1, 2, 3]


def test_a_table_that_was_copied_is_left_alone(tmp_path: Path, later: Later) -> None:
    """Its metadata names the files of the table that it was copied from."""
    tables = LocalTables("iceberg", str(tmp_path / "lake"))
    changed_often(tables)
    shutil.copytree(tables.url, tmp_path / "copy")
    copy = LocalTables("iceberg", str(tmp_path / "copy"))
    later(8)
    before = lying(copy), lying(tables)
    with pytest.raises(DestinationForeign, match=r"events .* it was moved"):
        compacted(copy)
    with copy.opened() as destination, pytest.raises(DestinationForeign, match="it was moved"):
        destination.check()
    assert (lying(copy), lying(tables)) == before
