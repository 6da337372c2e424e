"""Every list of configuration: all its rows by following ``next``, its items, its scope, its filters."""

from __future__ import annotations

import httpx
import pytest

from posthog_warehouse.sandbox.api.lists.declaration import Listing
from posthog_warehouse.sandbox.api.lists.registry import LISTINGS
from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.clients import client_of
from tests.sandbox.api.lists.reading import pages, read
from tests.sandboxes import started

#: What has to be asked for, because a plain request leaves rows out.
EVERYTHING = {
    "hog_functions": [
        {
            "types": "destination,transformation,internal_destination,site_app,site_destination,source_webhook",
        }
    ],
    "property_definitions": [{"type": "event"}, {"type": "person"}, {"type": "group"}, {"type": "session"}],
    "experiments": [{"archived": "false"}, {"archived": "true"}],
    "feature_flags": [{"archived": "false"}, {"archived": "true"}],
}


def path_of(listing: Listing, plugin: int = 1) -> str:
    return listing.path.format(plugin_config_id=plugin)


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda listing: listing.name)
def test_following_next_finds_every_row_once(box: Sandbox, http: httpx.Client, listing: Listing) -> None:
    questions = EVERYTHING.get(listing.name, [{}])
    paths = [path_of(listing, plugin) for plugin in (1, 2, 3)] if "{" in listing.path else [listing.path]
    key = {"deletion_status": "person_uuid", "group_types": "group_type_index"}.get(listing.name, "id")
    keys = [str(row[key]) for path in paths for question in questions for row in read(http, path, **question)]
    assert sorted(keys) == sorted(box.list_keys(listing.name))
    assert len(keys) == len(set(keys)) == box.list_counts(listing.name)[listing.name] > 0


@pytest.mark.parametrize("name", ["annotations", "property_definitions", "activity_log", "exports", "file_system"])
def test_some_lists_have_more_than_a_page(box: Sandbox, name: str) -> None:
    assert box.list_counts(name)[name] > 100


@pytest.mark.parametrize("listing", [one for one in LISTINGS if one.item_keys], ids=lambda listing: listing.name)
def test_items_are_the_rows_whole(box: Sandbox, http: httpx.Client, listing: Listing) -> None:
    row = box.list_rows(listing.name)[0]
    for key in listing.item_keys:
        item = http.get(f"/api/projects/1/{listing.path}/{row[key]}/")
        assert item.json() == {name: value for name, value in row.items() if name[0] != "_"}
    assert http.get(f"/api/projects/1/{listing.path}/nothing/").status_code == 404


@pytest.mark.parametrize("listing", LISTINGS, ids=lambda listing: listing.name)
def test_a_key_needs_the_scope(box: Sandbox, listing: Listing) -> None:
    path = f"/api/projects/1/{path_of(listing)}/"
    with client_of(box, box.create_key(scopes=["query:read"])) as stranger:
        refused = stranger.get(path)
        assert (refused.status_code, refused.json()["detail"]) == (
            403,
            f"API key missing required scope '{listing.scope}'",
        )
    with client_of(box, box.create_key(scopes=[listing.scope])) as allowed:
        assert allowed.get(path).status_code == 200


def test_limit_and_offset(http: httpx.Client) -> None:
    body = http.get("/api/projects/1/annotations/", params={"limit": 30, "offset": 30, "scope": "project"}).json()
    assert set(body) == {"count", "next", "previous", "results"}
    following, before = httpx.URL(body["next"]), httpx.URL(body["previous"])
    assert str(following).startswith(str(http.base_url.join("/api/projects/1/annotations/")))
    assert dict(following.params) == {"limit": "30", "offset": "60", "scope": "project"}
    assert dict(before.params) == {"limit": "30", "scope": "project"}
    assert {row["scope"] for row in body["results"]} == {"project"}
    assert [len(page) for page in pages(http, "annotations", limit=90)] == [90, 90, 41]


def test_rows_come_in_the_declared_order(http: httpx.Client) -> None:
    dates = [row["date_marker"] for row in read(http, "annotations")]
    assert dates == sorted(dates, reverse=True)
    names = [row["name"] for row in read(http, "property_definitions", type="person")]
    assert names == sorted(names)
    dashboards = [(not row["pinned"], row["name"]) for row in read(http, "dashboards")]
    assert dashboards == sorted(dashboards)
    insights = [row["last_modified_at"] for row in read(http, "insights", order="-last_modified_at")]
    assert insights == sorted(insights, reverse=True)


def test_search_looks_into_some_fields(http: httpx.Client) -> None:
    found = read(http, "file_system", search="UPLOADS")
    assert found
    assert all("uploads" in row["path"].lower() for row in found)


def test_properties_are_of_events_unless_asked_for_others(http: httpx.Client) -> None:
    plain = {row["name"] for row in read(http, "property_definitions")}
    assert plain == {row["name"] for row in read(http, "property_definitions", type="event")}
    assert "$current_url" in plain
    companies = {row["name"] for row in read(http, "property_definitions", type="group", group_type_index=0)}
    assert "industry" in companies
    assert read(http, "property_definitions", type="group", group_type_index=4) == []


def test_functions_are_destinations_unless_asked_for_others(http: httpx.Client) -> None:
    assert {row["type"] for row in read(http, "hog_functions")} == {"destination"}
    assert {row["type"] for row in read(http, "hog_functions", types="site_app,transformation")} == {
        "site_app",
        "transformation",
    }


def test_the_activity_log_pages_by_cursor(http: httpx.Client) -> None:
    first = http.get("/api/projects/1/activity_log/", params={"page_size": 40}).json()
    assert set(first) == {"next", "previous", "results"}
    assert "cursor=" in first["next"]
    newest = read(http, "activity_log", page_size=7)
    oldest = read(http, "activity_log", page_size=11, ordering="created_at")
    times = [row["created_at"] for row in newest]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) < len(times) == len({row["id"] for row in newest})
    assert [row["id"] for row in oldest] == [row["id"] for row in reversed(newest)]
    assert http.get("/api/projects/1/activity_log/", params={"cursor": "?"}).status_code == 404


def test_the_activity_log_pages_by_number(http: httpx.Client) -> None:
    body = http.get("/api/projects/1/activity_log/", params={"page": 2, "page_size": 150}).json()
    assert set(body) == {"count", "next", "previous", "results"}
    assert (body["count"], len(body["results"])) == (340, 150)
    assert len(read(http, "activity_log", page=1, page_size=1000)) == 340
    assert (
        len(http.get("/api/projects/1/activity_log/", params={"page": 1, "page_size": 5000}).json()["results"]) == 340
    )
    assert http.get("/api/projects/1/activity_log/", params={"page": 9}).json()["detail"] == "Invalid page."


def test_deep_changes_are_in_the_activity_log(http: httpx.Client) -> None:
    changes = [row["detail"]["changes"] for row in read(http, "activity_log") if row["scope"] == "FeatureFlag"]
    assert any(change["after"]["groups"] for change in changes[0] if change["field"] == "filters")


def test_insights_have_a_short_form(http: httpx.Client) -> None:
    whole, short = (http.get("/api/projects/1/insights/", params={"basic": basic}).json() for basic in ("", "true"))
    assert set(short["results"][0]) < set(whole["results"][0])
    assert short["results"][0]["query"] == whole["results"][0]["query"]


@pytest.mark.parametrize("key", ["id", "short_id"])
def test_an_insight_comes_with_its_result_on_request(box: Sandbox, http: httpx.Client, key: str) -> None:
    row = box.list_rows("insights")[0]
    path = f"/api/projects/1/insights/{row[key]}/"
    assert http.get(path).json()["result"] is None
    fresh = http.get(path, params={"refresh": "force_blocking"}).json()
    asked = http.post("/api/projects/1/query/", json={"query": row["query"]["source"], "refresh": "force_blocking"})
    assert fresh["result"] == asked.json()["results"]
    assert (fresh["is_cached"], http.get(path, params={"refresh": "blocking"}).json()["is_cached"]) == (False, True)


ENDPOINTS = {"TRENDS": "trend", "FUNNELS": "funnel", "RETENTION": "retention", "PATHS": "path"}


def test_insights_of_old_servers_have_filters_that_say_the_same(box: Sandbox, http: httpx.Client) -> None:
    queries = {row["id"]: row["query"]["source"] for row in box.list_rows("insights")}
    box.set_behaviour(insights_have_filters=True)
    rows = [row for row in read(http, "insights") if row["filters"]]
    assert len(rows) > 10
    for row in rows:
        assert row["query"] is None
        # Stickiness and lifecycle were asked of the endpoint for trends.
        endpoint = ENDPOINTS.get(row["filters"]["insight"], "trend")
        then = http.post(f"/api/projects/1/insights/{endpoint}/", json=row["filters"]).json()["result"]
        now = http.post("/api/projects/1/query/", json={"query": queries[row["id"]]}).json()["results"]
        if endpoint == "retention":
            # Cohorts then ended with the period.
            now = [
                {**cohort, "values": cohort["values"][: len(old["values"])]}
                for cohort, old in zip(now, then, strict=True)
            ]
        assert then == now, row["name"]


def test_what_a_server_of_2023_does_not_have() -> None:
    with (
        started(events=500, persons=50, seed=5, days=10, profile="selfhosted-2023") as sandbox,
        client_of(sandbox) as old,
    ):
        for path in ("file_system", "hog_functions", "evaluations", "error_tracking/issues", "persons/deletion_status"):
            assert old.get(f"/api/projects/1/{path}/").status_code == 404
        assert not {"updated_at", "version"} & set(read(old, "feature_flags")[0])
        assert len(read(old, "annotations")) == 221
        insight = read(old, "insights")[0]
        assert (insight["query"], insight["filters"]["insight"]) == (None, "TRENDS")


@pytest.mark.parametrize(("path", "encoding"), [("insights", "gzip"), ("cohorts", "gzip"), ("annotations", None)])
def test_some_lists_are_compressed(http: httpx.Client, path: str, encoding: str | None) -> None:
    assert http.get(f"/api/projects/1/{path}/").headers.get("Content-Encoding") == encoding
