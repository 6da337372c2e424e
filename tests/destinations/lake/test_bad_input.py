"""What is wrong with a lake is told in one message before anything is fetched, and nothing there is touched."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from posthog_warehouse.destinations.errors import (
    DestinationError,
    DestinationHeld,
    DestinationUnusable,
)
from posthog_warehouse.destinations.lake import Lake
from tests.destinations.lake.azure import EXPIRED, AzureServer
from tests.destinations.lake.gcs import GcsServer
from tests.destinations.lake.lakes import LocalPlace, ObjectServer, Place, event, load_events, numbers
from tests.destinations.lake.s3 import S3Server
from tests.faults.syncing import LONG

ROWS = [event(n, f"2026-11-{20 + n % 2}T12:00:00Z") for n in range(10)]


def refused(url: str, kind: type[DestinationError], *words: str) -> None:
    with Lake(url) as lake, pytest.raises(kind) as raised:
        lake.check()
    said = str(raised.value)
    assert len(said) < 700
    for word in words:
        assert word in said


def foreign(place: Place) -> str:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"uuid": ["mine"]}), buffer)
    place.put("events/date=2026-11-20/mine.parquet", buffer.getvalue())
    return "mine.parquet"


def truncated(place: Place) -> str:
    path = next(iter(place.files("events")))
    content = place.get(path)
    place.put(path, content[: len(content) // 2])
    return path


def no_parquet(place: Place) -> str:
    place.put("events/notes.parquet", b"to do")
    return "notes.parquet"


def empty(place: Place) -> str:
    place.put("events/empty.parquet", b"")
    return "empty.parquet"


@pytest.mark.parametrize(
    ("damage", "place"),
    [
        *((damage, "local") for damage in (foreign, truncated, no_parquet, empty)),
        *((damage, "s3") for damage in (foreign, truncated, no_parquet, empty) if LONG or damage is truncated),
    ],
    indirect=["place"],
)
def test_a_file_that_is_damaged_or_not_ours_makes_its_table_unusable(
    place: Place, damage: Callable[[Place], str]
) -> None:
    load_events(place, ROWS)
    path = damage(place)
    before = {each: place.get(each) for each in place.all_files()}
    with Lake(place.url) as lake:
        lake.check()
        [told] = lake.unusable_tables()
        assert list(lake.totals(["events", "persons"])) == [], "no number is given that may be wrong"
    assert told.table == "events"
    assert path in told.message
    assert place.url in told.message
    assert list(told.lost or ()) == ([path.split("=")[1][:10]] if damage is truncated else [])
    assert {each: place.get(each) for each in place.all_files()} == before

    place.remove(next(each for each in place.all_files() if each.endswith(path)))
    with Lake(place.url) as lake:
        lake.check()
        assert not lake.unusable_tables()
    load_events(place, ROWS)
    assert numbers(place) == list(range(10)), "and rows that are pulled again are there again"


def test_of_many_such_files_the_first_ones_are_named(local: LocalPlace) -> None:
    load_events(local, ROWS)
    for number in range(30):
        local.put(f"events/note-{number:02d}.parquet", b"to do")
    with Lake(local.url) as lake:
        lake.check()
        told = lake.unusable_tables()
    assert [each.message.count("note-") for each in told] == [1] * 5
    assert "25 more" in told[-1].message


def test_what_a_killed_run_noted_for_an_unusable_table_stays_noted(
    local: LocalPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compaction was cut off when its new file was there, which was damaged then: the old ones are all there is."""
    monkeypatch.setattr("posthog_warehouse.destinations.lake.merging.SMALL_BYTES", 10)
    for start in (0, 4, 8):
        load_events(local, [event(n, "2026-11-20T12:00:00Z") for n in range(start, start + 4)])
    old = {path: local.get(path) for path in local.files("events")}
    into = f"{next(iter(old)).rsplit('/', 1)[0]}/into.parquet"
    local.put(into, b"PAR1 cut off")
    note = {"into": into, "files": list(old)}
    local.put("_posthog_warehouse/compactions/a.json", json.dumps(note).encode())
    with Lake(local.url) as lake:
        lake.check()
        lake.dlt_destination()
    assert {path: local.get(path) for path in old} == old
    assert "_posthog_warehouse/compactions/a.json" in local.all_files()

    local.remove(into)
    with Lake(local.url) as lake:
        lake.check()
        lake.dlt_destination()
    assert numbers(local) == list(range(12))
    assert "_posthog_warehouse/compactions/a.json" not in local.all_files()


def test_a_lake_of_a_newer_version_is_left_alone(place: Place) -> None:
    load_events(place, ROWS)
    place.put("_posthog_warehouse/format.json", b'{"format": 99}')
    refused(place.url, DestinationUnusable, "newer version", "99")
    with pytest.raises(Exception, match="newer version"):
        load_events(place, [event(50, "2026-11-20T12:00:00Z")])
    assert 50 not in numbers(place)


@pytest.mark.parametrize("kind", ["s3", "gs", "az"])
def test_a_bucket_that_does_not_exist(kind: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue(kind)
    refused(f"{kind}://no-such-bucket-here/lake", DestinationUnusable, "no-such-bucket-here", "no bucket")


@pytest.mark.parametrize("kind", ["s3", "gs", "az"])
def test_a_bucket_with_nothing_in_it_will_do(kind: str, request: pytest.FixtureRequest) -> None:
    server: ObjectServer = request.getfixturevalue(kind)
    with Lake(f"{kind}://{server.new_bucket()}/lake") as lake:
        lake.check()
        assert lake.condition().is_new


def test_credentials_that_are_refused(s3: S3Server) -> None:
    bucket = s3.new_bucket()
    with s3.refusing():
        refused(f"s3://{bucket}/lake", DestinationUnusable, "refuses the access", "destination.filesystem.credentials")


def test_credentials_that_google_refuses(gs: GcsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    # gcsfs takes it for a fault that may pass, and asks again for half a minute: here without the waits in between.
    monkeypatch.setattr("gcsfs.retry.random", SimpleNamespace(random=lambda: -99.0))
    for name, value in gs.environment_as("who-left@a-project.iam.gserviceaccount.com").items():
        monkeypatch.setenv(name, value)
    refused(
        f"gs://{gs.new_bucket()}/lake",
        DestinationUnusable,
        *("refuses the access", "Invalid Credentials", "destination.filesystem.credentials"),
    )


def test_credentials_that_azure_refuses(az: AzureServer, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = az.new_bucket()
    for name, value in az.environment_with(EXPIRED).items():
        monkeypatch.setenv(name, value)
    with Lake(f"az://{bucket}/lake") as lake, pytest.raises(DestinationUnusable, match="refuses the access") as raised:
        lake.check()
    assert "destination.filesystem.credentials" in str(raised.value)
    assert "RequestId" not in str(raised.value)


def test_a_store_that_cannot_be_reached(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__FILESYSTEM__CREDENTIALS__ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    refused("s3://bucket-of-mine/lake", DestinationUnusable, "s3://bucket-of-mine/lake")


def test_a_store_without_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with Lake("s3://bucket-of-mine/lake") as lake, pytest.raises(DestinationError) as raised:
        lake.check()
    assert "destination.filesystem.credentials" in str(raised.value)


def test_a_kind_of_store_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NAME", "KEY"):
        monkeypatch.setenv(f"DESTINATION__FILESYSTEM__CREDENTIALS__AZURE_STORAGE_ACCOUNT_{name}", "anything")
    # In a process of its own: fsspec remembers the packages that it found.
    script = (
        "import sys; sys.modules['adlfs'] = None; from posthog_warehouse.destinations.lake import Lake; "
        "Lake('az://container/lake').check()"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    [said] = [line for line in ended.stderr.splitlines() if line.startswith("posthog_warehouse.destinations.errors.")]
    assert said.startswith("posthog_warehouse.destinations.errors.DestinationUnready: ")
    assert 'pip install "dlt[az]"' in said


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("not a folder")
    refused(str(tmp_path / "lake"), DestinationUnusable, "no folder")


def test_a_lake_that_another_process_holds(local: LocalPlace) -> None:
    load_events(local, ROWS)
    script = (
        "import sys; from posthog_warehouse.destinations.lake import Lake; "
        "lake = Lake(sys.argv[1]); lake.dlt_destination(); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, local.url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refused(local.url, DestinationHeld, str(holder.pid))
        with Lake(local.url) as lake, lake.reading() as reading:
            assert list(reading.tables) == ["events"], "who only reads is not kept out"
        holder.communicate("")
    with Lake(local.url) as lake:
        lake.check()


def test_a_lake_in_a_bucket_that_another_run_holds(s3: S3Server) -> None:
    url = f"s3://{s3.new_bucket()}/lake"
    script = (
        "import sys; from posthog_warehouse.destinations.lake import Lake; "
        "lake = Lake(sys.argv[1]); lake.dlt_destination(); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        refused(url, DestinationHeld, str(holder.pid))
        holder.kill()
    with Lake(url) as lake:
        lake.check()  # who was killed on this machine holds nothing


def test_nothing_is_made_by_a_check(tmp_path: Path) -> None:
    with Lake(str(tmp_path / "lake")) as lake:
        lake.check()
        assert lake.condition().is_new
    assert list(tmp_path.iterdir()) == []


def test_there_is_nothing_to_read_where_nothing_was_loaded(tmp_path: Path) -> None:
    with (
        Lake(str(tmp_path / "lake")) as lake,
        pytest.raises(DestinationUnusable, match="posthog-warehouse sync"),
        lake.reading(),
    ):
        pass
