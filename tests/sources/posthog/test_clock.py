"""Clocks may be wrong, each in its turn: nothing is called covered that is still to come, and doubts are told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.clock import DAY, HOUR, MAX, MIN, SECOND, TOLERANCE, reckon
from posthog_warehouse.sources.posthog.planning.intervals import Region, Window
from posthog_warehouse.sources.posthog.planning.ledger import Ledger
from posthog_warehouse.sources.posthog.planning.list_ledger import EventWindows
from posthog_warehouse.sources.posthog.readers.rest.recording_state import Reading as RecordingsRead
from posthog_warehouse.sources.posthog.readers.rest.recording_state import forget_after, note_finished, note_reading
from posthog_warehouse.sources.posthog.readers.rest.recording_state import plan as recordings_plan
from posthog_warehouse.sources.posthog.settings import Settings

NOW = 1_795_953_600 * SECOND
SETTINGS = Settings()
AHEAD = NOW + 30 * HOUR


@pytest.mark.parametrize(
    ("witnesses", "now", "is_trusted", "words"),
    [
        pytest.param((NOW, NOW, NOW), NOW, True, "", id="all agree"),
        pytest.param((NOW + 5 * SECOND, NOW, NOW + 90 * SECOND), NOW, True, "", id="nearly"),
        pytest.param((NOW, NOW, NOW + 9 * DAY), NOW, True, "", id="this machine ahead"),
        pytest.param((NOW, NOW, 0), NOW, True, "", id="this machine without a battery"),
        pytest.param((AHEAD, NOW, NOW), NOW, True, "30 hours ahead of the Date", id="the database ahead"),
        pytest.param((0, NOW, NOW), NOW, True, "days behind the Date", id="the database in 1970"),
        pytest.param((NOW, NOW - HOUR, NOW), NOW, True, "60 minutes ahead", id="the Date of a proxy"),
        pytest.param((AHEAD, NOW, NOW + 9 * DAY), NOW, False, "agrees with neither", id="three of three"),
        pytest.param((0, NOW, NOW + 9 * DAY), 0, False, "agrees with neither", id="three of three, 1970"),
        pytest.param((NOW, None, NOW), NOW, True, "", id="no Date"),
        pytest.param((AHEAD, None, NOW), NOW, False, "30 hours ahead of this machine's", id="no Date, ahead"),
        pytest.param((NOW, None, AHEAD), NOW, False, "30 hours behind this machine's", id="no Date, behind"),
        pytest.param((None, NOW, AHEAD), NOW, True, "", id="no queries"),
        pytest.param((None, None, NOW), NOW, True, "", id="nobody else"),
    ],
)
def test_no_clock_is_believed_alone(
    witnesses: tuple[int | None, int | None, int],
    now: int,
    is_trusted: bool,  # noqa: FBT001 - a case
    words: str,
) -> None:
    clock = reckon(*witnesses)
    assert (clock.now, not clock.doubt) == (now, is_trusted)
    assert words in (clock.doubt or clock.remark)
    assert clock.is_disputed == bool(words)


_CLOCKS = st.integers(NOW - 400 * DAY, NOW + 400 * DAY) | st.sampled_from([0, NOW])


@given(st.none() | _CLOCKS, st.none() | _CLOCKS, _CLOCKS)
def test_the_bound_is_never_later_than_two_of_the_witnesses(asked: int | None, told: int | None, ours: int) -> None:
    clock = reckon(asked, told, ours)
    witnesses = sorted(each for each in (asked, told, ours) if each is not None)
    if asked is not None and len(witnesses) > 1:
        assert clock.now <= witnesses[-2] + TOLERANCE
    if clock.doubt:
        assert clock.now == witnesses[0] or clock.now == min(each for each in (asked, told) if each is not None)


def _run(state: dict[str, Any], asked: int, told: int, ours: int) -> Region:
    """What a run with these clocks asks for; afterwards all of it is noted as read."""
    clock = reckon(asked, told, ours)
    ledger = Ledger(state)
    ledger.forget_after(min(clock.now, clock.known_until(state)))
    plan = ledger.plan(clock.now, None, None, SETTINGS, is_trusted=not clock.doubt)
    ledger.cover(plan, plan.windows)
    ledger.finish(plan)
    clock.note(state)
    return Region(plan.windows)


_SPANS = st.lists(st.integers(60, 3 * 86_400), min_size=1, max_size=6)


@given(_SPANS, st.sampled_from([30 * HOUR, 3 * HOUR, 400 * DAY, -30 * HOUR, -NOW]), st.data())
def test_an_event_is_asked_for_after_it_came_whatever_the_database_said_once(
    gaps: list[int], wrong: int, data: st.DataObject
) -> None:
    times = [NOW]
    for gap in gaps:
        times.append(times[-1] + gap * SECOND)
    wrong_run = data.draw(st.integers(0, len(times) - 1))
    came = data.draw(st.integers(NOW, times[-1]))
    state: dict[str, Any] = {}
    was_asked = False
    for number, time in enumerate(times):
        asked = _run(state, time + (wrong if number == wrong_run else 0), time, time)
        was_asked |= came < time and asked.covers(Window(came, came + 1, came, came + 1))
    was_asked |= _run(state, *[times[-1] + HOUR] * 3).covers(Window(came, came + 1, came, came + 1))
    assert was_asked


@pytest.mark.parametrize("until_next_run", [60 * SECOND, 5 * HOUR, 31 * HOUR, 9 * DAY])
def test_what_a_server_stamped_after_it_was_set_back_is_asked_for(until_next_run: int) -> None:
    state: dict[str, Any] = {}
    _run(state, NOW, NOW, NOW)
    _run(state, AHEAD + HOUR, AHEAD + HOUR, NOW + HOUR)
    after = NOW + HOUR + until_next_run
    assert _run(state, after, after, after).covers(Window(NOW + HOUR, MAX, NOW + HOUR, after - SETTINGS.safety_lag))
    assert all(window.created_to <= after for window in Ledger(state).covered)


def test_of_the_clocks_of_runs_that_did_not_end_the_one_furthest_ahead_counts() -> None:
    state: dict[str, Any] = {}
    right = reckon(NOW, NOW, NOW)
    right.note_begun(state)
    assert right.known_until(state) == NOW
    reckon(AHEAD, AHEAD, NOW).note_begun(state)
    later = reckon(*[NOW + HOUR] * 3)
    later.note_begun(state)
    assert later.known_until(state) == NOW, "what the run before noted is still there"
    later.note(state)
    assert later.known_until(state) == NOW + HOUR


def test_a_clock_that_nobody_confirms_ends_no_run() -> None:
    state: dict[str, Any] = {}
    everything = Window(MIN, MAX, MIN, NOW)
    _run(state, 0, NOW, NOW + 9 * DAY)
    assert not {"origin", "last"} & state.keys()
    assert _run(state, NOW, NOW, NOW).covers(everything._replace(created_from=0))
    assert Ledger(state).covered.covers(everything)


def test_a_ledger_of_the_future_is_cut_back_once() -> None:
    state: dict[str, Any] = {}
    plan = Ledger(state).plan(AHEAD, None, None, SETTINGS)
    Ledger(state).cover(plan, plan.windows)
    Ledger(state).finish(plan)
    Ledger(state).forget_after(NOW)
    assert (state["origin"], state["last"], state["covered"]) == (NOW, NOW, [[MIN, MAX, MIN, NOW]])
    before = dict(state)
    Ledger(state).forget_after(NOW + HOUR)
    assert state == before


def test_recordings_and_listed_events_noted_by_a_clock_that_was_ahead_are_read_again() -> None:
    state: dict[str, Any] = {}
    plan = recordings_plan(state, AHEAD, NOW - DAY, None, SETTINGS)
    for span in plan.spans:
        note_reading(RecordingsRead(span, [NOW - HOUR], {}), plan, state)
    note_finished(plan, state)
    forget_after(state, NOW)
    assert [window[1] for window in state["covered"]] == [NOW]
    again = recordings_plan(state, NOW + 2 * HOUR, None, None, SETTINGS)
    assert any(span.low <= NOW and span.high == NOW + 2 * HOUR for span in again.spans)

    listed: dict[str, Any] = {}
    windows = EventWindows(listed, SETTINGS)
    first = windows.plan(AHEAD + 9 * DAY, NOW - 9 * DAY, None)
    windows.cover(first, first.spans)
    windows.finish(first)
    second = EventWindows(listed, SETTINGS).plan(NOW + 2 * HOUR, None, None, known_until=NOW)
    assert any(start <= NOW - SETTINGS.live_span for start, _ in second.again)
