"""Whatever runs there were, and however they ended: what the ledger promises to ask for has been asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.clock import DAY, HOUR, MAX, MIN, SECOND
from posthog_warehouse.sources.posthog.planning.intervals import Region, Window
from posthog_warehouse.sources.posthog.planning.ledger import Ledger, WindowPlan
from posthog_warehouse.sources.posthog.settings import Settings

MINUTE = 60 * SECOND
FIGURES = Settings()
START = 20_000 * DAY
"""A midnight: the time at which simulations begin."""


def holds(window: Window, timestamp: int, created_at: int) -> bool:
    return window.ts_from <= timestamp < window.ts_to and window.created_from <= created_at < window.created_to


def sync(state: dict[str, Any], now: int, since: int | None = None, until: int | None = None) -> WindowPlan:
    """A whole run."""
    ledger = Ledger(state)
    plan = ledger.plan(now, since, until, FIGURES)
    ledger.cover(plan, plan.windows)
    ledger.finish(plan)
    return plan


def area(windows: list[Window]) -> dict[tuple[int, int], tuple[int, int]]:
    """Spans of created_at by spans of timestamp."""
    return {window[:2]: window[2:] for window in windows}


@dataclass(frozen=True)
class Event:
    timestamp: int
    created_at: int
    visible_at: int


@dataclass(frozen=True)
class Run:
    now: int
    since: int | None
    until: int | None
    covers: float
    """The share of its windows that a run loads before it is killed; 1 is a run that finishes."""


minutes = st.integers(-40 * 24 * 60, 12 * 24 * 60)
events = st.lists(
    st.builds(
        lambda created, age, delay: Event(
            START + (created - age) * MINUTE, START + created * MINUTE, START + (created + delay) * MINUTE
        ),
        minutes,
        # How old it was on arrival: mostly fresh, some late ones, some from the future.
        st.one_of(st.integers(0, 60), st.integers(0, 45 * 24 * 60), st.integers(-300, 0)),
        # Up to the overlap.
        st.one_of(st.just(0), st.integers(0, 59)),
    ),
    min_size=1,
    max_size=30,
)


@st.composite
def histories(draw: st.DrawFn) -> list[Run]:
    runs, now = [], START
    for _ in range(draw(st.integers(1, 8))):
        days_back = draw(st.one_of(st.none(), st.integers(1, 60)))
        hours_ago = draw(st.one_of(st.none(), st.none(), st.integers(0, 72)))
        since = None if days_back is None else now - days_back * DAY
        until = None if hours_ago is None else now - hours_ago * HOUR
        if since is None or until is None or since < until:
            runs.append(Run(now, since, until, draw(st.sampled_from([0.0, 0.5, 1.0, 1.0]))))
        now += draw(st.one_of(st.integers(1, 90), st.integers(1, 3 * 24 * 60))) * MINUTE
    return runs


@settings(max_examples=400, deadline=None)
@given(histories(), events)
def test_every_event_that_is_promised_was_asked_for_when_it_could_be_seen(
    history: list[Run], happened: list[Event]
) -> None:
    last = history[-1].now if history else START
    # Two undisturbed runs end every history, with a sweep in each.
    history = [*history, Run(last + 3 * DAY, None, None, 1.0), Run(last + 6 * DAY, None, None, 1.0)]
    state: dict[str, Any] = {}
    seen: set[Event] = set()
    wanted_since: int | None = None
    asked: list[tuple[int, int, int]] = []
    """For each run that left something: since, until and the time up to which it asked."""

    for run in history:
        ledger = Ledger(state)
        plan = ledger.plan(run.now, run.since, run.until, FIGURES)
        done = plan.windows[: int(len(plan.windows) * run.covers)]
        if run.covers:
            ledger.cover(plan, done)
            since = run.since if run.since is not None else (MIN if wanted_since is None else wanted_since)
            wanted_since = since if wanted_since is None else min(wanted_since, since)
            asked.append((since, MAX if run.until is None else run.until, run.now))
        if run.covers == 1:
            ledger.finish(plan)
        seen |= {
            event
            for event in happened
            if event.visible_at <= run.now and any(holds(w, event.timestamp, event.created_at) for w in done)
        }
        assert all(w.created_to <= run.now for w in plan.windows), "asks for what may still come"

    assert wanted_since is not None
    for event in happened:
        last_run = history[-1].now
        if event.timestamp < wanted_since or event.created_at >= last_run - FIGURES.safety_lag:
            continue
        if event.visible_at > last_run:
            continue  # the overlap of the next run has it
        backfills = [now for since, until, now in asked if since <= event.timestamp < until]
        # A backfill asks for what was created before it: what came at that very moment is what came since.
        in_backfill = backfills and event.visible_at <= backfills[0] and event.created_at < backfills[0]
        came_in_time = event.timestamp >= event.created_at - FIGURES.sweep_span
        if in_backfill or came_in_time:
            assert event in seen


def test_a_first_run_asks_for_everything_once() -> None:
    plan = sync({}, START)
    assert plan.windows == [Window(MIN, MAX, MIN, START)]
    assert plan.is_first


def test_an_idle_run_asks_for_the_overlap_alone() -> None:
    state: dict[str, Any] = {}
    sync(state, START)
    soon = sync(state, START + MINUTE)
    assert [w.created_to - w.created_from for w in soon.windows] == [FIGURES.overlap]
    later = sync(state, START + 2 * HOUR)
    assert [w[2:] for w in later.windows] == [(START - FIGURES.overlap, START + 2 * HOUR - FIGURES.safety_lag)]
    assert all(w.ts_from >= START - FIGURES.live_span - 2 * DAY for w in later.windows)


def test_a_daily_sweep_takes_older_timestamps_and_everything_since_the_last_one() -> None:
    state: dict[str, Any] = {}
    sync(state, START)
    sync(state, START + 6 * HOUR)
    plan = sync(state, START + DAY + HOUR)
    oldest = min(plan.windows)
    assert plan.sweeps
    assert oldest.ts_from <= START - FIGURES.sweep_span
    assert oldest.created_from == START - FIGURES.overlap
    assert not sync(state, START + DAY + 2 * HOUR).sweeps


def test_since_moved_back_fetches_only_the_new_part() -> None:
    state: dict[str, Any] = {}
    sync(state, START, since=START - 10 * DAY)
    plan = sync(state, START + HOUR, since=START - 20 * DAY)
    end = START + HOUR - FIGURES.safety_lag
    live = [w for w in plan.windows if w.created_from > MIN]
    assert [w for w in plan.windows if w.created_from == MIN] == [
        Window(START - 20 * DAY, START - 10 * DAY, MIN, end),
    ]
    assert [w[2:] for w in live] == [(START - FIGURES.overlap, end)]
    assert Ledger(state).covered.covers(Window(START - 20 * DAY, START - 10 * DAY, MIN, end))
    again = sync(state, START + HOUR + MINUTE)
    assert all(w.created_from > MIN for w in again.windows), "the new part was fetched twice"


def test_since_moved_forward_forgets_nothing() -> None:
    state: dict[str, Any] = {}
    sync(state, START, since=START - 60 * DAY)
    # A narrower run, late enough for a sweep.
    sync(state, START + 2 * DAY, since=START + DAY)
    late = Event(START - 5 * DAY, START + DAY, START + DAY)
    plan = Ledger(state).plan(START + 4 * DAY, START - 60 * DAY, None, FIGURES)
    covered = Ledger(state).covered
    point = Window(late.timestamp, late.timestamp + 1, late.created_at, late.created_at + 1)
    assert covered.covers(point)
    assert plan.since == START - 60 * DAY
    assert all(w.created_from > MIN for w in plan.windows)


def test_until_leaves_the_rest_to_a_later_run_even_when_it_sweeps() -> None:
    state: dict[str, Any] = {}
    sync(state, START)
    until = START + HOUR
    swept = sync(state, START + 2 * DAY, until=until)
    assert swept.sweeps
    assert all(w.ts_to <= until for w in swept.windows)
    plan = sync(state, START + 2 * DAY + HOUR)
    missed = Region(plan.windows)
    assert missed.covers(Window(until, MAX, START - FIGURES.overlap, START + 2 * DAY)), "what was left out is lost"


def test_a_killed_run_is_taken_up_with_an_overlap_where_it_left_off() -> None:
    state: dict[str, Any] = {}
    sync(state, START)
    ledger = Ledger(state)
    killed = ledger.plan(START + 5 * HOUR, None, None, FIGURES)
    (window,) = killed.windows
    ledger.cover(killed, [window._replace(ts_to=START)])
    plan = Ledger(state).plan(START + 9 * HOUR, None, None, FIGURES)
    for created_at in (killed.created_to - FIGURES.overlap, killed.created_to):
        assert any(holds(w, START - HOUR, created_at) for w in plan.windows)


def test_the_state_stays_small_over_400_days() -> None:
    """Daily and hourly runs, with a since that moves on, an until that does, or neither."""
    for since_days, until_hours, step in ((None, None, DAY), (30, None, DAY), (None, 24, DAY), (7, 3, 5 * HOUR)):
        state: dict[str, Any] = {}
        now = START
        while now < START + 400 * DAY:
            since = None if since_days is None else now - since_days * DAY
            until = None if until_hours is None else now - until_hours * HOUR
            plan = sync(state, now, since, until)
            assert len(plan.windows) <= 8
            now += step + 7 * MINUTE
        assert len(state["covered"]) <= 4, (since_days, until_hours)


def test_a_server_whose_clock_went_back_is_asked_for_nothing_backwards() -> None:
    state: dict[str, Any] = {}
    sync(state, START)
    plan = sync(state, START - 3 * HOUR)
    assert all(w.created_to <= START for w in plan.windows)
    assert state["last"] == START


@pytest.mark.parametrize("late", [0, 25 * MINUTE, -25 * MINUTE], ids=["on time", "late", "early"])
def test_a_run_each_day_at_about_the_same_time_sweeps_each_time(late: int) -> None:
    state: dict[str, Any] = {}
    sync(state, START)

    assert sync(state, START + DAY + late).sweeps
    assert sync(state, START + 2 * DAY).sweeps
    assert not sync(state, START + 2 * DAY + 12 * HOUR).sweeps
