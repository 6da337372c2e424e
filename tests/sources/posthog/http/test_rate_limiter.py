from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.errors import Cancelled, WaitTooLong
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget, Wait
from tests.sources.posthog.httpserver import FakeClock

PROMPT = 10.0  # seconds within which a thread must have been woken


def budget_with(clock: FakeClock, **limits: float) -> Budget:
    return Budget(clock=clock, sleep=clock.sleep, **limits)  # type: ignore[arg-type] # numbers of either kind


@given(
    pauses=st.lists(st.floats(0, 40), min_size=1, max_size=60),
    per_minute=st.integers(1, 8),
    per_hour=st.integers(1, 30),
)
def test_no_minute_and_no_hour_sees_more_requests_than_allowed(
    pauses: list[float], per_minute: int, per_hour: int
) -> None:
    clock = FakeClock()
    budget = budget_with(clock, requests_per_minute=per_minute, requests_per_hour=per_hour, max_wait=1e9)
    sent = []
    for pause in pauses:
        clock.now += pause
        budget.request()
        sent.append(clock.now)
    for limit, span in ((per_minute, 60.0), (per_hour, 3600.0)):
        assert all(later - first >= span - 1e-3 for first, later in zip(sent, sent[limit:], strict=False))


def test_requests_below_the_limits_wait_for_nothing() -> None:
    clock = FakeClock()
    budget = budget_with(clock)
    for _ in range(240):
        budget.request()
    assert clock.slept == []
    budget.request()
    assert clock.slept == [60.0]


def test_a_full_hour_is_waited_out_only_within_max_wait() -> None:
    clock = FakeClock()
    budget = budget_with(clock, requests_per_hour=2, max_wait=900)
    budget.request()
    clock.now += 2800
    budget.request()
    budget.request()
    assert clock.slept == [800.0]
    with pytest.raises(WaitTooLong, match=r"2,800 s.*900 s allowed.*--max-wait") as caught:
        budget.request()
    assert caught.value.seconds == 2800
    assert clock.slept == [800.0], "a wait that is too long is not begun"


def test_the_waits_of_one_call_are_bounded_in_all() -> None:
    clock = FakeClock()
    budget = budget_with(clock, max_wait=100)
    allowance = budget.allowance()
    budget.wait(60, "x", allowance)
    with pytest.raises(WaitTooLong):
        budget.wait(60, "x", allowance)
    budget.wait(60, "x", budget.allowance())


def test_a_pause_holds_every_request_and_the_longest_counts() -> None:
    clock = FakeClock()
    waits: list[Wait] = []
    budget = Budget(clock=clock, sleep=clock.sleep, on_wait=waits.append)
    budget.pause(30, "the read budget")
    budget.pause(10, "something shorter")
    budget.request()
    assert waits == [Wait(30.0, "the read budget")]
    assert budget.waited_seconds == 30


def test_waits_at_the_same_time_are_told_and_added_up_once() -> None:
    clock = FakeClock()
    waits: list[Wait] = []
    budget = Budget(clock=clock, sleep=lambda _: None, on_wait=waits.append)
    for _ in range(3):
        budget.wait(20, "x")
    clock.now += 5
    budget.wait(20, "x")
    assert waits == [Wait(20, "x"), Wait(20, "x")]
    assert budget.waited_seconds == 25


def test_no_more_queries_are_in_flight_than_allowed() -> None:
    budget = Budget(queries_in_flight=3)
    running = 0
    most = 0
    lock = threading.Lock()
    three = threading.Barrier(3)

    def query(_: int) -> None:
        nonlocal running, most
        with budget.query():
            with lock:
                running += 1
                most = max(most, running)
            three.wait(PROMPT)  # passes only when three are in at once
            with lock:
                running -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(query, range(12)))
    assert most == 3


@pytest.mark.parametrize("waiting", ["sleep", "pause", "slot"])
def test_cancel_wakes_whoever_waits(waiting: str) -> None:
    told = threading.Event()
    budget = Budget(queries_in_flight=1, max_wait=1e6, on_wait=lambda _: told.set())
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            if waiting == "slot":
                told.set()
                with budget.query():
                    pass
            elif waiting == "sleep":
                budget.wait(1e5, "x")
            else:
                budget.request()
        except Cancelled as error:
            ended.append(error)

    budget.pause(1e5, "x")
    with budget.query():
        thread = threading.Thread(target=wait)
        thread.start()
        assert told.wait(PROMPT)
        budget.cancel()
        thread.join(PROMPT)
    assert not thread.is_alive()
    assert len(ended) == 1
    with pytest.raises(Cancelled):
        budget.request()


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Budget(queries_in_flight=0)
    with pytest.raises(ValueError, match="negative"):
        Budget(max_wait=-1)


def test_what_is_left_to_read_is_kept() -> None:
    budget = Budget()
    assert budget.bytes_remaining is None
    budget.note_bytes_remaining(-5)
    assert budget.bytes_remaining == -5
