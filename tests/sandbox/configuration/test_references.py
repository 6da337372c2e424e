"""Configuration refers to what is there: events in ClickHouse, persons, and other rows of configuration."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox


def names_in(node: Any) -> set[str]:
    """The events that a query names."""
    if isinstance(node, list):
        return set().union(*map(names_in, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = {node["event"]} if isinstance(node.get("event"), str) else set()
    return own.union(*(names_in(value) for value in node.values()))


def test_insights_are_about_events_that_are_there(sandbox_cloud: Sandbox) -> None:
    there = {row[0] for row in sandbox_cloud.sql("SELECT DISTINCT event FROM events")}
    named = names_in([row["query"] for row in sandbox_cloud.list_rows("insights")])
    assert len(named) > 4
    assert named <= there


def test_all_kinds_of_insights_are_there(sandbox_cloud: Sandbox) -> None:
    queries = [row["query"]["source"] for row in sandbox_cloud.list_rows("insights")]
    assert {query["kind"] for query in queries} >= {
        "TrendsQuery",
        "FunnelsQuery",
        "RetentionQuery",
        "PathsQuery",
        "LifecycleQuery",
        "StickinessQuery",
        "HogQLQuery",
    }
    assert any("breakdownFilter" in query for query in queries)
    assert any("compareFilter" in query for query in queries)


def test_definitions_are_of_what_clickhouse_holds(sandbox_cloud: Sandbox) -> None:
    there = {row[0] for row in sandbox_cloud.sql("SELECT DISTINCT event FROM events")}
    known = {row["name"]: row for row in sandbox_cloud.list_rows("event_definitions")}
    assert there <= set(known)
    last = sandbox_cloud.sql("SELECT max(timestamp) FROM events WHERE event = 'purchase'")[0][0]
    assert known["purchase"]["last_seen_at"] == last
    keys = {row[0] for row in sandbox_cloud.sql("SELECT DISTINCT arrayJoin(JSONExtractKeys(properties)) FROM person")}
    persons = {row["name"] for row in sandbox_cloud.list_rows("property_definitions") if row["_type"] == "person"}
    assert persons == keys
    types = {row["name"]: row["property_type"] for row in sandbox_cloud.list_rows("property_definitions")}
    assert (types["$current_url"], types["$screen_height"]) == ("String", "Numeric")


def test_cohorts_count_their_members(sandbox_cloud: Sandbox) -> None:
    counts = {row["id"]: row["count"] for row in sandbox_cloud.list_rows("cohorts") if row["count"]}
    members = dict(
        sandbox_cloud.sql(
            "SELECT cohort_id, count(DISTINCT person_id) FROM ("
            "SELECT cohort_id, person_id FROM cohortpeople WHERE (cohort_id, version) IN "
            "(SELECT cohort_id, max(version) FROM cohortpeople GROUP BY cohort_id) "
            "UNION ALL SELECT cohort_id, person_id FROM person_static_cohort) GROUP BY cohort_id"
        )
    )
    assert counts == members
    assert len(counts) >= 4


@pytest.mark.parametrize(
    ("name", "field", "of"),
    [
        ("experiments", "feature_flag", "feature_flags"),
        ("early_access_feature", "feature_flag", "feature_flags"),
        ("surveys", "targeting_flag", "feature_flags"),
    ],
)
def test_what_hangs_on_flags_shows_them(sandbox_cloud: Sandbox, name: str, field: str, of: str) -> None:
    flags = {row["id"]: row for row in sandbox_cloud.list_rows(of)}
    shown = [row[field] for row in sandbox_cloud.list_rows(name) if row[field]]
    assert shown
    for flag in shown:
        assert flag["filters"] == flags[flag["id"]]["filters"]
        assert flag["key"] == flags[flag["id"]]["key"]


def test_tiles_tie_dashboards_and_insights(sandbox_cloud: Sandbox) -> None:
    insights = {row["id"]: row for row in sandbox_cloud.list_rows("insights")}
    pairs = set()
    for dashboard in sandbox_cloud.list_rows("dashboards"):
        for tile in dashboard["tiles"]:
            assert tile["insight"] == insights[tile["insight"]["id"]]
            pairs.add((tile["id"], dashboard["id"], tile["insight"]["id"]))
    from_insights = {
        (tile["id"], tile["dashboard_id"], row["id"]) for row in insights.values() for tile in row["dashboard_tiles"]
    }
    assert pairs == from_insights
    assert len(pairs) > 8


def test_exports_and_files_name_what_is_there(sandbox_cloud: Sandbox) -> None:
    insights = {row["id"] for row in sandbox_cloud.list_rows("insights")}
    dashboards = {row["id"] for row in sandbox_cloud.list_rows("dashboards")}
    for row in sandbox_cloud.list_rows("exports"):
        assert (row["insight"] in insights) != (row["dashboard"] in dashboards)
    short_ids = {row["short_id"] for row in sandbox_cloud.list_rows("insights")}
    files = sandbox_cloud.list_rows("file_system")
    assert {row["ref"] for row in files if row["type"] == "insight"} == short_ids
    assert any(row["shortcut"] for row in files)


def test_nothing_is_younger_than_the_sandbox(sandbox_cloud: Sandbox) -> None:
    now = sandbox_cloud.now()
    for name in sandbox_cloud.list_counts():
        for row in sandbox_cloud.list_rows(name):
            for field in ("created_at", "updated_at", "last_modified_at", "date_marker", "timestamp", "first_seen"):
                assert (row.get(field) or "") <= now, (name, field)
