"""Groups, cohorts' members and consoles' lines, against what the sandbox's ClickHouse holds."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.readers.base import TableReading
from posthog_warehouse.sources.posthog.settings import Requests
from posthog_warehouse.sources.posthog.tables.analytics import COHORT_PEOPLE, GROUPS
from posthog_warehouse.sources.posthog.tables.recordings import LOG_ENTRIES
from tests.conftest import StartSandbox
from tests.sources.posthog.table_reading import Reader

NEWEST = (
    "SELECT group_type_index, group_key, argMax(group_properties, _timestamp) FROM groups GROUP BY group_type_index, "
    "group_key"
)


def groups_of(sandbox: Sandbox) -> dict[tuple[Any, ...], Any]:
    """The groups that the sandbox has, with their properties."""
    return {(index, key): orjson.loads(text) for index, key, text in sandbox.sql(NEWEST)}


def read_groups(reader: Reader) -> dict[tuple[Any, ...], Any]:
    """The groups that were read, with their properties."""
    return {key: orjson.loads(row["properties"]) for key, row in reader.rows.items()}


def members_of(sandbox: Sandbox) -> set[tuple[Any, ...]]:
    """The members that count: of each dynamic cohort those of its newest calculation, and the static ones."""
    rows = sandbox.sql(
        "SELECT cohort_id, toString(person_id) FROM cohortpeople WHERE (cohort_id, version) IN "
        "(SELECT cohort_id, max(version) FROM cohortpeople GROUP BY cohort_id) "
        "UNION ALL SELECT cohort_id, toString(person_id) FROM person_static_cohort"
    )
    return {tuple(row) for row in rows}


@pytest.mark.parametrize("max_rows", [50_000, 130])
def test_groups_come_whole_whatever_an_answer_holds(start_sandbox: StartSandbox, max_rows: int) -> None:
    # A quarter of the groups changed in one second: no page may end between them and lose some.
    sandbox = start_sandbox(events=300, persons=20, behaviour={"max_rows": max_rows})
    reader = Reader(sandbox, GROUPS)
    held: list[int | None] = []
    rows = reader.run(check=lambda reading: held.append(reading.evidence.held))
    assert len(rows) == len(reader.rows) == sandbox.counts()["groups"] == held[0]
    assert read_groups(reader) == groups_of(sandbox)
    sandbox.advance_clock(7200)
    # What changed within the hour before the first run is looked at again, and what changed since.
    again = len(reader.run())
    assert again < 10
    names = sandbox.update_groups(20)
    changed = reader.run()
    assert {f"{row['group_type_index']}/{row['group_key']}" for row in changed} >= set(names)
    assert len(changed) <= len(names) + again
    assert read_groups(reader) == groups_of(sandbox)


def test_members_are_replaced_when_any_changed(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=300, persons=300, behaviour={"max_rows": 110})
    reader = Reader(sandbox, COHORT_PEOPLE)
    readings: list[TableReading] = []
    rows = reader.run(check=readings.append)
    assert len(rows) == len(reader.rows) == sandbox.counts()["cohort_people"] == readings[0].evidence.held
    assert reader.rows.keys() == members_of(sandbox)
    assert reader.run(check=readings.append) == []
    assert readings[1].evidence.is_unchanged
    sandbox.delete_persons(30)
    sandbox.recalculate_cohorts(4)
    reader.rows.clear()
    reader.run(check=readings.append)
    assert not readings[2].evidence.is_unchanged
    assert reader.rows.keys() == members_of(sandbox)


def test_an_old_server_gives_the_same(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=300, persons=100, profile="selfhosted-2023")
    groups, members = Reader(sandbox, GROUPS), Reader(sandbox, COHORT_PEOPLE)
    groups.run()
    members.run()
    assert read_groups(groups) == groups_of(sandbox)
    assert members.rows.keys() == members_of(sandbox)


def test_one_kind_of_cohorts_may_be_lacking(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=300, persons=100, behaviour={"missing_tables": ["static_cohort_people"]})
    readings: list[TableReading] = []
    rows = Reader(sandbox, COHORT_PEOPLE).run(check=readings.append)
    assert rows
    assert "static_cohort_people" in readings[0].notes[0]
    sandbox.set_behaviour(missing_tables=["static_cohort_people", "cohort_people"])
    assert Reader(sandbox, COHORT_PEOPLE).run(check=readings.append) == []
    assert readings[1].outcome.skipped is not None


@pytest.mark.parametrize("max_rows", [50_000, 110])
def test_lines_of_consoles_come_once(start_sandbox: StartSandbox, max_rows: int) -> None:
    sandbox = start_sandbox(events=3_000, persons=50, behaviour={"max_rows": max_rows})
    recordings = [row[0] for row in sandbox.sql("SELECT DISTINCT log_source_id FROM log_entries ORDER BY 1 LIMIT 40")]
    reader = Reader(sandbox, LOG_ENTRIES)
    rows = reader.run(requests=Requests(recording_ids=tuple(recordings)))
    wanted = sandbox.sql(
        "SELECT log_source_id, instance_id, toString(timestamp), toString(level), message FROM log_entries "
        "WHERE log_source_id IN (SELECT DISTINCT log_source_id FROM log_entries ORDER BY 1 LIMIT 40)"
    )
    found = {(*key[:2], f"{key[2]:%Y-%m-%d %H:%M:%S.%f}", *key[3:]) for key in reader.rows}
    assert len(rows) == len(found) > 110
    assert found == {tuple(row) for row in wanted}
