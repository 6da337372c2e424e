"""A DuckDB file says clearly what is wrong with it, leaves nothing half made, and counts what it holds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import duckdb
import pytest

from posthog_warehouse.destinations.destination import Bounds
from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.destinations.errors import (
    DestinationError,
    DestinationForeign,
    DestinationHeld,
    DestinationUnusable,
)
from posthog_warehouse.destinations.views import VIEWS

HOLD = """
import duckdb, sys
con = duckdb.connect(sys.argv[1])
con.execute("CREATE TABLE IF NOT EXISTS theirs (a INT)")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def held(path: Path) -> Iterator[int]:
    """Another process that has the file open; its id."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process.pid
    process.communicate("")


def test_a_held_file_names_who_holds_it_and_is_left_alone(path: Path, held: int) -> None:
    for use in (DuckDbFile.check, DuckDbFile.read, lambda file: file.connection):
        with pytest.raises(DestinationHeld) as error:
            use(DuckDbFile(path))
        assert str(held) in error.value.message
        assert path.name in error.value.message
        assert "nothing is lost" in error.value.advice


def test_what_is_no_duckdb_file_is_not_touched(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 something else" * 1_000)
    before = path.read_bytes()
    with pytest.raises(DestinationForeign, match="not a DuckDB file"):
        DuckDbFile(path).check()
    assert path.read_bytes() == before


def test_a_folder_a_missing_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DestinationUnusable, match="is a folder"):
        DuckDbFile(tmp_path).check()
    with pytest.raises(DestinationUnusable, match="does not exist"):
        DuckDbFile(tmp_path / "none" / "a.duckdb").check()
    with pytest.raises(DestinationUnusable, match="There is no file"):
        DuckDbFile(tmp_path / "a.duckdb").read()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DestinationUnusable, match="cannot be written"):
        DuckDbFile(tmp_path / "a.duckdb").check()
    tmp_path.chmod(0o700)


def test_checking_makes_nothing_and_an_empty_new_file_goes(path: Path) -> None:
    with DuckDbFile(path) as file:
        file.check()
        assert not path.exists()
        assert file.connection is file.connection
        assert path.exists()
    assert not path.exists()


def fail_with(path: Path) -> None:
    with DuckDbFile(path) as file:
        file.connection.execute("SELECT 1")
        raise KeyError


def test_an_error_leaves_no_new_file_and_keeps_an_old_one(path: Path) -> None:
    with pytest.raises(KeyError):
        fail_with(path)
    assert not path.exists()

    duckdb.connect(str(path)).execute("CREATE TABLE theirs AS SELECT 1 AS a").close()
    with pytest.raises(KeyError):
        fail_with(path)
    with duckdb.connect(str(path)) as con:
        assert con.execute("SELECT a FROM theirs").fetchall() == [(1,)]


def test_every_error_is_a_destination_error() -> None:
    for kind in (DestinationForeign, DestinationHeld, DestinationUnusable):
        assert issubclass(kind, DestinationError)
        assert str(kind("It failed.", "Do this.")) == "It failed. Do this."


@pytest.fixture
def filled(path: Path) -> Iterator[DuckDbFile]:
    with DuckDbFile(path) as file:
        file.connection.execute(
            """
            CREATE SCHEMA posthog;
            CREATE TABLE posthog.events (uuid UUID, event VARCHAR, "timestamp" TIMESTAMPTZ, created_at TIMESTAMPTZ,
                distinct_id VARCHAR, person_id UUID);
            INSERT INTO posthog.events VALUES
                (uuid(), 'a', '2026-11-20 00:00:00+00', '2026-11-20 00:00:01+00', 'd', uuid()),
                (uuid(), 'a', '2026-11-19 23:59:59.999999+00', '2026-11-20 00:00:01+00', 'd', uuid()),
                (uuid(), 'a''b', '2026-11-20 12:00:00+00', '2026-11-22 00:00:00+00', 'd', uuid()),
                (uuid(), 'a', '1969-12-31 23:00:00+00', '2026-11-20 00:00:01+00', 'd', uuid());
            CREATE TABLE posthog.persons (person_id UUID, is_deleted BOOLEAN);
            INSERT INTO posthog.persons VALUES (uuid(), true), (uuid(), false), (uuid(), false);
            """
        )
        yield file


def test_events_are_counted_by_utc_day_and_name(filled: DuckDbFile, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.connection.execute("SET TimeZone = 'Asia/Kolkata'")
    assert filled.count_events(Bounds()) == {
        ("2026-11-20", "a"): 1,
        ("2026-11-19", "a"): 1,
        ("2026-11-20", "a'b"): 1,
        ("1969-12-31", "a"): 1,
    }


def test_bounds_of_a_count_are_half_open(filled: DuckDbFile) -> None:
    midnight = datetime(2026, 11, 20, tzinfo=timezone.utc)
    assert filled.count_events(Bounds(ts_from=midnight)) == {("2026-11-20", "a"): 1, ("2026-11-20", "a'b"): 1}
    assert sum(filled.count_events(Bounds(ts_to=midnight)).values()) == 2
    assert filled.count_events(Bounds(ts_from=midnight, created_to=datetime(2026, 11, 22, tzinfo=timezone.utc))) == {
        ("2026-11-20", "a"): 1
    }


def test_totals_and_keys_of_what_is_there(filled: DuckDbFile) -> None:
    assert filled.totals(["events", "persons", "person_distinct_ids"]) == {"events": 4, "persons": 3}
    assert filled.count_keys("persons", has_tombstones=True) == 2
    assert filled.count_keys("persons", has_tombstones=False) == 3
    assert filled.count_keys("person_distinct_ids", has_tombstones=False) == 0
    assert DuckDbFile(":memory:").count_events(Bounds()) == {}


def test_views_and_comments_come_with_their_tables(filled: DuckDbFile) -> None:
    descriptions = {"persons": ("It's persons", {"person_id": "The 'key'", "gone": "x"}), "gone": ("x", {})}
    for _ in range(2):
        filled.finish(descriptions)
    con = filled.connection
    assert con.execute("SELECT view_name FROM duckdb_views() WHERE schema_name = 'posthog'").fetchall() == [
        ("persons_current",)
    ], "a view whose tables are not there yet"
    assert con.execute("SELECT comment FROM duckdb_tables() WHERE table_name = 'persons'").fetchall() == [
        ("It's persons",)
    ]
    assert con.execute("SELECT count(*) FROM posthog.persons_current").fetchall() == [(2,)]
    con.execute("CREATE TABLE posthog.person_distinct_ids (distinct_id VARCHAR, person_id UUID)")
    owner = "00000000-0000-0000-0000-000000000001"
    con.execute("INSERT INTO posthog.person_distinct_ids VALUES ('d', ?)", [owner])
    filled.finish(descriptions)
    assert con.execute("SELECT DISTINCT person_id::VARCHAR FROM posthog.events_resolved").fetchall() == [(owner,)]
    views = con.execute("SELECT count(*) FROM duckdb_views() WHERE schema_name = 'posthog' AND comment IS NOT NULL")
    assert views.fetchall() == [(len(VIEWS),)]


def test_a_file_that_is_read_is_not_changed(filled: DuckDbFile, path: Path) -> None:
    filled.close()
    with DuckDbFile(path).read() as con:
        assert con.execute("SELECT count(*) FROM posthog.events").fetchall() == [(4,)]
        with pytest.raises(duckdb.InvalidInputException):
            con.execute("CREATE TABLE posthog.x (a INT)")


def test_two_files_and_two_datasets_have_different_identities(tmp_path: Path) -> None:
    identities = {
        DuckDbFile(tmp_path / name, dataset).identity for name in ("a.duckdb", "b.duckdb") for dataset in ("x", "y")
    }
    assert len(identities) == 4
    assert DuckDbFile(tmp_path / "sub" / ".." / "a.duckdb", "x").identity in identities


def test_a_file_named_like_its_schema_is_refused_before_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(DestinationUnusable, match="same name"):
        DuckDbFile(tmp_path / "posthog.duckdb", "PostHog").check()
    assert not list(tmp_path.iterdir())


def test_small_row_groups_are_put_together_where_there_are_many(tmp_path: Path) -> None:
    def insert(file: DuckDbFile, rows: int) -> int:
        file.connection.execute("INSERT INTO posthog.events SELECT uuid()::VARCHAR, range FROM range(?)", [rows])
        file.connection.execute("CHECKPOINT")
        found = file.connection.execute(
            "SELECT count(DISTINCT row_group_id) FROM pragma_storage_info('posthog.events')"
        ).fetchone()
        assert found is not None
        return int(found[0])

    with DuckDbFile(tmp_path / "warehouse.duckdb") as file:
        file.connection.execute("CREATE SCHEMA posthog; CREATE TABLE posthog.events (uuid VARCHAR, n BIGINT)")
        for number in range(30):
            assert insert(file, 1_000) == number + 1, "a checkpoint alone leaves them as they are"
    with DuckDbFile(tmp_path / "warehouse.duckdb") as file:
        file.dlt_destination()
        assert insert(file, 1_000) < 5
        assert file.totals(["events"]) == {"events": 31_000}


def row_groups(con: duckdb.DuckDBPyConnection) -> list[int]:
    found = con.execute(
        "SELECT sum(count) FROM pragma_storage_info('posthog.events') WHERE column_id = 0 "
        "AND segment_type != 'VALIDITY' GROUP BY row_group_id ORDER BY row_group_id"
    ).fetchall()
    return [int(rows) for (rows,) in found]


@pytest.mark.parametrize(
    "name", ["warehouse", "memory", "temp", "system", "main", "a b", "it's", 'say "hi"', "élan", "1"]
)
def test_row_groups_are_small_whatever_the_file_is_called_and_whoever_inserts(name: str, tmp_path: Path) -> None:
    with DuckDbFile(tmp_path / f"{name}.duckdb") as file:
        file.connection.execute("CREATE SCHEMA posthog; CREATE TABLE posthog.events (n BIGINT)")
        with file.connection.cursor() as cursor:
            cursor.execute("INSERT INTO posthog.events SELECT range FROM range(100_000)")
        file.connection.execute("CHECKPOINT")
        assert row_groups(file.connection) == [40_960, 40_960, 18_080]
    with duckdb.connect(str(tmp_path / f"{name}.duckdb"), read_only=True) as con:
        assert con.execute("SELECT count(*), sum(n) FROM posthog.events").fetchall() == [(100_000, 4_999_950_000)]


def test_a_file_with_large_row_groups_is_merged_into_as_any_other(tmp_path: Path) -> None:
    """Such as one that was made by an earlier version, or by dlt's own destination."""
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path), config={"storage_compatibility_version": "latest"}) as con:
        con.execute("CREATE SCHEMA posthog; CREATE TABLE posthog.events (n BIGINT, t VARCHAR)")
        con.execute("INSERT INTO posthog.events SELECT range, 'old' FROM range(300_000)")
        con.execute("CHECKPOINT")
        assert max(row_groups(con)) > 100_000
    with DuckDbFile(path) as file:
        con = file.connection
        for first in (0, 130_000, 290_000):
            con.execute("BEGIN")
            con.execute("DELETE FROM posthog.events WHERE n >= ? AND n < ?", [first, first + 100_000])
            con.execute("INSERT INTO posthog.events SELECT range + ?, 'new' FROM range(100_000)", [first])
            con.execute("COMMIT")
        con.execute("CHECKPOINT")
    expected = [("new", 300_000, 100_000 * 3), ("old", 90_000, 90_000)]
    with duckdb.connect(str(path)) as con:
        sql = "SELECT t, count(*), count(DISTINCT n) FROM posthog.events GROUP BY t ORDER BY t"
        assert con.execute(sql).fetchall() == expected
        con.execute("INSERT INTO posthog.events SELECT range + 1_000_000, 'theirs' FROM range(200_000)")
        con.execute("CHECKPOINT")
        assert con.execute(sql).fetchall() == [*expected, ("theirs", 200_000, 200_000)]
