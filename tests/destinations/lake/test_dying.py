"""Dead before any change of a load: nothing is lost, no key stands twice in the next run, its end state is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from posthog_warehouse.destinations.errors import DestinationUnusable
from posthog_warehouse.destinations.lake import Lake, compacting
from posthog_warehouse.destinations.lake.atomic_swap import exchange
from tests.destinations.lake.dying import dying
from tests.destinations.lake.lakes import LocalPlace, Place, S3Place, event, load, load_events, numbers, read
from tests.destinations.lake.s3 import S3Server
from tests.faults.syncing import LONG

pytestmark = pytest.mark.slow

DAYS = ("2026-11-20", "2026-11-21", "2026-11-22")
OLD = [event(n, f"{DAYS[n % 3]}T12:00:00Z") for n in range(12)]
NEW = [
    *(event(n, f"{DAYS[n % 3]}T12:00:00Z") for n in range(3)),  # as they were
    *(event(n, f"{DAYS[n % 3]}T12:00:00Z", event="changed") for n in range(3, 6)),
    *(event(n, "2026-11-25T12:00:00Z", event="moved") for n in range(6, 8)),
    *(event(n, f"{DAYS[n % 2]}T13:00:00Z") for n in range(12, 15)),  # late ones
    *(event(n, "2026-11-26T12:00:00Z") for n in range(15, 18)),  # of a new day
]
END = {
    **{int(row["uuid"][-12:]): (row["event"], row["timestamp"][:10]) for row in OLD},
    **{int(row["uuid"][-12:]): (row["event"], row["timestamp"][:10]) for row in NEW},
}


def found(place: Place) -> list[tuple[int, tuple[str, str]]]:
    rows = read(place, "events", ["CAST(right(uuid, 12) AS INTEGER)", "event", "CAST(date AS VARCHAR)"])
    return [(number, (name, day)) for number, name, day in rows]


def each_place(tmp_path: Path, server: S3Server | None) -> Callable[[int], Place]:
    if server is None:
        return lambda nth: LocalPlace(tmp_path / f"lake-{nth}")
    bucket = server.new_bucket()
    return lambda nth: S3Place(server, bucket, f"lake-{nth}")


def each_change(places: Callable[[int], Place]) -> Iterator[int]:
    """Numbers of changes to die before: all of them, or in the short form some."""
    step = 1 if LONG else 3 if isinstance(places(0), LocalPlace) else 11
    yield from range(1, 100, step)
    raise AssertionError("it never ends")


@pytest.fixture(params=["local", *(["s3"] if LONG else [])])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[int], Place]:
    return each_place(tmp_path, None if request.param == "local" else request.getfixturevalue("s3"))


def test_dead_before_any_change_of_a_merge(places: Callable[[int], Place], monkeypatch: pytest.MonkeyPatch) -> None:
    before = {int(row["uuid"][-12:]): (row["event"], row["timestamp"][:10]) for row in OLD}
    for nth in each_change(places):
        place = places(nth)
        load_events(place, OLD)
        with dying(monkeypatch, nth) as death:
            try:
                load_events(place, NEW)
            except PipelineStepFailed:
                assert death.died
        now = found(place)
        assert before.keys() <= {number for number, _ in now}, "nothing is lost, whenever somebody looks"
        for number, row in now:
            assert row in {before.get(number), END[number]}, "each row is the old one or the new one"
        twice = {number for number, _ in now if numbers(place).count(number) > 1}
        assert twice <= {6, 7}, "only what moves to another day is seen twice for a moment"
        with Lake(place.url) as destination:  # what any next run begins with
            destination.check()
            destination.dlt_destination()
        assert len(numbers(place)) == len(set(numbers(place))), "and not after the next run has begun"
        load_events(place, NEW)
        assert sorted(found(place)) == sorted(END.items())
        if not death.died:
            break
    assert nth > 6


def test_dead_before_any_change_of_an_append(places: Callable[[int], Place], monkeypatch: pytest.MonkeyPatch) -> None:
    for nth in each_change(places):
        place = places(nth)
        load(place, "log", [{"n": 1}], write_disposition="append")
        with dying(monkeypatch, nth) as death:
            try:
                load(place, "log", [{"n": 2}], write_disposition="append")
            except PipelineStepFailed:
                assert death.died
        counted = read(place, "log", ["n"])
        # The next run takes back what does not count, and brings it again.
        load(place, "log", [{"n": 3} if not death.died else {"n": 2}], write_disposition="append")
        rows = read(place, "log", ["n"])
        if not death.died:
            assert rows == [(1,), (2,), (3,)]
            return
        assert rows in ([(1,), (2,)], [(1,), (2,), (2,)])
        if rows == [(1,), (2,), (2,)]:
            # The package's state was written, with which it counts: only dlt's record of the load is missing.
            assert counted == [(1,), (2,)]


def test_a_script_that_takes_its_package_up_again_adds_its_rows_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dlt_folder: Path
) -> None:
    """dlt keeps what it was loading in its working folder, and goes on there in the next run of a script."""
    for nth in each_change(each_place(tmp_path, None)):
        place = LocalPlace(tmp_path / f"lake-{nth}")
        load(place, "log", [{"n": 1}], write_disposition="append")
        with dying(monkeypatch, nth) as death:
            try:
                load(place, "log", [{"n": 2}], write_disposition="append", fresh=False)
            except PipelineStepFailed:
                assert death.died
        if not death.died:
            return
        load(place, "log", [{"n": 2}], write_disposition="append", fresh=False)
        assert read(place, "log", ["n"]) == [(1,), (2,)]


def test_dead_before_any_change_of_a_replacement(
    places: Callable[[int], Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = [{"id": n} for n in range(3)], [{"id": n} for n in range(2, 7)]
    for nth in each_change(places):
        place = places(nth)
        load(place, "cohorts", old, write_disposition="replace")
        with dying(monkeypatch, nth) as death:
            try:
                load(place, "cohorts", new, write_disposition="replace")
            except PipelineStepFailed:
                assert death.died
        assert read(place, "cohorts", ["id"]) in ([(row["id"],) for row in rows] for rows in (old, new))
        if not death.died:
            return


@pytest.mark.parametrize(
    ("way", "places"),
    [("exchange", "local"), ("none", "local"), *([("none", "s3")] if LONG else [])],
    indirect=["places"],
)
def test_dead_before_any_change_of_compact(
    way: str, places: Callable[[int], Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of a disk can be exchanged with others in one step, where its system can; objects never."""
    if way == "none":
        monkeypatch.setattr(compacting, "exchange", lambda *_: False)
    monkeypatch.setattr("posthog_warehouse.destinations.lake.merging.SMALL_BYTES", 10)
    rows = [event(n, f"2026-11-{20 + n % 2}T{n:02d}:00:00Z") for n in range(12)]
    for nth in each_change(places):
        place = places(nth)
        for start in (0, 4, 8):
            load_events(place, rows[start : start + 4])
        many = len(place.files("events"))
        with dying(monkeypatch, nth) as death, Lake(place.url) as lake, suppress(DestinationUnusable):
            list(lake.compact(["events"]))
        assert set(numbers(place)) == set(range(12)), "nothing is ever lost"
        if isinstance(place, LocalPlace) and way == "exchange":
            assert numbers(place) == list(range(12)), "and nothing is seen twice where folders can be exchanged"
        with Lake(place.url) as lake:
            list(lake.compact(["events"]))
        assert numbers(place) == list(range(12))
        assert len(place.files("events")) == 2 < many
        leftovers = [path for path in place.all_files() if "_posthog_warehouse" in path]
        assert {path.split("/")[1] for path in leftovers} <= {"format.json", "lock", "lease.json"}
        if not death.died:
            return


def test_folders_swap_their_names(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    if not exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this disk cannot exchange folders")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
