"""Jobs run a few at a time and a bounded number ahead; every result comes out, or the first error does."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.planning.worker_pool import Job, Split, run_jobs

DEADLINE = 10.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 4), st.integers(1, 6))
def test_every_result_comes_out_once_however_jobs_split(depths: list[int], threads: int, ahead: int) -> None:
    def job(path: tuple[int, ...], depth: int) -> Job[tuple[int, ...]]:
        def run() -> tuple[int, ...] | Split[tuple[int, ...]]:
            return path if depth == 0 else Split([job((*path, half), depth - 1) for half in (0, 1)])

        return run

    results = list(run_jobs((job((n,), d) for n, d in enumerate(depths)), threads=threads, ahead=ahead))
    assert len(results) == len(set(results)) == sum(2**depth for depth in depths)


def test_pieces_of_a_split_come_before_the_jobs_behind_it() -> None:
    def number(n: int) -> Job[int]:
        return lambda: n

    jobs: list[Job[int]] = [lambda: Split([number(1), number(2)]), number(3)]
    assert list(run_jobs(jobs, threads=1, ahead=1)) == [1, 2, 3]


def test_a_split_into_nothing_is_nothing() -> None:
    jobs: list[Job[int]] = [lambda: Split([]), lambda: 1]
    assert list(run_jobs(jobs, threads=2, ahead=2)) == [1]


@pytest.mark.parametrize(("threads", "ahead"), [(1, 1), (2, 3), (3, 4)])
def test_no_more_are_ahead_than_allowed_however_slow_the_reader(threads: int, ahead: int) -> None:
    lock = threading.Lock()
    started, taken, most = 0, 0, 0

    def job() -> int:
        nonlocal started, most
        with lock:
            started += 1
            most = max(most, started - taken)
        return started

    drawn = 0

    def jobs() -> Iterator[Job[int]]:
        nonlocal drawn
        for _ in range(40):
            drawn += 1
            yield job

    for _ in run_jobs(jobs(), threads=threads, ahead=ahead):
        with lock:
            taken += 1
        assert drawn <= taken + ahead, "jobs are drawn before there is room"
    assert taken == 40
    assert most <= ahead + 1


def test_the_next_results_are_fetched_while_the_reader_is_busy() -> None:
    third = threading.Event()

    def last() -> int:
        third.set()
        return 3

    jobs: list[Job[int]] = [lambda: 1, lambda: 2, last]
    reading = run_jobs(jobs, threads=1, ahead=3)
    next(reading)
    assert third.wait(DEADLINE)
    assert sorted(reading) == [2, 3]


def test_the_first_error_is_raised_and_ends_the_rest() -> None:
    ran: list[int] = []

    def job(n: int) -> Job[int]:
        def run() -> int:
            ran.append(n)
            if n == 3:
                raise ValueError("three")
            return n

        return run

    before = threading.active_count()
    with pytest.raises(ValueError, match="three"):
        list(run_jobs((job(n) for n in range(1_000)), threads=2, ahead=3))
    assert max(ran) <= 10
    assert threading.active_count() == before


def test_an_error_of_the_jobs_themselves_is_raised() -> None:
    def jobs() -> Iterator[Job[int]]:
        yield lambda: 1
        raise KeyError("planning")

    with pytest.raises(KeyError, match="planning"):
        list(run_jobs(jobs(), threads=2, ahead=2))


def test_closing_waits_for_what_runs_and_starts_nothing_more() -> None:
    entered, leave, ended = threading.Event(), threading.Event(), threading.Event()
    later: list[int] = []

    def slow() -> int:
        entered.set()
        assert leave.wait(DEADLINE)
        ended.set()
        return 2

    def late() -> int:
        later.append(1)
        return 3

    jobs: list[Job[int]] = [lambda: 1, slow, *([late] * 5)]
    reading = run_jobs(jobs, threads=1, ahead=4)
    assert next(reading) == 1
    assert entered.wait(DEADLINE)
    threading.Timer(0.05, leave.set).start()
    reading.close()  # type: ignore[attr-defined]  # a generator, which its type does not say
    assert ended.is_set()
    assert not later
