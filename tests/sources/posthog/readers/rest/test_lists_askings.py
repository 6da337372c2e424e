"""With what the lists of a table are asked."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_warehouse.sources.posthog import errors
from posthog_warehouse.sources.posthog.http.answers import Project
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.readers.rest.lists import Asking, askings
from posthog_warehouse.sources.posthog.readers.run import Run
from posthog_warehouse.sources.posthog.settings import Requests
from posthog_warehouse.sources.posthog.tables.rest import Contents, EachRow, Listing, Values, Wanted
from tests.sources.posthog.httpserver import Answer, Request, envelope, serve

KEY = "phx_verysecretverysecretverysecret"
ROWS = [
    {"id": 3, "has_logs": True},
    {"id": 4, "has_logs": False},
    {"id": None, "has_logs": True},
    {"id": 3, "has_logs": 1},
]


def asked(reads: Listing | Contents, script: Any = None, **requests: Any) -> list[Asking]:
    def answer(request: Request) -> Answer:
        return script if script is not None else Answer(body={"results": ROWS, "next": None})

    with serve(answer) as server, PostHogClient(KEY, server.url, 1, attempts=1) as client:
        run = Run(client, Project(1, None, "x", "UTC", None, {}), requests=Requests.of(requests))
        return list(askings(run, reads))


def test_a_plain_list_is_asked_once_with_a_page_s_size_and_its_own_parameters() -> None:
    [one] = asked(Listing("cohorts", {"basic": "true"}, page_size=50))
    assert (one.path, one.params, one.values, one.name) == ("cohorts", {"limit": 50, "basic": "true"}, {}, "")
    [bare] = asked(Listing("groups_types", page_size=None))
    assert bare.params == {}


def test_a_list_of_kinds_is_asked_for_each_and_leaves_out_what_a_kind_lacks() -> None:
    kinds = Values(({"type": "event"}, {"type": "group", "index": 2}))
    found = asked(Listing("defs/{type}", {"type": "{type}", "index": "{index}"}, each=(kinds,), page_size=None))
    assert [(each.path, each.params) for each in found] == [
        ("defs/event", {"type": "event"}),
        ("defs/group", {"type": "group", "index": "2"}),
    ]
    assert len({each.name for each in found}) == 2


def test_a_list_of_rows_is_asked_once_for_each_that_is_wanted_and_has_a_name() -> None:
    found = asked(Listing("x/{x_id}/logs", each=(EachRow("x", {"x_id": "id"}, also={"kind": "a"}, only="has_logs"),)))
    assert [(each.path, each.values) for each in found] == [("x/3/logs", {"x_id": 3, "kind": "a"})]


@pytest.mark.parametrize(("is_extra", "expected"), [("extra", 0), ("", None)])
def test_rows_that_cannot_be_listed(is_extra: str, expected: int | None) -> None:
    refused = envelope(403, "permission_denied", "No.", "authentication_error")
    reads = Listing("x/{x_id}", each=(EachRow("x", {"x_id": "id"}, is_extra=bool(is_extra)),))
    if expected is None:
        with pytest.raises(errors.AccessDenied):
            asked(reads, refused)
    else:
        assert len(asked(reads, refused)) == expected


VALUES = Listing("events/values", {"key": "{property}"}, each=(Wanted("event_properties", ("event", "property")),))


def test_what_is_wanted_is_cut_at_the_last_colon() -> None:
    found = asked(VALUES, event_properties=["API: v1/files.list:$lib", "a:b"])
    assert [(each.values["event"], each.values["property"]) for each in found] == [
        ("API: v1/files.list", "$lib"),
        ("a", "b"),
    ]


def test_what_is_not_wanted_or_not_understood_is_said_with_the_setting() -> None:
    with pytest.raises(errors.NothingRequested, match="event properties") as nothing:
        asked(VALUES)
    assert "event_properties under [sources.posthog.requests]" in nothing.value.advice
    with pytest.raises(errors.NothingRequested, match="not of the form event:property"):
        asked(VALUES, event_properties=["only_one"])


def test_where_nobody_is_chosen_another_list_may_hold_them_all() -> None:
    reads = Listing("p/{person_id}", each=(Wanted("person_ids", ("person_id",)),), unchosen="p/all", page_size=None)
    assert [(each.path, each.values) for each in asked(reads)] == [("p/all", {})]
    assert [each.path for each in asked(reads, person_ids=["a", "b"])] == ["p/a", "p/b"]


def test_filters_name_the_properties_that_are_wanted() -> None:
    reads = Listing("p/{person_id}", {"properties": "{person_filters}"}, each=(Wanted("person_ids", ("person_id",)),))
    [one] = asked(reads, person_ids="a", person_properties=["plan"])
    assert one.others == {"properties": '[{"key":"plan","type":"person"}]'}
