"""A store that stops answering, in whatever way and at whatever request: one message that says what to do."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
import s3fs
from dlt.pipeline.exceptions import PipelineStepFailed

from posthog_warehouse.destinations.errors import DestinationError, DestinationUnusable
from posthog_warehouse.destinations.lake import Lake
from tests.destinations.lake.lakes import S3Place, event, load_events, numbers
from tests.destinations.lake.proxy import FAULTS, FailingProxy
from tests.destinations.lake.s3 import S3Server
from tests.faults.syncing import LONG

pytestmark = pytest.mark.slow

ROWS = [event(n, f"2026-11-{20 + n % 2}T12:00:00Z") for n in range(10)]
STEP = 1 if LONG else 29


def check(place: S3Place) -> None:
    with Lake(place.url) as lake:
        lake.check()


def count(place: S3Place) -> None:
    with Lake(place.url) as lake:
        lake.totals(["events"])


def query(place: S3Place) -> None:
    with Lake(place.url) as lake, lake.reading() as reading:
        reading.rows(f"SELECT count(*) AS n FROM {reading.table('events')}")


def make_views(place: S3Place) -> None:
    with Lake(place.url) as lake:
        lake.dlt_destination()
        lake.finish({})


def compact(place: S3Place) -> None:
    with Lake(place.url) as lake:
        list(lake.compact())


def load(place: S3Place) -> None:
    load_events(place, ROWS)


@pytest.fixture
def proxy(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FailingProxy]:
    """In front of the server. What the client does by itself against failures is cut short, it only takes time."""
    monkeypatch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
    monkeypatch.setenv("LOAD__TRUNCATE_STAGING_DATASET", "true")  # as the program has it
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    monkeypatch.setattr(s3fs.S3FileSystem, "read_timeout", 1)
    with FailingProxy(s3.endpoint) as started:
        for name, value in s3.environment_at(started.endpoint).items():
            monkeypatch.setenv(name, value)
        yield started


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_fails_in_a_store_is_told_with_what_to_do(fault: str, s3: S3Server, proxy: FailingProxy) -> None:
    place = S3Place(s3, s3.new_bucket())
    load_events(place, ROWS)
    for work in (check, count, query, make_views, compact, load):
        assert_told(work, place, proxy, fault)
    load_events(place, ROWS)
    assert numbers(place) == list(range(10))


def assert_told(work: Callable[[S3Place], None], place: S3Place, proxy: FailingProxy, fault: str) -> None:
    """The store fails at one request after the other, until the work is done before it does."""
    for nth in itertools.count(1, STEP if fault != "hang" else 3 * STEP):
        proxy.fail(fault, nth=nth, for_good=True)
        try:
            work(place)
        except (DestinationError, PipelineStepFailed) as error:
            told = Lake(place.url).explain(error)
        else:
            # The last requests are nobody's loss: dlt empties its staging folder, which is empty, and the lake is let
            # go of; without that it is free in two minutes.
            assert all("lease.json" in path or "/posthog_staging/" in path for path in proxy.failed), proxy.failed
            assert nth > 1
            break
        finally:
            proxy.heal()
        assert isinstance(told, DestinationUnusable), told
        assert f"{place.url} failed" in told.message
        assert "same command again" in told.advice
        assert "core.py" not in told.message, "where in a library it failed helps nobody"
        assert "\n" not in told.message
