"""`kill -9` while it loads into a Parquet lake: readers miss no row, and the same command ends as if undisturbed."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from posthog_warehouse.destinations.errors import DestinationUnusable
from posthog_warehouse.destinations.lake import Lake
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE
from tests.destinations.lake.conftest import PLACES
from tests.destinations.lake.lakes import BucketPlace, LocalPlace, ObjectServer, Place, S3Place
from tests.destinations.lake.proxy import FailingProxy
from tests.destinations.lake.readers import Seen, by_duckdb
from tests.destinations.lake.s3 import S3Server
from tests.faults.lakes import assert_whole
from tests.faults.syncing import LONG, sync_here, sync_process

pytestmark = pytest.mark.slow

KILLS = 20 if LONG else 3
MOMENTS = [("merged", 2), ("changed", 17)]
MORE = [("counted", 2), *(("changed", nth) for nth in range(1, 60, 3))]


@pytest.mark.parametrize("at", [*MOMENTS, *(MORE if LONG else [])], ids=str)
def test_killed_at_a_moment(
    at: tuple[str, int], posthog: Sandbox, expected: Seen, tmp_path: Path, dlt_folder: Path
) -> None:
    moment, nth = at
    place = LocalPlace(tmp_path / "lake")
    options = {"destination": "parquet", "bucket_url": place.url, "die": moment, "nth": nth}
    with sync_process(posthog, tmp_path / "unused", dlt_folder, **options) as process:
        assert process.end() == -9, process.errors
        committed = [line for line in process.said if "loaded" in line]
    if place.files("events"):
        seen = by_duckdb(place)
        assert seen.rows == seen.keys, "what a killed run left can be read, and nothing stands twice"

    result = sync_here(posthog, Lake(place.url)).result
    assert result.status == "complete"
    assert_whole(place, posthog, expected)
    if committed:
        assert result.rows["events"] < expected.rows, "what was committed is not asked for again"


@pytest.fixture(params=PLACES if LONG else ["local"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "local":
        return LocalPlace(tmp_path / "lake")
    server: ObjectServer = request.getfixturevalue(f"{request.param}_server")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return BucketPlace(server, server.new_bucket())


def test_killed_again_and_again_while_others_read(
    place: Place, posthog: Sandbox, expected: Seen, tmp_path: Path, dlt_folder: Path
) -> None:
    chance = random.Random(5)  # noqa: S311 - repeatable on purpose
    options = {"destination": "parquet", "bucket_url": place.url, "package_rows": 1_500, "leaf_rows": 500}
    killed, rows = 0, 0
    for _ in range(KILLS):
        with sync_process(posthog, tmp_path / "unused", dlt_folder, **options) as process:
            process.until("phase", times=2)
            process.until("loaded", times=chance.choice([0, 0, 1]))
            process.signal_after(chance.uniform(0, 1.5))
            killed += process.end() == -9
        if place.files("events"):
            seen = by_duckdb(place)
            assert seen.rows == seen.keys >= rows
            rows = seen.rows
    assert killed >= min(KILLS, 3), "the sync was over before it could be killed"
    assert sync_here(posthog, Lake(place.url)).result.status == "complete"
    assert_whole(place, posthog, expected)
    with Lake(place.url) as lake:
        list(lake.compact())
    assert_whole(place, posthog, expected)


@pytest.mark.parametrize("fault", ["500", "503", "reset"] if LONG else ["reset"])
def test_each_request_to_an_object_store_fails_in_turn(
    fault: str, s3_server: S3Server, posthog: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once: the client asks again. For good: the run says so, and the next one mends what it left."""
    tables = (CORE["persons"], CORE["person_distinct_ids"])
    counts = {table.name: posthog.counts()[table.name] for table in tables}
    with FailingProxy(s3_server.endpoint) as proxy:
        for name, value in s3_server.environment_at(proxy.endpoint).items():
            monkeypatch.setenv(name, value)
        place = S3Place(s3_server, s3_server.new_bucket(), "whole")
        assert sync_here(posthog, Lake(place.url), tables=tables).result.totals == counts
        requests = proxy.requests
        assert requests > 50
        step = 1 if LONG else requests // 2
        for nth in range(1, requests, step):
            again = S3Place(s3_server, place.bucket, f"{fault}-{nth}")
            proxy.fail(fault, nth=nth)
            result = sync_here(posthog, Lake(again.url), tables=tables).result
            assert len(proxy.failed) == 1
            assert (result.status, result.totals) == ("complete", counts)


def test_an_object_store_that_stays_away_ends_the_run_and_the_next_one_mends_it(
    s3_server: S3Server, posthog: Sandbox, expected: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with FailingProxy(s3_server.endpoint) as proxy:
        for name, value in s3_server.environment_at(proxy.endpoint).items():
            monkeypatch.setenv(name, value)
        place = S3Place(s3_server, s3_server.new_bucket())
        for nth in (2, 30, 60, 90, 120) if LONG else (30, 90):
            proxy.fail("503", nth=nth, for_good=True)
            with pytest.raises(DestinationUnusable) as raised:
                sync_here(posthog, Lake(place.url), package_rows=4_000)
            assert place.url in raised.value.message
            proxy.heal()
        assert sync_here(posthog, Lake(place.url)).result.status == "complete"
        assert_whole(place, posthog, expected)
