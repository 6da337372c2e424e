"""A run that is stopped (SIGSTOP) at any of its puts, and loses the lake meanwhile: what it still puts is not seen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from posthog_warehouse.destinations.lake import Lake
from posthog_warehouse.destinations.lake import lease as leases
from tests.destinations.lake.conftest import PLACES
from tests.destinations.lake.lakes import BucketPlace, ObjectServer, load, load_events, numbers, read
from tests.destinations.lake.pausing import Pausing, do, pausing
from tests.destinations.lake.test_dying import END, NEW, OLD, found
from tests.faults.syncing import LONG

pytestmark = pytest.mark.slow

Places = Callable[[int], BucketPlace]


@pytest.fixture(params=PLACES[1:] if LONG else ["s3"])
def places(request: pytest.FixtureRequest) -> Places:
    server: ObjectServer = request.getfixturevalue(request.param)
    bucket = server.new_bucket()
    return lambda nth: BucketPlace(server, bucket, f"lake-{nth}")


@pytest.fixture
def other(places: Places, tmp_path: Path) -> Iterator[Pausing]:
    """A run elsewhere: it knows nothing of what dlt has on this machine."""
    with pausing({**os.environ, "DLT_DATA_DIR": str(tmp_path / "another-machine")}) as process:
        yield process


@contextmanager
def as_soon_as_it_may() -> Iterator[None]:
    """Within, whoever wants the lake takes it, whoever has it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "LIMITS", leases.Limits(stale=0.0, margin=-60.0))
        yield


def each_put(step: int) -> Iterator[int]:
    yield from range(1, 100, 1 if LONG else step)
    raise AssertionError("it never ends")


def taken_over(other: Pausing, place: BucketPlace, work: tuple[str, Any], nth: int) -> str | None:
    """Does `work` in the place of a run that has stopped at the put number `nth`, and lets that one go on."""
    path = other.begin(place.url, *work, nth=nth)
    if path is None:
        return None
    with as_soon_as_it_may():
        do(place.url, *work)
    after = {name: place.get(name) for name in tables_in(place)}
    ended = other.go_on()
    assert ended["lost"], (path, ended)
    assert "has lost the lake" in ended["error"]
    assert {name: place.get(name) for name in tables_in(place)} == after, f"it has put {path} all the same"
    return path


def tables_in(place: BucketPlace) -> list[str]:
    """The files that a reader's globs find."""
    return [path for path in place.all_files() if path.endswith(".parquet") and not path.startswith("_")]


def next_run(place: BucketPlace) -> None:
    with Lake(place.url) as lake:
        lake.check()
        lake.dlt_destination()


def test_stopped_at_any_put_of_a_merge(places: Places, other: Pausing) -> None:
    kinds = set()
    for nth in each_put(7):
        place = places(nth)
        load_events(place, OLD)
        path = taken_over(other, place, ("merge", NEW), nth)
        assert sorted(found(place)) == sorted(END.items())
        next_run(place)
        load_events(place, NEW)
        assert sorted(found(place)) == sorted(END.items())
        if path is None:
            break
        kinds.add(path.removeprefix(f"object://{place.bucket}/{place.folder}/posthog/").split("/")[0])
    assert {"events", "_posthog_warehouse"} <= kinds
    assert nth > 11


@pytest.mark.parametrize("places", PLACES[1:] if LONG else ["gs"], indirect=True)
def test_stopped_at_any_put_of_an_append(places: Places, other: Pausing) -> None:
    """In the short form at Google, where what is removed must be there: S3 does not mind."""
    for nth in each_put(4):
        place = places(nth)
        load(place, "log", [{"n": 1}], write_disposition="append")
        path = taken_over(other, place, ("append", [{"n": 2}]), nth)
        # They have no key: what had come of the rows of the other run was taken back, for its package never counted.
        expected = [(1,), (2,)]
        assert read(place, "log", ["n"]) == expected, path
        next_run(place)
        assert read(place, "log", ["n"]) == expected, path
        if path is None:
            break
    assert nth > 4


def test_stopped_at_any_put_of_a_replacement(places: Places, other: Pausing) -> None:
    old, new = [{"id": n} for n in range(3)], [{"id": n} for n in range(2, 7)]
    for nth in each_put(4):
        place = places(nth)
        load(place, "cohorts", old, write_disposition="replace")
        path = taken_over(other, place, ("replace", new), nth)
        assert read(place, "cohorts", ["id"]) == [(row["id"],) for row in new]
        next_run(place)
        assert read(place, "cohorts", ["id"]) == [(row["id"],) for row in new]
        if path is None:
            break
    assert nth > 4


def test_stopped_at_any_put_of_compact(places: Places, other: Pausing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("posthog_warehouse.destinations.lake.merging.SMALL_BYTES", 10)
    for nth in each_put(25):
        place = places(nth)
        for start in (0, 4, 8):
            load_events(place, OLD[start : start + 4])
        path = taken_over(other, place, ("compact", None), nth)
        assert numbers(place) == list(range(12))
        next_run(place)
        assert numbers(place) == list(range(12))
        if path is None:
            break
    assert nth > 4


def test_a_name_that_was_sealed_is_kept(places: Places, other: Pausing) -> None:
    """A file without rows stands where the other run may still put one; it takes rows, and is not compacted away."""
    place = places(0)
    load_events(place, OLD[:1])
    path = other.begin(place.url, "merge", OLD[1:], nth=1, part="/events/date=")
    assert path is not None
    name = path.removeprefix(f"object://{place.bucket}/{place.folder}/posthog/")
    with as_soon_as_it_may():
        next_run(place)
    assert name in place.files("events")
    assert numbers(place) == [0]
    load_events(place, OLD)
    with Lake(place.url) as lake:
        list(lake.compact())
    assert name in place.files("events")
    assert numbers(place) == list(range(12))
    other.go_on()
    assert numbers(place) == list(range(12))


def test_a_package_that_is_taken_up_again_counts(places: Places, other: Pausing) -> None:
    """A run of the same machine that goes on where a dead one stopped writes records of the same names."""
    place = places(0)
    load(place, "log", [{"n": 1}], write_disposition="append")
    path = other.begin(place.url, "append", [{"n": 2}], nth=1, part="_dlt_loads/")
    assert path is not None
    with as_soon_as_it_may(), Lake(place.url) as lake:
        lake.dlt_destination()
        store = lake._store
        name = path.removeprefix(f"object://{store.root}/")
        assert name in store.fence.sealed
        with store.fence.naming(name):
            store.write_text(name, "{}")
        assert name not in store.fence.sealed
        with Lake(place.url) as again:
            assert name not in again._store.fence.sealed
