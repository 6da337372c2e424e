"""A script may say what dlt is to do with the rows: each key is there once whenever its table is, and all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dlt
import pytest
from dlt.pipeline.helpers import pipeline_drop

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import posthog
from tests.conftest import StartSandbox
from tests.faults.syncing import LONG
from tests.sandboxes import started
from tests.sources.posthog.test_source import script  # noqa: F401 - the fixture

WANTED = ("events", "persons", "person_distinct_ids", "groups", "cohorts", "session_recordings")
"""Read by queries and by lists; merged, if nobody says otherwise, but for `cohorts`, which is replaced."""
KEYS = {"events": "uuid", "persons": "person_id", "person_distinct_ids": "distinct_id", "session_recordings": "id"}
SMALL: dict[str, Any] = {"events": 1_500, "persons": 100, "seed": 5, "days": 8}


@pytest.fixture(scope="module")
def still() -> Iterator[Sandbox]:
    """Data that no test changes."""
    with started(**SMALL) as sandbox:
        assert copies(sandbox) > 0, "events that were sent twice, which ClickHouse has not merged"
        yield sandbox


def copies(sandbox: Sandbox) -> int:
    [(number,)] = sandbox.sql("SELECT count() - uniqExact(uuid) FROM events")
    return int(number)


def run(sandbox: Sandbox, *tables: str, elements: bool = False, **how: Any) -> dlt.Pipeline:
    made = dlt.pipeline("plain", destination=dlt.destinations.duckdb("warehouse.duckdb"), dataset_name="raw")
    source = posthog(sandbox.api_key, sandbox.host, elements=elements, leaf_rows=400)
    made.run(source.with_resources(*(tables or WANTED)), **how)
    return made


def rows(made: dlt.Pipeline, sql: str) -> list[Any]:
    with made.sql_client() as client:
        return [tuple(row) for row in client.execute_sql(sql) or ()]


def counted(made: dlt.Pipeline) -> dict[str, tuple[int, int]]:
    """Rows and keys of each table."""
    found = {}
    for table in WANTED:
        key = f"DISTINCT {KEYS[table]}" if table in KEYS else "*"
        [found[table]] = rows(made, f"SELECT count(*), count({key}) FROM {table}")
    return found


def held(sandbox: Sandbox) -> dict[str, tuple[int, int]]:
    there = sandbox.list_counts() | sandbox.counts()
    there["session_recordings"] = there["recordings"]
    return {table: (there[table], there[table]) for table in WANTED}


def test_tables_that_are_replaced_hold_each_key_once_and_all_of_them_after_each_run(
    start_sandbox: StartSandbox,
) -> None:
    box = start_sandbox(**SMALL)
    assert copies(box)
    for _ in range(2):
        assert counted(run(box, write_disposition="replace")) == held(box)
        # What the state says is loaded is so no more: a table of the new rows alone would be short.
        box.advance_clock(2 * 3600)
        box.add_events(30, days_back=1, seed=3)
        box.advance_clock(3600)


def test_a_table_that_is_replaced_and_may_not_be_read_is_left_as_it_is(start_sandbox: StartSandbox) -> None:
    box = start_sandbox(**SMALL)
    made = run(box, "groups", write_disposition="replace")
    assert rows(made, "SELECT count(*) FROM groups") == [(box.counts()["groups"],)]
    box.add_fault("status", path="/query/", always=True, status=403)
    run(box, "groups", write_disposition="replace")
    assert rows(made, "SELECT count(*) FROM groups") == [(box.counts()["groups"],)]


def test_rows_that_are_appended_come_once_a_run(still: Sandbox) -> None:
    made = run(still, write_disposition="append")
    assert counted(made) == held(still)


def test_elements_are_replaced_with_their_events(start_sandbox: StartSandbox) -> None:
    box = start_sandbox(**SMALL)
    made = run(box, "events", elements=True, write_disposition="replace")
    before = rows(made, "SELECT count(*) FROM event_elements")
    with made.sql_client() as client:
        client.execute_sql(
            "INSERT INTO event_elements BY NAME SELECT * REPLACE (uuid() AS event_uuid) FROM event_elements LIMIT 3"
        )
    run(box, "events", elements=True, write_disposition="replace")
    assert rows(made, "SELECT count(*) FROM event_elements") == before != [(0,)]


@pytest.mark.parametrize("refresh", ["drop_sources", "drop_resources", "drop_data"] if LONG else ["drop_data"])
def test_what_dlt_drops_or_empties_is_loaded_again(still: Sandbox, refresh: str) -> None:
    """Also tables that PostHog gives whole, which are not loaded again while they are as they were."""
    tables = ("events", "cohorts")
    run(still, *tables)
    made = run(still, *tables, refresh=refresh)
    for table in tables:
        assert rows(made, f"SELECT count(*) FROM {table}") == [(held(still)[table][0],)]


def test_what_was_dropped_by_hand_is_loaded_again(still: Sandbox) -> None:
    made = run(still, "cohorts", "persons")
    pipeline_drop(made, resources=["cohorts", "persons"])()
    run(still, "cohorts", "persons")
    for table in ("cohorts", "persons"):
        assert rows(made, f"SELECT count(*) FROM {table}") == [(held(still)[table][0],)]


def test_one_table_may_be_replaced_and_the_others_merged(still: Sandbox) -> None:
    made = run(still)
    source = posthog(still.api_key, still.host, leaf_rows=400)
    source.resources["events"].apply_hints(write_disposition="replace")
    made.run(source.with_resources(*WANTED))
    assert counted(made) == held(still)
