"""From run to run: what changes is replaced, what fails keeps its old points, what is gone leaves nothing."""

from __future__ import annotations

import json
from datetime import date

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.errors import AccessDenied, NothingRequested
from tests.conftest import StartSandbox
from tests.sandbox.api.insights.facts import WEEK, series
from tests.sources.posthog.readers.insights.warehouse import RESULTS, Warehouse

TREND = {"kind": "TrendsQuery", "series": [series("$pageview")], "dateRange": WEEK}
FUNNEL = {"kind": "FunnelsQuery", "series": [series("$pageview"), series("$autocapture")], "dateRange": WEEK}
BROKEN = {"kind": "TrendsQuery", "series": [series("x", math="hogql", math_hogql="nonsense(1)")], "dateRange": WEEK}

TWO = ("insight_results", "insight_trends")
THREE = (*TWO, "insight_funnel_steps")


def points(warehouse: Warehouse, name: str, table: str = "insight_trends") -> int:
    ((count,),) = warehouse.rows(f"SELECT count(*) FROM {table} WHERE insight_id = 'config:{name}'")
    return int(count)


def result(warehouse: Warehouse, name: str) -> tuple[object, ...]:
    found = warehouse.rows(f"SELECT status, rows FROM insight_results WHERE insight_id = 'config:{name}'")
    return found[0] if found else ()


def test_every_saved_insight_is_there(box: Sandbox, warehouse: Warehouse) -> None:
    readings = warehouse.load(box, saved=True)
    saved = {str(row["id"]): row for row in box.list_rows("insights") if row["saved"] and not row["deleted"]}
    found = warehouse.rows(
        "SELECT insight_id, short_id, coalesce(nullif(name, ''), '-'), status, error FROM insight_results"
    )
    assert {row[0] for row in found} == set(saved)
    assert len(found) > 10
    for insight_id, short_id, name, status, error in found:
        row = saved[insight_id]
        assert (short_id, name) == (row["short_id"], row["name"] or row["derived_name"])
        assert status in ("computed", "not_tabular")
        assert (error is None) == (status == "computed")
    # What insight_results says of the points is what the tables of points hold.
    for table in RESULTS[1:]:
        counted = "SELECT insight_id, count(*) FROM {} GROUP BY 1 ORDER BY 1"
        told = f"SELECT insight_id, rows FROM insight_results WHERE points_in = '{table}' AND rows > 0 ORDER BY 1"
        assert warehouse.rows(told) == warehouse.rows(counted.format(table))
    kinds = {row[0].removesuffix("Query") for row in warehouse.rows("SELECT DISTINCT kind FROM insight_results")}
    assert kinds >= {"Trends", "Funnels", "Retention", "Paths", "Lifecycle", "Stickiness", "HogQL"}
    assert all(reading.outcome.skipped is None and reading.outcome.failed is None for reading in readings.values())


def test_each_insight_is_asked_once_a_run(box: Sandbox, warehouse: Warehouse) -> None:
    warehouse.load(box, {"insights": {"trend": TREND}}, saved=True)
    asked = [request["query"] for request in box.requests() if request["path"].endswith("/query/")]
    assert len(asked) == len(set(asked)) > 10
    ((computed,),) = warehouse.rows("SELECT count(*) FROM insight_results WHERE status = 'computed'")
    assert len(asked) == computed


def test_only_what_a_table_needs_is_asked(box: Sandbox, warehouse: Warehouse) -> None:
    warehouse.load(box, tables=("insight_paths",), saved=True)
    assert {request["kind"] for request in box.requests() if request["path"].endswith("/query/")} == {"PathsQuery"}
    assert warehouse.tables() == {"insight_paths"}


def test_chosen_insights(box: Sandbox, warehouse: Warehouse) -> None:
    first, second = [row["id"] for row in box.list_rows("insights")][:2]
    warehouse.load(box, {"insight_ids": [first, second]})
    assert warehouse.rows("SELECT insight_id FROM insight_results ORDER BY 1") == [(str(first),), (str(second),)]
    warehouse.load(box, {"insight_ids": [second]})
    assert warehouse.rows("SELECT DISTINCT insight_id FROM insight_trends") == [(str(second),)]


def test_new_events_show_up(start_sandbox: StartSandbox, warehouse: Warehouse) -> None:
    posthog = start_sandbox(events=500, persons=50, seed=3, days=10)
    every = {**TREND, "series": [series(None)], "dateRange": {"date_from": "-30d"}}
    warehouse.load(posthog, {"insights": {"all": every}}, tables=("insight_trends",))
    before = warehouse.rows("SELECT sum(value) FROM insight_trends WHERE insight_id = 'config:all'")[0][0]
    added = posthog.add_events(40)
    warehouse.load(posthog, {"insights": {"all": every}}, tables=("insight_trends",))
    after = warehouse.rows("SELECT sum(value) FROM insight_trends WHERE insight_id = 'config:all'")[0][0]
    assert after == before + len(added)


def test_an_insight_that_fails_keeps_its_points(box: Sandbox, warehouse: Warehouse) -> None:
    warehouse.load(box, {"insights": {"mine": TREND, "other": TREND}}, tables=THREE)
    computed_at = warehouse.rows("SELECT computed_at FROM insight_results WHERE insight_id = 'config:mine'")
    readings = warehouse.load(box, {"insights": {"mine": BROKEN, "other": TREND}}, tables=THREE)
    assert (points(warehouse, "mine"), points(warehouse, "other")) == (7, 7)
    assert (result(warehouse, "mine"), result(warehouse, "other")) == (("failed", 7), ("computed", 7))
    assert warehouse.rows("SELECT computed_at FROM insight_results WHERE insight_id = 'config:mine'") == computed_at
    ((error,),) = warehouse.rows("SELECT error FROM insight_results WHERE insight_id = 'config:mine'")
    assert "nonsense" in error
    assert any("mine has no new points" in note for note in readings["insight_trends"].notes)
    warehouse.load(box, {"insights": {"mine": FUNNEL, "other": TREND}}, tables=THREE)
    assert (points(warehouse, "mine"), points(warehouse, "mine", "insight_funnel_steps")) == (0, 2)
    assert result(warehouse, "mine") == ("computed", 2)


def test_one_that_never_worked_has_none(box: Sandbox, warehouse: Warehouse) -> None:
    warehouse.load(box, {"insights": {"mine": BROKEN}}, tables=TWO)
    assert (points(warehouse, "mine"), result(warehouse, "mine")) == (0, ("failed", 0))


def test_an_insight_that_is_gone_leaves_nothing(start_sandbox: StartSandbox, warehouse: Warehouse) -> None:
    posthog = start_sandbox(events=500, persons=50, seed=3, days=10)
    warehouse.load(posthog, {"insights": {"mine": TREND}}, saved=True)
    gone = set(posthog.change_list("insights", delete=6)["deleted"]) | {"config:mine"}
    warehouse.load(posthog, saved=True)
    left = {row[0] for row in warehouse.rows("SELECT insight_id FROM insight_results")}
    assert left == {str(row["id"]) for row in posthog.list_rows("insights") if not row["deleted"]}
    for table in RESULTS:
        ids = {row[0] for row in warehouse.rows(f"SELECT DISTINCT insight_id FROM {table}")}
        assert not ids & gone
        assert ids <= left


def test_an_insight_without_points_any_more_leaves_none(box: Sandbox, warehouse: Warehouse) -> None:
    warehouse.load(box, {"insights": {"mine": FUNNEL}}, tables=THREE)
    assert points(warehouse, "mine", "insight_funnel_steps") == 2
    nobody = {**FUNNEL, "series": [series("nobody does this"), series("nor this")]}
    warehouse.load(box, {"insights": {"mine": nobody}}, tables=THREE)
    assert points(warehouse, "mine", "insight_funnel_steps") == 0
    assert result(warehouse, "mine") == ("computed", 0)


def test_a_slow_insight_is_asked_in_the_background(box: Sandbox, warehouse: Warehouse) -> None:
    box.add_fault("status", path="/query/$", status=504, times=1, at=[1])
    warehouse.load(box, {"insights": {"mine": TREND}}, tables=("insight_trends",))
    assert points(warehouse, "mine") == 7
    assert [request["status"] for request in box.requests() if request["path"].endswith("/query/")] == [504, 202]


def test_an_insight_that_the_server_cannot_compute_is_one_that_fails(box: Sandbox, warehouse: Warehouse) -> None:
    box.add_fault("status", path="/query/$", status=500, always=True)
    readings = warehouse.load(box, {"insights": {"mine": TREND}}, tables=TWO)
    assert result(warehouse, "mine") == ("failed", 0)
    assert readings["insight_trends"].outcome.failed is None


@pytest.mark.parametrize("scopes", [["query:read", "project:read"], ["insight:read", "project:read"]])
def test_a_key_that_may_not_skips_the_tables(box: Sandbox, warehouse: Warehouse, scopes: list[str]) -> None:
    readings = warehouse.load(box, key=box.create_key(scopes), tables=RESULTS[:-1], saved=True)
    assert all(isinstance(reading.outcome.skipped, AccessDenied) for reading in readings.values())
    assert all(reading.outcome.failed is None for reading in readings.values())


def test_a_definition_may_be_json_or_toml(box: Sandbox, warehouse: Warehouse) -> None:
    dated = {**TREND, "dateRange": {"date_from": date(2026, 11, 13), "date_to": date(2026, 11, 19)}}
    shown = json.dumps({"kind": "InsightVizNode", "source": TREND})
    warehouse.load(box, {"insights": {"json": shown, "toml": dated}}, tables=TWO)
    assert points(warehouse, "json") == points(warehouse, "toml") == 7
    values = "SELECT value FROM insight_trends WHERE insight_id = 'config:{}' ORDER BY point"
    assert warehouse.rows(values.format("json")) == warehouse.rows(values.format("toml"))


def test_faults_on_the_way_change_nothing(box: Sandbox, warehouse: Warehouse) -> None:
    warehouse.load(box, {"insights": {"a": TREND, "b": FUNNEL}}, tables=THREE)
    before = warehouse.rows("SELECT insight_id, point, value FROM insight_trends ORDER BY ALL")
    box.add_fault("drop", path="/query/$", every=2)
    box.add_fault("status", path="/insights/", status=503, at=[1])
    warehouse.load(box, {"insights": {"a": TREND, "b": FUNNEL}}, tables=THREE)
    assert warehouse.rows("SELECT insight_id, point, value FROM insight_trends ORDER BY ALL") == before
    assert (result(warehouse, "a"), result(warehouse, "b")) == (("computed", 7), ("computed", 2))


@pytest.mark.parametrize("given", [{"colour": "red"}, "{no json", 3])
def test_a_definition_that_is_none_is_told(box: Sandbox, warehouse: Warehouse, given: object) -> None:
    readings = warehouse.load(box, {"insights": {"mine": given}}, tables=TWO)
    failed = readings["insight_results"].outcome.failed
    assert isinstance(failed, NothingRequested)
    assert "mine" in failed.message
    assert "kind" in failed.advice


def test_a_server_that_computes_no_filters_any_more_says_so(box: Sandbox, warehouse: Warehouse) -> None:
    box.add_fault("status", path="/insights/trend/", status=404, always=True)
    old = {"insight": "TRENDS", "events": [{"id": "$pageview"}]}
    warehouse.load(box, {"insights": {"old": old, "new": TREND}}, tables=TWO)
    assert (result(warehouse, "old"), result(warehouse, "new")) == (("failed", 0), ("computed", 7))
    ((error,),) = warehouse.rows("SELECT error FROM insight_results WHERE insight_id = 'config:old'")
    assert "save it" in error
