"""A region knows exactly which points it holds, however its windows were added."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.clock import DAY, MAX, MIN, day_start, to_datetime, to_micros, to_text
from posthog_warehouse.sources.posthog.planning.intervals import Region, Window

EDGE = 6
bounds = st.tuples(st.integers(0, EDGE), st.integers(0, EDGE))
windows = st.builds(lambda ts, created: Window(*ts, *created), bounds, bounds)


def points(window: Window) -> set[tuple[int, int]]:
    ts, created = range(window.ts_from, window.ts_to), range(window.created_from, window.created_to)
    return set(itertools.product(ts, created))


@given(st.lists(windows, max_size=8), windows)
def test_missing_is_what_no_added_window_holds(added: list[Window], asked: Window) -> None:
    region = Region(added)
    held = set().union(*map(points, added)) if added else set()

    parts = region.missing(asked)

    assert set().union(*map(points, parts), set()) == points(asked) - held
    assert sum(len(points(part)) for part in parts) == len(points(asked) - held), "parts overlap"


@given(st.lists(windows, max_size=8))
def test_windows_of_a_region_never_overlap_and_survive_saving(added: list[Window]) -> None:
    region = Region(added)
    held = set().union(*map(points, added)) if added else set()

    assert sum(len(points(window)) for window in region) == len(held)
    assert Region.from_state(region.to_state()) == region


@given(st.permutations([Window(day, day + 1, MIN, 100) for day in range(20)]))
def test_days_added_in_any_order_become_one_window(days: list[Window]) -> None:
    assert Region(days).to_state() == [[0, 20, MIN, 100]]


def test_a_backfill_and_later_live_windows_stay_few() -> None:
    region = Region([Window(MIN, MAX, MIN, 10)])
    for last in range(10, 60):
        region.add(Window(5, MAX, last, last + 1))
    assert len(region) <= 2


@given(st.datetimes(timezones=st.just(to_datetime(0).tzinfo)))
def test_times_are_exact_to_the_microsecond(moment: object) -> None:
    micros = to_micros(moment)  # type: ignore[arg-type]  # hypothesis gives aware datetimes
    assert to_datetime(micros) == moment


def test_open_bounds_have_names_and_no_day() -> None:
    assert (to_text(MIN), to_text(MAX)) == ("-inf", "inf")
    assert day_start(MIN) == MIN
    assert day_start(3 * DAY + 5) == 3 * DAY
    assert day_start(-1) == -DAY
