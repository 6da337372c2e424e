"""`status`: what the file holds, read without PostHog."""

from __future__ import annotations

import duckdb

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import DEFAULT
from tests.pipelines.conftest import InProcess, assert_one_screen
from tests.pipelines.test_every_table import there


def test_status_tells_tables_runs_and_checks(quick: InProcess, posthog: Sandbox) -> None:
    assert quick.pointed_at(posthog)("sync").code == 0
    posthog.reset_counters()
    for name in ("POSTHOG_HOST", "POSTHOG_PROJECT_ID", "POSTHOG_PERSONAL_API_KEY"):
        del quick.environment[name]
    outcome = quick("status", "--format", "json")
    assert outcome.code == 0
    assert posthog.counters()["requests"] == 0
    counts = there(posthog)
    tables = {event["table"]: event for event in outcome.of("table")}
    assert set(tables) == {*DEFAULT, "property_columns"}
    assert {name: table["rows"] for name, table in tables.items() if name in counts} == counts
    with duckdb.connect(str(quick.folder / "posthog_warehouse.duckdb"), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        newest = connection.execute("SELECT max(timestamp), max(created_at) FROM posthog.events").fetchone()
    assert newest is not None
    found = (tables["events"]["newest_timestamp"], tables["events"]["newest_created_at"])
    assert found == (newest[0].isoformat(), newest[1].isoformat())
    [run] = outcome.of("run")
    assert (run["status"], run["host"]) == ("complete", posthog.host)
    assert {check["table_name"]: check["status"] for check in outcome.of("check")} == dict.fromkeys(DEFAULT, "complete")
    assert outcome.of("result")[0]["status"] == "complete"

    shown = quick("status")
    assert shown.code == 0
    assert f"{counts['events']:,}" in shown.out
    assert "last run: complete" in shown.out
    lines = shown.out.splitlines()
    assert max(map(len, lines)) <= 110
    # A line for each table and check: none is folded into several.
    assert len(lines) <= len(tables) + len(DEFAULT) + 20


def test_without_a_file_the_way_to_get_one_is_told(quick: InProcess) -> None:
    outcome = quick("status")
    assert outcome.code == 6
    assert_one_screen(outcome.err, "There is no file posthog_warehouse.duckdb", "sync")
    assert quick.databases == []


def test_a_file_without_our_tables_says_so(quick: InProcess) -> None:
    duckdb.connect(str(quick.folder / "other.duckdb")).close()
    outcome = quick("status", "--database", "other.duckdb")
    assert outcome.code == 6
    assert_one_screen(outcome.err, "other.duckdb has no tables", "--dataset")
