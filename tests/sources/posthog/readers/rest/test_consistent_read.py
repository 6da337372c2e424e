"""A list read whole while rows come and go."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog import errors
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.readers.rest.consistent_read import PASSES, Whole, read_whole
from tests.sources.posthog.httpserver import Answer, Request, Script, in_turn, serve
from tests.sources.posthog.readers.rest.lists import PAGED, STYLES, ServedList, Style

KEY = "phx_verysecretverysecretverysecret"


def whole(script: Script, **params: Any) -> Whole:
    with serve(script) as server, PostHogClient(KEY, server.url, 1, attempts=1) as client:
        return read_whole(client, "cohorts", params, key_of=lambda row: row["id"])


def made(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"id": f"{i:06}", "name": f"row {i}"} for i in range(start, start + count)]


@pytest.mark.parametrize("style", STYLES)
def test_a_list_that_fits_into_one_page_costs_one_request(style: Style) -> None:
    served = ServedList(made(40), style)
    found = whole(served, limit=100)
    assert (list(found.rows), found.passes, served.asked) == ([row["id"] for row in served.rows], 1, 1)


@pytest.mark.parametrize(
    ("style", "passes"), [("offset", 1), ("numbered", 1), ("cursor", 1), ("offset without count", 2)]
)
def test_several_pages_are_read_again_only_where_nothing_shows_that_they_stood_still(style: Style, passes: int) -> None:
    found = whole(ServedList(made(95), style, 10))
    assert (len(found.rows), found.passes, found.is_settled) == (95, passes, True)


@pytest.mark.parametrize("style", ["offset", "numbered", "offset without count"])
@pytest.mark.parametrize("seed", range(3))
def test_fifty_inserted_and_twenty_deleted_during_the_read_leave_what_the_server_has(style: Style, seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    served = ServedList(made(1_000), style, 100)
    inserted, deleted = made(50, start=5_000), draw.sample(served.rows, 20)

    def change(asked: int) -> None:
        if not 1 <= asked <= 8:
            return
        for _ in range(7):
            if inserted:
                # Newest first, as PostHog lists nearly everything.
                served.rows.insert(draw.choice([0, draw.randrange(len(served.rows))]), inserted.pop())
        for _ in range(3):
            if deleted:
                served.rows.remove(deleted.pop())

    served.before_page = change
    found = whole(served)
    assert not inserted
    assert not deleted
    assert len(served.rows) == 1_030
    assert {row["id"] for row in served.rows} == found.rows.keys()
    assert found.is_settled
    assert found.passes > 1


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_a_list_that_comes_to_rest_is_read_as_the_server_has_it(data: st.DataObject) -> None:
    served = ServedList(
        made(data.draw(st.integers(0, 40), "rows")),
        data.draw(st.sampled_from(["offset", "numbered", "offset without count"]), "style"),
        data.draw(st.integers(1, 12), "page size"),
    )
    changes = data.draw(
        st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["insert", "delete", "move"]), st.integers(0, 1_000))),
        "changes",
    )

    def change(asked: int) -> None:
        for number, (at, kind, place) in enumerate(changes):
            if at != asked:
                continue
            if kind == "insert":
                served.rows.insert(place % (len(served.rows) + 1), {"id": f"new {number}", "name": ""})
            elif served.rows:
                row = served.rows.pop(place % len(served.rows))
                if kind == "move":
                    served.rows.append(row)

    served.before_page = change
    found = whole(served)
    last_begins = max(i for i, params in enumerate(served.params) if not params.keys() & {"offset", "page"})
    if not any(last_begins < at < served.asked for at, _, _ in changes):
        assert found.rows.keys() == {row["id"] for row in served.rows}
    assert all(key == row["id"] for key, row in found.rows.items())


def test_rows_that_tie_come_in_another_order_each_time_and_are_all_found() -> None:
    served = ServedList(made(60), page_size=10)
    draw = random.Random(1)  # noqa: S311 - repeatable on purpose
    # Half of the rows tie: they change places among themselves for each page.
    served.before_page = lambda _: served.rows.__setitem__(slice(0, 30), draw.sample(served.rows[:30], 30))
    found = whole(served)
    assert found.rows.keys() == {row["id"] for row in made(60)}


def test_a_list_that_never_rests_is_read_so_often_and_no_more() -> None:
    served = ServedList(made(50), page_size=10)

    def change(asked: int) -> None:
        served.rows.insert(0, {"id": f"new {asked}", "name": ""})
        del served.rows[-1]

    served.before_page = change
    found = whole(served)
    assert not found.is_settled
    assert found.passes == PASSES
    assert len(found.rows) >= 50


def test_the_latest_of_a_row_that_comes_twice_counts() -> None:
    served = ServedList(made(6), page_size=3)

    def change(asked: int) -> None:
        if asked == 1:
            served.rows.insert(0, {"id": "new", "name": ""})
            served.rows[3]["name"] = "changed"

    served.before_page = change
    assert whole(served).rows["000002"]["name"] == "changed"


def _misled(served: ServedList, mislead: Callable[[dict[str, Any], Request], None]) -> Script:
    def script(request: Request) -> Answer:
        answer = served(request)
        mislead(answer.body, request)
        return answer

    return script


def test_a_next_that_ends_early_hides_nothing_that_was_counted() -> None:
    served = ServedList(made(35), page_size=10)
    found = whole(_misled(served, lambda body, request: body.update(next=None) if "offset" in request.params else None))
    assert len(found.rows) == 35


def test_a_next_that_repeats_hides_nothing_that_was_counted() -> None:
    served = ServedList(made(35), page_size=10)

    def repeat(body: dict[str, Any], request: Request) -> None:
        if body["next"] and "offset" in request.params:
            body["next"] = f"http://{request.headers['Host']}{request.target}"

    assert len(whole(_misled(served, repeat)).rows) == 35


def test_a_circle_in_which_counted_rows_are_missing_is_an_error() -> None:
    circle = Answer(body={"count": 3, "next": "?offset=1", "results": [{"id": "a"}]})
    with pytest.raises(errors.ListUnreadable, match="circles"):
        whole(in_turn(circle))


def test_more_counted_than_listed_is_told() -> None:
    short = Answer(body={"count": 3, "next": None, "results": [{"id": "a"}, {"id": "b"}]})
    nothing = Answer(body={"count": 3, "next": None, "results": []})
    found = whole(lambda request: nothing if "offset" in request.params else short)
    assert (len(found.rows), found.count, found.is_settled) == (2, 3, True)


@pytest.mark.parametrize("style", PAGED)
def test_an_empty_list_is_empty(style: Style) -> None:
    assert whole(ServedList([], style)).rows == {}
