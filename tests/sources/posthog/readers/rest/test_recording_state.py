"""The state of recordings, for whatever order runs come in: nothing is left out, nothing is counted twice."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.clock import DAY, HOUR
from posthog_warehouse.sources.posthog.readers.rest.recording_state import (
    Reading,
    Span,
    known,
    note_again,
    note_finished,
    note_reading,
    plan,
)
from posthog_warehouse.sources.posthog.settings import Settings

SETTINGS = Settings()
T0 = 20_000 * DAY


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[int, int | None, int | None, int]]:
    """Runs as (now, since, until, spans read before it is stopped), their times going on."""
    now = T0
    found: list[tuple[int, int | None, int | None, int]] = []
    for _ in range(draw(st.integers(1, 6))):
        now += draw(st.integers(1, 40 * HOUR))
        # A first run without a bound looks back five years, which is a matter of patience only.
        since = draw(st.integers(T0 - 20 * DAY, T0) | (st.none() if found else st.nothing()))
        until = draw(st.none() | st.integers(T0 - 10 * DAY, now))
        found.append((now, since, until, draw(st.integers(0, 5) | st.just(10**6))))
    return found


def parts(span: Span, width: int) -> list[Span]:
    """A span in parts that begin with an hour, the newest first, as the engine reads it."""
    found, high = [], span.high
    while high > span.low:
        low = max(span.low, (high - width) // HOUR * HOUR)
        found.append(Span(low, high, span.is_again))
        high = low
    return found


@settings(deadline=None)
@given(
    runs(),
    st.lists(st.integers(T0 - 25 * DAY, T0 + 8 * DAY), max_size=40, unique=True),
    st.integers(2 * HOUR, 20 * DAY),
)
def test_all_that_is_wanted_is_read_and_counted_once(
    history: list[tuple[int, int | None, int | None, int]], starts: list[int], width: int
) -> None:
    state: dict[str, Any] = {}
    loaded: set[int] = set()
    for now, since, until, most in history:
        there = [start for start in starts if start < now]
        planned = plan(state, now, since, until, SETTINGS)
        cut = [part for span in planned.spans for part in parts(span, width)]
        for part in cut[:most]:
            inside = [start for start in there if part.low <= start < part.high]
            loaded.update(inside)
            note_reading(Reading(part, inside, {}), planned, state)
        if most < len(cut):
            continue
        note_finished(planned, state)
        low = planned.since if since is None else since
        high = now if until is None else min(until, now)
        assert {start for start in there if low <= start < high} <= loaded
        assert known(state) == len(loaded)
        # The same run again has next to nothing to do.
        again = plan(copy.deepcopy(state), now, since, until, SETTINGS)
        assert again.spans == []


def test_what_may_still_grow_is_kept_until_it_has_ended() -> None:
    state: dict[str, Any] = {}
    planned = plan(state, T0, T0 - DAY, None, SETTINGS)
    (span,) = planned.spans
    note_reading(Reading(span, [T0 - HOUR, T0 - 2 * HOUR], {"a": T0 - HOUR, "b": T0 - 2 * HOUR}), planned, state)
    note_finished(planned, state)
    assert set(state["open"]) == {"a", "b"}
    note_again(["a", "b"], {"b": T0 - 2 * HOUR}, state)
    assert set(state["open"]) == {"b"}
    # What is no longer listed where it started has gone.
    later = plan(state, T0 + HOUR, None, None, SETTINGS)
    note_reading(Reading(Span(T0 - 3 * HOUR, T0 + HOUR, is_again=True), [T0 - HOUR], {}), later, state)
    assert state["open"] == {}


def test_a_sweep_looks_further_back_once_a_day() -> None:
    state: dict[str, Any] = {}
    first = plan(state, T0, T0 - 10 * DAY, None, SETTINGS)
    for span in first.spans:
        note_reading(Reading(span, [], {}), first, state)
    note_finished(first, state)
    soon = plan(state, T0 + 2 * HOUR, None, None, SETTINGS)
    assert [span.low for span in soon.spans] == [T0 - SETTINGS.overlap]
    later = plan(state, T0 + DAY, None, None, SETTINGS)
    assert later.sweeps
    assert [span.low for span in later.spans] == [T0 - SETTINGS.live_span]
