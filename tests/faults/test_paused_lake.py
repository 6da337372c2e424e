"""Stopped (SIGSTOP) at an upload, taken over by another run, and continued: nothing that it still puts is ever seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from posthog_warehouse.destinations.lake import Lake
from posthog_warehouse.sandbox.local import Sandbox
from tests.destinations.lake.conftest import PLACES
from tests.destinations.lake.lakes import BucketPlace, ObjectServer
from tests.destinations.lake.readers import Seen, by_duckdb
from tests.faults.lakes import assert_whole
from tests.faults.syncing import LONG, SyncProcess, long_only, sync_here, sync_process
from tests.sandboxes import started

pytestmark = pytest.mark.slow

MOMENTS = [("/events/date=", 3), ("/sync_windows/", 2), ("_dlt_pipeline_state/", 2)]
"""A file of events, one of a table that each package adds to, and the state that makes a package count."""


@pytest.fixture(params=PLACES[1:] if LONG else ["s3"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ObjectServer:
    server: ObjectServer = request.getfixturevalue(f"{request.param}_server")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def place(server: ObjectServer) -> BucketPlace:
    return BucketPlace(server, server.new_bucket())


def options_of(place: BucketPlace, **more: Any) -> dict[str, Any]:
    return {"destination": "parquet", "bucket_url": place.url, **more}


def taken_over(paused: SyncProcess, place: BucketPlace, posthog: Sandbox, expected: Seen, folder: Path) -> None:
    """Another run takes the lake, all of it is there, and the paused one adds nothing to that."""
    takes = options_of(place, package_rows=100_000, stale_seconds=0)
    with sync_process(posthog, folder / "unused", folder / "another-machine", **takes) as taker:
        assert taker.end() == 0, taker.errors
        assert taker.said[-1]["status"] == "complete"
    assert by_duckdb(place) == expected
    paused.go_on()
    assert paused.end() == 6, paused.errors
    assert "This run has lost the lake" in paused.said[-1]["error"]
    assert by_duckdb(place) == expected


@pytest.mark.parametrize("at", MOMENTS if LONG else MOMENTS[:1], ids=str)
def test_paused_at_an_upload_and_taken_over(
    at: tuple[str, int], place: BucketPlace, posthog: Sandbox, expected: Seen, tmp_path: Path
) -> None:
    options = options_of(place, pause_at=at[0], nth=at[1])
    with sync_process(posthog, tmp_path / "unused", tmp_path / "one-machine", **options) as paused:
        assert paused.until_paused(), paused.errors
        taken_over(paused, place, posthog, expected, tmp_path)
    assert sync_here(posthog, Lake(place.url)).result.status == "complete"
    assert_whole(place, posthog, expected)


@long_only
def test_paused_at_each_upload_in_turn(server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = server.new_bucket()
    undisturbed = BucketPlace(server, bucket, "undisturbed")
    with started(events=300, persons=30, seed=13, days=2) as posthog:
        assert sync_here(posthog, Lake(undisturbed.url)).result.status == "complete"
        expected = by_duckdb(undisturbed)
        for nth in range(1, 1_000):
            place, folder = BucketPlace(server, bucket, f"lake-{nth}"), tmp_path / str(nth)
            folder.mkdir()
            options = options_of(place, pause_at=f"/{place.folder}/", nth=nth, package_rows=200, leaf_rows=100)
            with sync_process(posthog, folder / "unused", folder / "one-machine", **options) as paused:
                if not paused.until_paused():
                    assert paused.end() == 0, paused.errors
                    break
                taken_over(paused, place, posthog, expected, folder)
            monkeypatch.setenv("DLT_DATA_DIR", str(folder / "a-third-machine"))
            assert sync_here(posthog, Lake(place.url)).result.status == "complete"
            assert by_duckdb(place) == expected
    assert nth > 40, "a sync of several packages has more uploads"
