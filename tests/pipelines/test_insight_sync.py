"""Insights by the program: replaced insight by insight in its own DuckDB file, and gone when they are gone."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tests.conftest import StartSandbox
from tests.pipelines.conftest import InProcess

TABLES = ("insight_results", "insight_trends", "insight_funnel_steps", "insight_actors")

MINE = """
[sources.posthog.requests.insights]
views = '{"kind": "InsightVizNode", "source": {"kind": "TrendsQuery", "series": [{"kind": "EventsNode"}]}}'

[sources.posthog.requests.insights.signups]
kind = "FunnelsQuery"
dateRange = { date_from = "-8d" }
series = [{ kind = "EventsNode", event = "$pageview" }, { kind = "EventsNode", event = "$autocapture" }]

[[sources.posthog.requests.insight_actors]]
insight = "signups"
step = 2
"""


def rows(folder: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(folder / "posthog_warehouse.duckdb"), read_only=True) as connection:
        connection.execute("SET search_path = 'posthog'")
        return connection.execute(sql).fetchall()


def test_insights_come_change_and_go(quick: InProcess, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(events=800, persons=60, seed=3, days=8)
    quick.pointed_at(posthog).settings(MINE)
    first = quick("sync", *TABLES, "--format", "json")
    assert first.code == 0, first.err
    assert {each["table"]: each["check"] for each in first.of("table")} == dict.fromkeys(TABLES, "complete")
    ids = {row[0] for row in rows(quick.folder, "SELECT insight_id FROM insight_results")}
    assert {"config:views", "config:signups"} < ids
    assert rows(quick.folder, "SELECT count(*) FROM insight_trends WHERE insight_id = 'config:views'") == [(8,)]
    ((persons,),) = rows(
        quick.folder, "SELECT persons FROM insight_funnel_steps WHERE insight_id = 'config:signups' AND step = 2"
    )
    ((actors,),) = rows(quick.folder, "SELECT count(*) FROM insight_actors WHERE selector = '{\"step\":2}'")
    assert isinstance(persons, int)
    assert isinstance(actors, int)
    assert 0 < actors <= persons

    gone = set(posthog.change_list("insights", delete=5)["deleted"]) | {"config:views"}
    quick.settings(MINE.replace("views = ", "# views = "))
    second = quick("sync", *TABLES, "--format", "json")
    assert second.code == 0, second.err
    assert {each["table"]: each["check"] for each in second.of("table")} == dict.fromkeys(TABLES, "complete")
    assert {row[0] for row in rows(quick.folder, "SELECT insight_id FROM insight_results")} == ids - gone
    for table in TABLES[1:3]:
        left = [row[0] for row in rows(quick.folder, f"SELECT insight_id FROM {table}")]
        assert left
        assert not gone & set(left)
    assert rows(quick.folder, "SELECT count(*) FROM insight_actors") == [(actors,)]
