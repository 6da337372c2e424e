"""``persons``: short pages, offsets over live data, and the two shapes of a person (posthog-api section 3)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.conftest import StartSandbox
from tests.sandbox.api.clients import client_of

PATH = "/api/projects/1/persons/"
FIELDS = {
    "created_at",
    "distinct_ids",
    "id",
    "is_identified",
    "matched_recordings",
    "name",
    "properties",
    "type",
    "uuid",
    "value_at_data_point",
}


def pages(http: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    """All pages, following ``next``."""
    found = [http.get(PATH, params=params).json()]
    while found[-1]["next"]:
        found.append(http.get(found[-1]["next"]).json())
    return found


def test_following_next_gives_every_live_person_though_pages_are_short(box: Sandbox, http: httpx.Client) -> None:
    found = pages(http, limit=20)
    persons = [person for page in found for person in page["results"]]
    assert {person["uuid"] for person in persons} == {
        row[0] for row in box.sql("SELECT toString(id) FROM person GROUP BY id HAVING argMax(is_deleted, version) = 0")
    }
    assert any(len(page["results"]) < 20 for page in found[:-1])
    assert all(person["id"] == person["uuid"] for person in persons)
    assert all(set(person) == FIELDS for person in persons)
    assert [person["created_at"] for person in persons] == sorted(
        (person["created_at"] for person in persons), reverse=True
    )


def test_without_the_trap_pages_are_full(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(persons_short_pages=False)
    found = pages(http, limit=20)
    assert all(len(page["results"]) == 20 for page in found[:-1])


@pytest.mark.parametrize(
    ("params", "has_next", "has_previous"),
    [
        ({}, True, False),
        ({"limit": 10, "offset": 5}, True, False),
        ({"limit": 10, "offset": 10}, True, True),
        ({"limit": 5000}, False, False),
        # The id query gave as many as were asked for, so one more page, an empty one, is promised.
        ({"limit": 200}, True, False),
        ({"limit": 200, "offset": 200}, False, True),
    ],
)
def test_next_and_previous(http: httpx.Client, *, params: dict[str, int], has_next: bool, has_previous: bool) -> None:
    page = http.get(PATH, params=params).json()
    assert set(page) == {"results", "next", "previous"}
    assert (page["next"] is not None, page["previous"] is not None) == (has_next, has_previous)


def test_next_is_absolute_and_names_the_host_that_was_asked(http: httpx.Client) -> None:
    page = http.get(PATH, params={"limit": 3}, headers={"Host": "posthog.example:8443"}).json()
    assert page["next"] == "http://posthog.example:8443/api/projects/1/persons/?limit=3&offset=3"


def test_a_total_is_counted_on_request_only(box: Sandbox, http: httpx.Client) -> None:
    assert http.get(PATH, params={"include_total": ""}).json()["count"] == box.counts()["persons"]


def test_lookups(http: httpx.Client) -> None:
    persons = http.get(PATH, params={"limit": 200}).json()["results"]
    known = next(person for person in persons if person["properties"].get("email"))
    email, distinct_id = known["properties"]["email"], known["distinct_ids"][-1]
    for params in (
        {"email": email},
        {"distinct_id": distinct_id},
        {"search": email},
        {"search": distinct_id},
        {"properties": json.dumps([{"key": "email", "value": email, "type": "person"}])},
    ):
        assert known["uuid"] in [person["uuid"] for person in http.get(PATH, params=params).json()["results"]]
    assert http.get(PATH, params={"distinct_id": "nobody"}).json()["results"] == []
    assert http.get(PATH, params={"properties": "{"}).status_code == 400


def test_a_person_alone_has_an_integer_id_and_all_its_distinct_ids(box: Sandbox, http: httpx.Client) -> None:
    box.set_behaviour(persons_distinct_ids_cap=1)
    persons = http.get(PATH, params={"limit": 200}).json()["results"]
    assert all(len(person["distinct_ids"]) <= 1 for person in persons)
    many = box.sql(
        "SELECT toString(owner) FROM (SELECT distinct_id, argMax(person_id, version) AS owner "
        "FROM person_distinct_id2 GROUP BY distinct_id HAVING argMax(is_deleted, version) = 0) "
        "WHERE toString(owner) IN (" + ", ".join(f"'{person['uuid']}'" for person in persons) + ") "
        "GROUP BY owner HAVING count() > 1 LIMIT 1"
    )[0][0]

    body = http.get(f"{PATH}{many}/").json()

    assert set(body) == {"created_at", "distinct_ids", "id", "last_seen_at", "name", "properties", "uuid"}
    assert isinstance(body["id"], int)
    assert len(body["distinct_ids"]) > 1
    assert http.get(f"{PATH}{body['id']}/").json() == body
    assert http.get(f"{PATH}0/").status_code == 404
    assert http.get(f"{PATH}not-a-uuid/").status_code == 404


def test_offsets_count_over_live_data_newest_first(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=500, persons=30, days=5)
    with client_of(sandbox) as http:
        first = http.get(PATH, params={"limit": 10}).json()
        # An event of someone new makes a person, who sorts first and pushes all others back by one.
        sandbox.add_events(1, timestamp=sandbox.now(), distinct_id="someone new")
        second = http.get(first["next"]).json()
        assert http.get(PATH, params={"limit": 1}).json()["results"][0]["distinct_ids"] == ["someone new"]
    ids = [person["uuid"] for person in first["results"]]
    assert second["results"][0]["uuid"] in ids or len(ids) < 10
