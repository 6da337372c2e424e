"""No event is lost in silence, however the list of events misleads."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, suppress
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.clock import DAY, HOUR, SECOND
from posthog_warehouse.sources.posthog.errors import ListUnreadable
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.planning.worker_pool import run_jobs
from posthog_warehouse.sources.posthog.readers.rest.event_list import EventList
from posthog_warehouse.sources.posthog.readers.rest.events import Stretch, Stretches
from tests.sources.posthog.httpserver import Answer, in_turn, serve
from tests.sources.posthog.readers.rest.served_events import Served, ServedEvents, uuid_of

KEY = "phx_verysecretverysecretverysecret"
NOON = 20_777 * DAY + 12 * HOUR
"""Some day at noon."""


def read(served: ServedEvents, start: int, end: int, *, rows: int = 10, pieces: int = 2) -> list[Stretch]:
    """All events of a span, as the engine reads them."""
    with serve(served) as server, PostHogClient(KEY, server.url, 1, attempts=1) as client:
        events = EventList(client, fewest_rows=4)
        jobs = Stretches(events, rows=rows, settled=end).jobs(start, end, start, pieces)
        return list(run_jobs(jobs, threads=2, ahead=2))


def uuids(stretches: list[Stretch]) -> Counter[str]:
    return Counter(uuid for stretch in stretches for uuid in stretch.table.column("uuid").to_pylist())


moments = st.one_of(
    st.sampled_from([NOON, NOON + 1, NOON + 2, NOON + SECOND, NOON + 12 * HOUR, NOON + 12 * HOUR - 1, NOON - DAY]),
    st.integers(NOON - DAY, NOON + DAY),
)
events = st.lists(st.tuples(moments, st.sampled_from("ab"), st.sampled_from("xyz")), max_size=45).map(
    lambda rows: [Served(uuid_of(number), *row) for number, row in enumerate(rows)]
)


@settings(max_examples=40, deadline=None)
@given(
    rows=events,
    cap=st.integers(4, 12),
    newest_first=st.sampled_from(["all", "probes", "one day", "ignored"]),
    next_link=st.sampled_from(["honest", "lies", "repeats", "loops"]),
    digits=st.sampled_from([6, 6, 3]),
    only_descending=st.booleans(),
    ties=st.sampled_from(["fixed", "any"]),
)
def test_each_event_comes_once_or_it_is_said_that_it_cannot(rows: list[Served], **faults: object) -> None:
    """Ties at every bound; a `next` that lies, repeats or loops; orders and caps of any server there was."""
    # One day of the newest is looked at by servers that do heed the order.
    assume(not (faults["only_descending"] and faults["newest_first"] == "one day"))
    served = ServedEvents(rows, **faults)  # type: ignore[arg-type]
    most_tied = max(Counter(row.timestamp for row in rows).values(), default=0)
    with ExitStack() as may_fail:
        if faults["ties"] == "any" and most_tied >= int(str(faults["cap"])):
            may_fail.enter_context(suppress(ListUnreadable))
        stretches = read(served, NOON - DAY, NOON + DAY)
        assert_whole(stretches, rows)


def assert_whole(stretches: list[Stretch], rows: list[Served]) -> None:
    wanted = [row.uuid for row in rows if NOON - DAY <= row.timestamp < NOON + DAY]
    assert uuids(stretches) == Counter(wanted)
    spans = sorted((stretch.start, stretch.end) for stretch in stretches)
    assert spans[0][0] == NOON - DAY
    assert spans[-1][1] == NOON + DAY
    assert all(before[1] == after[0] for before, after in pairwise(spans))
    for stretch in stretches:
        times = [row.timestamp for row in rows if stretch.start <= row.timestamp < stretch.end]
        assert stretch.table.num_rows == len(times)
        assert sum(stretch.cells.values()) == len(times)
        assert stretch.is_proven


def tied(count: int, **more: str) -> list[Served]:
    return [Served(uuid_of(number), NOON, **more) for number in range(count)]


def test_more_ties_than_an_answer_has_are_paged_by_offset() -> None:
    rows = [*tied(50), Served(uuid_of(1_000), NOON + 1)]
    served = ServedEvents(rows, cap=7)
    assert uuids(read(served, NOON, NOON + DAY)) == Counter(row.uuid for row in rows)
    assert any("offset" in params for params in served.asked)


def test_a_name_that_no_page_of_ties_shows_is_looked_for() -> None:
    """As ClickHouse has it: each page is sorted by itself, always alike, and some rows are on none."""
    hidden = [Served(uuid_of(500 + number), NOON, "hidden") for number in range(5)]
    served = ServedEvents([*tied(25), *hidden, Served(uuid_of(999), NOON - 1, "hidden")], cap=8)
    served.first_of_ties = {row.uuid for row in served.rows} - {row.uuid for row in hidden}
    assert uuids(read(served, NOON - 1, NOON + 1)) == Counter(row.uuid for row in served.rows)


def test_ties_in_no_order_are_parted_by_name_and_distinct_id() -> None:
    rows = [
        Served(uuid_of(number), NOON, name, who)
        for number, (name, who) in enumerate((name, who) for name in "abc" for who in "xyz" for _ in range(6))
    ]
    assert uuids(read(ServedEvents(rows, cap=8, ties="any"), NOON, NOON + 1)) == Counter(row.uuid for row in rows)


@pytest.mark.parametrize("cap", [30, 27, 10])
def test_events_sent_again_count_once(cap: int) -> None:
    rows = [Served(uuid_of(number), NOON, "abc"[number % 3]) for number in range(9)] * 3
    stretches = read(ServedEvents(rows, cap=cap), NOON, NOON + 1)
    assert uuids(stretches) == Counter(uuid_of(number) for number in range(9))


@pytest.mark.parametrize(
    ("offsets", "ties", "words"),
    [("refused", "fixed", "refuses to show the rest"), ("ignored", "fixed", "does not page")],
)
def test_ties_that_cannot_be_parted_are_told_with_their_time(offsets: str, ties: str, words: str) -> None:
    served = ServedEvents(tied(30), cap=7, ties=ties, offsets=offsets)  # type: ignore[arg-type]
    with pytest.raises(ListUnreadable, match=words) as told:
        read(served, NOON - DAY, NOON + DAY)
    assert "12:00:00.000000 UTC" in told.value.message
    assert "--since" in told.value.advice


def test_a_server_that_does_not_heed_times_is_not_believed() -> None:
    heedless = ServedEvents([Served(uuid_of(1), NOON - 10 * DAY)])
    row = heedless.shown(heedless.rows)
    with (
        serve(in_turn(Answer(body={"next": None, "results": row}))) as server,
        PostHogClient(KEY, server.url, 1, attempts=1) as client,
        pytest.raises(ListUnreadable, match="gives others"),
    ):
        list(EventList(client).oldest_first(NOON, NOON + DAY))


@pytest.mark.parametrize(
    "body",
    [
        {"results": None},
        [],
        {"results": [7]},
        {"results": [{"id": 1}]},
        {"results": [{"id": uuid_of(1), "event": "a"}]},
    ],
)
def test_what_is_no_list_of_events_is_told(body: object) -> None:
    with (
        serve(in_turn(Answer(body=body))) as server,
        PostHogClient(KEY, server.url, 1, attempts=1) as client,
        pytest.raises(ListUnreadable),
    ):
        list(EventList(client).oldest_first(NOON, NOON + DAY))


def test_no_request_asks_for_more_than_a_year_or_follows_next() -> None:
    served = ServedEvents([Served(uuid_of(number), NOON + number) for number in range(9)], cap=4, next_link="repeats")
    read(served, NOON, NOON + 300 * DAY)
    assert {frozenset(params) for params in served.asked} <= {
        frozenset({"after", "before", "orderBy", "limit"}),
        frozenset({"after", "before", "orderBy", "limit", "include_person"}),
    }


def test_a_second_reading_finds_what_came_during_the_first() -> None:
    served = ServedEvents([Served(uuid_of(number), NOON + number) for number in range(5)])
    late = Served(uuid_of(77), NOON + 1)
    served.before_answer = lambda number: served.rows.append(late) if number == 3 else None
    [stretch] = read(served, NOON, NOON + HOUR, rows=1_000)
    assert late.uuid in uuids([stretch])
    assert stretch.is_proven


def test_what_never_stands_still_is_not_called_proven() -> None:
    served = ServedEvents([Served(uuid_of(number), NOON + number) for number in range(5)])
    served.before_answer = lambda number: served.rows.append(Served(uuid_of(1_000 + number), NOON + 10))
    [stretch] = read(served, NOON, NOON + HOUR, rows=1_000)
    assert not stretch.is_proven
