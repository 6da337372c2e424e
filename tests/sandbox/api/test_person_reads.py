"""What can be read about persons, groups, exports and projects beside their lists."""

from __future__ import annotations

import csv
import io
import struct
import zlib
from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.clients import client_of
from tests.sandbox.api.lists.reading import read

PERSONS = "/api/projects/1/persons/"


def someone(http: httpx.Client) -> dict[str, Any]:
    person: dict[str, Any] = next(row for row in http.get(PERSONS).json()["results"] if "plan" in row["properties"])
    return person


def test_values_of_a_person_property(box: Sandbox, http: httpx.Client) -> None:
    answer = http.get(f"{PERSONS}values/", params={"key": "plan"})
    assert answer.headers["Cache-Control"] == "max-age=10"
    body = answer.json()
    latest = "SELECT argMax(properties, version) AS p FROM person GROUP BY id HAVING argMax(is_deleted, version) = 0"
    rows = box.sql(
        f"SELECT JSONExtractString(p, 'plan') AS plan, count() FROM ({latest}) WHERE JSONHas(p, 'plan') GROUP BY plan"
    )
    assert {row["name"]: row["count"] for row in body["results"]} == dict(rows)
    counts = [row["count"] for row in body["results"]]
    assert counts == sorted(counts, reverse=True)
    found = http.get(f"{PERSONS}values/", params={"key": "plan", "value": "ENTER"}).json()["results"]
    assert [row["name"] for row in found] == ["enterprise"]
    assert http.get(f"{PERSONS}values/").json() == {"results": [], "refreshing": False}
    box.set_behaviour(old_response_shape=True)
    assert isinstance(http.get(f"{PERSONS}values/", params={"key": "plan"}).json(), list)


def test_cohorts_of_a_person(box: Sandbox, http: httpx.Client) -> None:
    person = someone(http)
    listed = http.get(f"{PERSONS}cohorts/", params={"person_id": person["id"]}).json()["results"]
    rows = box.sql(
        "SELECT DISTINCT cohort_id FROM cohortpeople WHERE version = 2 "
        f"AND person_id = '{person['id']}' UNION DISTINCT SELECT cohort_id FROM person_static_cohort "
        f"WHERE person_id = '{person['id']}'"
    )
    assert {row["id"] for row in listed} == {row[0] for row in rows}
    assert all(set(row) == {"id", "name", "count"} for row in listed)
    assert http.get(f"{PERSONS}cohorts/", params={"person_id": "x"}).status_code == 404
    with client_of(box, box.create_key(scopes=["person:read"])) as half:
        assert half.get(f"{PERSONS}cohorts/", params={"person_id": person["id"]}).status_code == 403


def test_activity_of_persons(box: Sandbox, http: httpx.Client) -> None:
    first = http.get(f"{PERSONS}activity/").json()
    assert (len(first["results"]), first["previous"]) == (10, None)
    expected = [row for row in box.list_rows("activity_log") if row["scope"] == "Person"]
    assert first["total_count"] == len(expected)
    seen, url = [], f"{PERSONS}activity/?limit=9"
    while url:
        body = http.get(url).json()
        seen += body["results"]
        url = body["next"]
    assert len(seen) == len(expected)
    split = next(row for row in expected if row["activity"] == "split_person")
    own = http.get(f"{PERSONS}{split['item_id']}/activity/").json()
    assert {row["item_id"] for row in own["results"]} == {split["item_id"]}


def test_properties_over_time_are_for_keys_without_scopes(box: Sandbox, http: httpx.Client) -> None:
    rows = box.sql(
        "SELECT toString(person_id) FROM events WHERE JSONHas(person_properties, 'plan') "
        "GROUP BY person_id ORDER BY count() DESC LIMIT 1"
    )
    path = f"{PERSONS}{rows[0][0]}/properties_timeline/?breakdown=plan&breakdown_type=person&date_from=-10d"
    assert http.get(path).status_code == 403
    with client_of(box, box.create_key(scopes=None, kind="legacy")) as legacy:
        body = legacy.get(path).json()
    assert body["crucial_property_keys"] == ["plan"]
    since = f"parseDateTime64BestEffort('{box.now()}') - INTERVAL 10 DAY"
    counted = box.sql(f"SELECT count() FROM events WHERE person_id = '{rows[0][0]}' AND timestamp > {since}")
    assert body["points"]
    assert all(set(point["properties"]) == {"plan"} for point in body["points"])
    assert 0 < sum(point["relevant_event_count"] for point in body["points"]) <= counted[0][0] + 1_000


def test_groups_come_by_cursor(box: Sandbox, http: httpx.Client) -> None:
    path = "/api/projects/1/groups/"
    assert http.get(path).json()["attr"] == "group_type_index"
    first = http.get(path, params={"group_type_index": 0}).json()
    assert (set(first), len(first["results"])) == ({"next", "previous", "results"}, 100)
    for index in (0, 1):
        rows = read(http, "groups", group_type_index=index)
        expected = box.sql(f"SELECT DISTINCT group_key FROM groups WHERE group_type_index = {index}")
        assert sorted(row["group_key"] for row in rows) == sorted(row[0] for row in expected)
        times = [row["created_at"] for row in rows]
        assert times == sorted(times, reverse=True)
    assert [row["group_key"] for row in read(http, "groups", group_type_index=0, search="NY-17")] != []
    assert read(http, "groups", group_type_index=3) == []


def test_the_last_insights_looked_at_are_for_keys_without_scopes(box: Sandbox, http: httpx.Client) -> None:
    path = "/api/projects/1/insights/my_last_viewed/"
    assert http.get(path).status_code == 403
    with client_of(box, box.create_key(scopes=None, kind="legacy")) as legacy:
        rows = legacy.get(path).json()
    times = [row["last_viewed_at"] for row in rows]
    assert len(times) == 5
    assert times == sorted(times, reverse=True)


def test_exports_have_content(box: Sandbox, http: httpx.Client) -> None:
    rows = box.list_rows("exports")
    image = next(row for row in rows if row["export_format"] == "image/png" and row["has_content"])
    answer = http.get(f"/api/projects/1/exports/{image['id']}/content/")
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{image["filename"]}"'
    assert pixels(answer.content) == (24, 24)
    table = next(row for row in rows if row["export_format"] == "text/csv" and row["has_content"])
    text = http.get(f"/api/projects/1/exports/{table['id']}/content/").content.decode()
    lines = list(csv.reader(io.StringIO(text)))
    assert lines[0] == ["series", "day", "value"]
    assert len(lines) == 8
    stuck = next(row for row in rows if not row["has_content"])
    assert http.get(f"/api/projects/1/exports/{stuck['id']}/content/").status_code == 404


def pixels(image: bytes) -> tuple[int, int]:
    """The size of a PNG, once all its parts have proven whole."""
    assert image[:8] == b"\x89PNG\r\n\x1a\n"
    place, parts = 8, {}
    while place < len(image):
        (length,) = struct.unpack(">I", image[place : place + 4])
        kind, body = image[place + 4 : place + 8], image[place + 8 : place + 8 + length]
        assert struct.unpack(">I", image[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + body)
        parts[kind] = body
        place += 12 + length
    width, height = struct.unpack(">II", parts[b"IHDR"][:8])
    assert len(zlib.decompress(parts[b"IDAT"])) == height * (width + 1)
    return width, height


@pytest.mark.parametrize("path", ["/api/projects/", "/api/organizations/@current/projects/"])
def test_further_projects_can_be_seen(box: Sandbox, http: httpx.Client, path: str) -> None:
    assert http.get(path).json()["count"] == 1
    box.set_behaviour(other_projects=4)
    body = http.get(path, params={"limit": 2}).json()
    assert (body["count"], [row["id"] for row in body["results"]]) == (5, [1, 2])
    more = http.get(body["next"]).json()["results"]
    assert len({row["name"] for row in [*body["results"], *more]}) == 4
    assert http.get("/api/projects/2/cohorts/").status_code == 404
    assert http.get("/api/organizations/other/projects/").status_code == 404
    with client_of(box, box.create_key(scoped_teams=[1])) as narrow:
        assert narrow.get("/api/projects/").json()["count"] == 1
