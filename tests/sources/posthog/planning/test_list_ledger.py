"""Whatever runs there were, by either engine, and however they ended: what is promised of events has been asked for."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.clock import DAY, HOUR, MAX, MIN
from posthog_warehouse.sources.posthog.planning.intervals import Region, Window
from posthog_warehouse.sources.posthog.planning.ledger import Ledger
from posthog_warehouse.sources.posthog.planning.list_ledger import AHEAD, EARLIEST, EventWindows, SpanPlan
from posthog_warehouse.sources.posthog.settings import Settings
from tests.sources.posthog.planning.test_ledger import MINUTE, START, Event, Run, events, histories, holds

FIGURES = Settings()


def listed(
    state: dict[str, Any], now: int, since: int | None = None, until: int | None = None, *, covers: float = 1
) -> SpanPlan:
    """A run by listing, or the first part of one."""
    plan = EventWindows(state, FIGURES).plan(now, since, until)
    for span in _done(plan, covers):
        EventWindows(state, FIGURES).cover(plan, [span])
    if covers == 1:
        EventWindows(state, FIGURES).finish(plan)
    return plan


def queried(state: dict[str, Any], now: int) -> list[Window]:
    """A whole run by HogQL."""
    ledger = Ledger(state)
    plan = ledger.plan(now, None, None, FIGURES)
    ledger.cover(plan, plan.windows)
    ledger.finish(plan)
    return plan.windows


def _done(plan: SpanPlan, covers: float) -> list[tuple[int, int]]:
    return plan.spans[: int(len(plan.spans) * covers)]


@settings(max_examples=100, deadline=None)
@given(histories(), events, st.lists(st.booleans(), min_size=10, max_size=10))
def test_every_event_that_is_promised_was_asked_for_when_it_could_be_seen(
    history: list[Run], happened: list[Event], by_listing: list[bool]
) -> None:
    last = history[-1].now if history else START
    # Two undisturbed runs by listing end every history, with a sweep in each.
    history = [*history, Run(last + 3 * DAY, None, None, 1.0), Run(last + 6 * DAY, None, None, 1.0)]
    engines = [*by_listing[: len(history) - 2], True, True]
    state: dict[str, Any] = {}
    seen: set[Event] = set()
    wanted: int | None = None
    asked: list[tuple[int, int, int]] = []

    for run, lists in zip(history, engines, strict=True):
        if lists:
            plan = listed(state, run.now, run.since, run.until, covers=run.covers)
            done = [Window(*span, MIN, MAX) for span in _done(plan, run.covers)]
            assert all(EARLIEST <= window.ts_from < window.ts_to <= run.now + AHEAD for window in done)
            assert len(list(Region(done))) <= len(done)
            began = bool(done) or run.covers == 1
        else:
            ledger = Ledger(state)
            queries = ledger.plan(run.now, run.since, run.until, FIGURES)
            done = queries.windows[: int(len(queries.windows) * run.covers)]
            if began := bool(run.covers):
                ledger.cover(queries, done)
            if run.covers == 1:
                ledger.finish(queries)
        if began:
            since = run.since if run.since is not None else (MIN if wanted is None else wanted)
            wanted = since if wanted is None else min(wanted, since)
            asked.append((since, MAX if run.until is None else run.until, run.now))
        seen |= {
            event
            for event in happened
            if event.visible_at <= run.now
            and (lists or event.created_at < run.now)
            and any(holds(window, event.timestamp, event.created_at) for window in done)
        }

    assert wanted is not None
    for event in happened:
        if event.timestamp < wanted or event.created_at >= history[-1].now - FIGURES.safety_lag:
            continue
        if event.visible_at > history[-1].now:
            continue  # the next run has it
        backfills = [now for since, until, now in asked if since <= event.timestamp < until]
        in_backfill = backfills and event.visible_at <= backfills[0] and event.created_at < backfills[0]
        if in_backfill or event.timestamp >= event.created_at - FIGURES.sweep_span:
            assert event in seen


def test_a_first_run_asks_for_everything_and_a_second_for_the_latest_days() -> None:
    state: dict[str, Any] = {}
    assert listed(state, START).spans == [(EARLIEST, START + AHEAD)]
    again = listed(state, START + HOUR)
    assert not again.sweeps
    assert again.unread == [(START + AHEAD, START + HOUR + AHEAD)]
    assert again.again == [(START - 3 * DAY, START + AHEAD)]


def test_a_day_later_the_sweep_looks_a_month_back() -> None:
    state: dict[str, Any] = {}
    listed(state, START)
    # Some minutes less than a day: a daily run is not always on the second.
    daily = listed(state, START + DAY - 20 * MINUTE)
    assert daily.sweeps
    assert daily.again[0][0] == START - 31 * DAY
    assert not listed(state, START + DAY).sweeps


def test_since_may_move_back_and_only_the_new_part_is_read() -> None:
    state: dict[str, Any] = {}
    listed(state, START, START - 10 * DAY)
    plan = listed(state, START + MINUTE, START - 40 * DAY)
    assert plan.unread[0] == (START - 40 * DAY, START - 10 * DAY)
    assert listed(state, START + 2 * MINUTE).since == START - 40 * DAY


def test_a_table_that_hogql_has_loaded_is_not_read_anew() -> None:
    state: dict[str, Any] = {}
    queried(state, START)
    plan = EventWindows(state, FIGURES).plan(START + HOUR, None, None)
    assert plan.unread == []
    assert plan.again == [(START - 3 * DAY, START + HOUR + AHEAD)]


def test_hogql_does_not_see_that_lists_were_read_but_for_what_was_replaced() -> None:
    state: dict[str, Any] = {}
    queried(state, START)
    untouched = {name: value for name, value in copy.deepcopy(state).items() if name != "listing"}
    listed(state, START + HOUR)
    assert {name: value for name, value in state.items() if name != "listing"} == untouched

    EventWindows(state, FIGURES).give_back(START - DAY, START)
    again = Region(queried(copy.deepcopy(state), START + 2 * HOUR))
    assert again.covers(Window(START - DAY, START, MIN, START))
