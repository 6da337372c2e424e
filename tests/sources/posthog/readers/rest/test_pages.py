"""Every page of every kind of list, and an end for those that have none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog import errors
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.readers.rest.pages import ListPage, pages
from tests.sources.posthog.httpserver import Answer, Request, Script, envelope, in_turn, serve
from tests.sources.posthog.readers.rest.lists import PAGED, STYLES, ServedList, Style

KEY = "phx_verysecretverysecretverysecret"


def read(script: Script, path: str = "cohorts", params: dict[str, Any] | None = None, **options: Any) -> list[ListPage]:
    with serve(script) as server, PostHogClient(KEY, server.url, 1, attempts=1) as client:
        return list(pages(client, path, params, **options))


def ids(read_pages: list[ListPage]) -> list[Any]:
    return [row["id"] for page in read_pages for row in page.rows]


def numbered_rows(count: int) -> list[dict[str, Any]]:
    return [{"id": f"{i:06}", "name": f"row {i}"} for i in range(count)]


@settings(max_examples=60, deadline=None)
@given(
    style=st.sampled_from(STYLES),
    count=st.integers(0, 60),
    page_size=st.integers(1, 25),
    asked=st.none() | st.integers(1, 40),
)
def test_every_row_comes_once_whatever_the_paging(style: Style, count: int, page_size: int, asked: int | None) -> None:
    served = ServedList(numbered_rows(count), style, page_size)
    found = read(served, params={"limit": asked} if asked else None, key=lambda row: row["id"])
    assert ids(found) == [row["id"] for row in served.rows]
    if style in PAGED:
        # What counting rows would need: nothing is asked behind the page that says that it is the last.
        assert served.asked == max(1, -(-count // min(page_size, asked or page_size)))


def test_a_page_says_how_many_rows_the_list_holds_only_where_posthog_does() -> None:
    counts = {style: {page.count for page in read(ServedList(numbered_rows(7), style, 3))} for style in STYLES}
    assert counts == {
        "offset": {7},
        "numbered": {7},
        "offset without count": {None},
        "cursor": {None},
        "bare": {None},
        "results": {None},
    }


def test_short_and_empty_pages_with_a_next_are_followed() -> None:
    script = in_turn(
        Answer(body={"results": [{"id": 1}], "next": "?offset=100&limit=100"}),
        Answer(body={"results": [], "next": "?offset=200&limit=100"}),
        Answer(body={"results": [{"id": 2}], "next": None}),
    )
    assert ids(read(script)) == [1, 2]


def test_next_may_be_relative_or_an_address_and_keeps_its_parameters() -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    def script(request: Request) -> Answer:
        asked.append((request.path, request.params))
        own = f"http://{request.headers['Host']}{request.path}"
        following = ["?limit=2&offset=2", f"{own}?limit=2&cursor=a%2Bb%3D%3D", "/api/projects/1/cohorts/?page=4", None]
        return Answer(body={"results": [{"id": len(asked)}], "next": following[len(asked) - 1]})

    assert ids(read(script, params={"limit": 2})) == [1, 2, 3, 4]
    assert [path for path, _ in asked] == ["/api/projects/1/cohorts/"] * 4
    assert [params for _, params in asked] == [
        {"limit": "2"},
        {"limit": "2", "offset": "2"},
        {"limit": "2", "cursor": "a+b=="},
        {"page": "4"},
    ]


def test_a_next_over_plain_http_of_the_same_server_is_asked_over_https() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        following = None if "offset" in asked[-1] else asked[-1].replace("https:", "http:") + "?offset=1"
        return httpx.Response(200, json={"results": [{"id": len(asked)}], "next": following})

    with PostHogClient(KEY, "https://posthog.example.com", 1, transport=httpx.MockTransport(answer)) as client:
        assert ids(list(pages(client, "cohorts"))) == [1, 2]
    address = "https://posthog.example.com/api/projects/1/cohorts/"
    assert asked == [address, f"{address}?offset=1"]


@pytest.mark.parametrize(
    "following", ["https://evil.example.com/api/projects/1/cohorts/?offset=1", "//evil.example.com/"]
)
def test_a_next_on_another_host_is_refused(following: str) -> None:
    with pytest.raises(errors.RedirectRefused, match=r"evil\.example\.com"):
        read(in_turn(Answer(body={"results": [{"id": 1}], "next": following})))


CIRCLES: dict[str, Callable[[int], str]] = {
    "itself": lambda _: "?offset=1",
    "two in turn": lambda n: f"?offset={n % 2}",
    "always further": lambda n: f"?offset={n}",
}


@pytest.mark.parametrize("circle", CIRCLES)
@pytest.mark.parametrize("rows", [[], [{"id": 1}]], ids=["empty", "one row"])
def test_a_list_without_an_end_is_an_error(circle: str, rows: list[Any]) -> None:
    asked = 0

    def script(_: Request) -> Answer:
        nonlocal asked
        asked += 1
        return Answer(body={"results": rows, "count": 2, "next": CIRCLES[circle](asked)})

    with pytest.raises(errors.ListUnreadable, match="circles"):
        read(script)
    assert asked <= 60


def test_a_list_that_repeats_its_last_page_for_ever_ends_when_all_rows_were_seen() -> None:
    served = ServedList(numbered_rows(7), page_size=3)

    def script(request: Request) -> Answer:
        if request.params.get("offset") == "6":
            own = f"http://{request.headers['Host']}{request.target}"
            return Answer(body={"results": served.rows[6:], "count": 7, "next": own})
        return served(request)

    found = read(script, key=lambda row: row["id"])
    assert sorted(set(ids(found))) == [row["id"] for row in served.rows]


def test_rows_that_change_while_they_come_round_do_not_hide_a_circle() -> None:
    asked = 0

    def script(_: Request) -> Answer:
        nonlocal asked
        asked += 1
        return Answer(body={"results": [{"id": 1, "last_viewed_at": asked}], "next": f"?offset={asked}"})

    with pytest.raises(errors.ListUnreadable, match="circles"):
        read(script, key=lambda row: row["id"])


def test_a_numbered_list_that_became_shorter_says_so() -> None:
    served = ServedList(numbered_rows(9), "numbered", 3)
    served.before_page = lambda asked: served.rows.__delitem__(slice(6, None)) if asked == 2 else None
    found = read(served)
    assert ids(found) == [f"{i:06}" for i in range(6)]
    assert [page.is_cut for page in found] == [False, False, True]


def test_what_is_missing_elsewhere_stays_an_error() -> None:
    missing = envelope(404, "not_found", "Not found.", "invalid_request")
    with pytest.raises(errors.NotFound):
        read(in_turn(Answer(body={"results": [], "next": "?offset=3"}), missing))
    with pytest.raises(errors.NotFound):
        read(in_turn(missing))


@pytest.mark.parametrize("body", [{"detail": "hello"}, {"results": {"a": 1}}, {"results": None}, "text", None, 7])
def test_what_is_no_list_is_said(body: Any) -> None:
    with pytest.raises(errors.ListUnreadable, match="cohorts is no list"):
        read(in_turn(Answer(body=body)))


def test_a_list_that_goes_on_without_saying_where_is_no_whole_list() -> None:
    with pytest.raises(errors.ListUnreadable, match="goes on"):
        read(in_turn(Answer(body={"results": [{"id": 1}], "has_next": True})))


def test_rows_may_lie_in_another_field() -> None:
    assert ids(read(in_turn(Answer(body={"points": [{"id": 1}, {"id": 2}]})), rows_in="points")) == [1, 2]


def test_rows_that_are_hardly_json_are_rows_like_others() -> None:
    body = b'{"results": [{"id": 123456789012345678901234567890, "ratio": NaN}], "next": null}'
    assert ids(read(in_turn(Answer(body=body)))) == [123456789012345678901234567890]
