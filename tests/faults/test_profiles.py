"""Self-hosted servers of December 2023 and August 2025 with the same data give the same tables as PostHog Cloud.

One scenario for each: a first sync and one after it, in which PostHog refuses nothing any more; then late events,
merged, changed and deleted persons, changed groups; a sync of that which is killed; and the same command again. What a
server lacks costs that, once, and is told; what nobody foresaw costs its table.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from posthog_warehouse.pipelines.sync import SyncResult
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE, TABLES
from tests.faults.conftest import DAYS, SEED
from tests.faults.syncing import LONG, sync_here, sync_process
from tests.sandboxes import started

pytestmark = pytest.mark.slow

EVENTS = 2_500
PERSONS = 120
ALL = tuple(table for table in TABLES.values() if not table.is_on_request)
NAMES = (*CORE, "sessions", "session_recordings", "cohorts", "annotations")
BESIDE = ALL if LONG else tuple(TABLES[name] for name in NAMES)
"""Tables of each kind, among which one has a fault of its own."""
WHAT_IS_THERE = {
    "events": "SELECT uuid, event, timestamp, distinct_id, person_id, properties FROM {}",
    "persons": "SELECT person_id, is_deleted, properties FROM {}",
    "person_distinct_ids": "SELECT distinct_id, person_id, is_deleted FROM {}",
    # A group that was changed says in which microsecond.
    "groups": (
        "SELECT group_type_index, group_key, "
        "regexp_replace(properties::VARCHAR, '\"changed\": *\\d+', 'changed') FROM {}"
    ),
    "session_recordings": "SELECT id, start_time, end_time, click_count FROM {}",
    "cohort_people": "SELECT cohort_id, person_id FROM {}",
    "sessions": "SELECT session_id, start_timestamp, end_timestamp, pageview_count, entry_pathname FROM {}",
}
"""Of each table what does not depend on the second in which a local PostHog was told to change."""


@dataclass
class Outcome:
    """What the scenario left behind, and what PostHog refused on the way."""

    results: list[SyncResult] = field(default_factory=list)
    refused: list[list[tuple[int, str]]] = field(default_factory=list)
    tables: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Rows, and a checksum over them."""


def refusals(sandbox: Sandbox) -> list[tuple[int, str]]:
    """The requests that PostHog refused since the counters were reset."""
    return [(entry["status"], entry["path"]) for entry in sandbox.requests() if entry["status"] >= 400]


def tables_of(database: Path) -> dict[str, tuple[int, int]]:
    with duckdb.connect(str(database), read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = {}
        there = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
        for name, sql in WHAT_IS_THERE.items():
            if name in there:
                rows = sql.format(f"posthog.{name}")
                counted = connection.execute(f"SELECT count(*), coalesce(sum(hash(t)), 0) FROM ({rows}) t").fetchone()
                assert counted is not None
                found[name] = (int(counted[0]), int(counted[1]))
        return found


def change(sandbox: Sandbox) -> None:
    """The same changes on each server."""
    late = datetime.fromisoformat("2026-11-19T03:00:00+00:00")
    for days in (0, 1, 5):
        moment = (late - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")
        sandbox.add_events(100, timestamp=moment, spread_seconds=4_000, seed=days)
    sandbox.merge_persons(5, seed=1)
    sandbox.delete_persons(5)
    sandbox.update_groups(7)


def play(folder: Path, profile: str, **behaviour: Any) -> Outcome:
    outcome = Outcome()
    database, dlt_folder = folder / "warehouse.duckdb", folder / "dlt"
    with (
        pytest.MonkeyPatch.context() as patch,
        started(
            events=EVENTS, persons=PERSONS, seed=SEED, days=DAYS, profile=profile, behaviour=behaviour or None
        ) as sandbox,
    ):
        patch.setenv("DLT_DATA_DIR", str(dlt_folder))

        def sync() -> None:
            sandbox.reset_counters()
            outcome.results.append(sync_here(sandbox, database, tables=ALL).result)
            outcome.refused.append(refusals(sandbox))

        sync()
        sandbox.advance_clock(3_700)
        sync()
        change(sandbox)
        sandbox.advance_clock(86_400)
        with sync_process(sandbox, database, dlt_folder, die="merged") as process:
            assert process.end() == -9, process.errors
        sync()
    outcome.tables = tables_of(database)
    return outcome


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return play(tmp_path_factory.mktemp("cloud"), "cloud")


def test_cloud_refuses_nothing(cloud: Outcome) -> None:
    assert [result.status for result in cloud.results] == ["complete"] * 3, cloud.results[-1].checks
    assert cloud.refused == [[], [], []]
    assert cloud.tables.keys() == WHAT_IS_THERE.keys()


@pytest.mark.parametrize(("profile", "most"), [("selfhosted-2025", 9), ("selfhosted-2023", 11)])
def test_an_older_server_gives_the_same_tables(profile: str, most: int, cloud: Outcome, tmp_path: Path) -> None:
    outcome = play(tmp_path, profile, project_timezone="America/New_York")

    assert [result.status for result in outcome.results] == ["complete"] * 3, outcome.results[-1].checks
    assert 0 < len(outcome.refused[0]) <= most, outcome.refused[0]
    assert outcome.refused[1:] == [[], []]
    lacking = WHAT_IS_THERE.keys() - outcome.tables.keys()
    assert lacking == ({"sessions"} if profile == "selfhosted-2023" else set())
    assert outcome.tables == {name: cloud.tables[name] for name in outcome.tables}
    # Each time it is said what is not there, and when it is asked for again.
    for result in outcome.results:
        skipped = {check.table: check.reason for check in result.checks if check.status == "skipped"}
        assert "person_deletion_status" in skipped
        assert skipped.keys() == result.skipped.keys()
    assert all("asked for again from" in reason for reason in skipped.values())


@pytest.fixture(scope="module")
def small() -> Iterator[Sandbox]:
    with started(events=500, persons=60, seed=SEED, days=3) as sandbox:
        yield sandbox


@pytest.mark.parametrize(
    ("behaviour", "table"),
    [
        ({"missing_tables": ["events.elements_chain"]}, "events"),
        ({"missing_tables": ["raw_persons.is_identified"]}, "persons"),
        ({"missing_tables": ["sessions.$start_timestamp"]}, "sessions"),
        ({"fault": "/annotations/"}, "annotations"),
        ({"fault": "/session_recordings/"}, "session_recordings"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_nobody_foresaw_costs_its_table(
    small: Sandbox, behaviour: dict[str, Any], table: str, database: Path
) -> None:
    before = small.behaviour()
    fault = behaviour.pop("fault", None)
    try:
        if fault is not None:
            small.add_fault("status", path=fault, status=400, always=True)
        small.set_behaviour(**behaviour)
        small.reset_counters()
        result = sync_here(small, database, tables=BESIDE).result
        refused = refusals(small)
    finally:
        small.clear_faults()
        small.set_behaviour(**{name: before[name] for name in behaviour})
    checks = {check.table: check for check in result.checks}
    others = {name: check.status for name, check in checks.items() if name != table and check.status != "complete"}
    assert others == {}
    assert result.stopped is None
    assert checks[table].status in {"unknown", "skipped"}
    assert checks[table].reason
    assert 0 < len(refused) <= 6, refused


def test_a_server_that_was_upgraded_is_noticed(small: Sandbox, database: Path) -> None:
    before = small.behaviour()
    changed = {"missing_endpoints": ["annotations"], "missing_tables": ["sessions.$vitals_lcp"]}
    tables = tuple(TABLES[name] for name in ("annotations", "sessions"))
    try:
        small.set_behaviour(**changed)
        assert {check.status for check in sync_here(small, database, tables=tables).result.checks} == {
            "complete",
            "skipped",
        }
    finally:
        small.set_behaviour(**{name: before[name] for name in changed})
    # Known for a week; whoever names a table asks now.
    small.reset_counters()
    assert sync_here(small, database, tables=tables).result.skipped.keys() == {"annotations"}
    assert not [entry for entry in small.requests() if "annotations" in entry["path"]]
    named = sync_here(small, database, tables=tables[:1], named=frozenset({"annotations"})).result
    assert named.status == "complete"
    small.advance_clock(8 * 86_400)
    result = sync_here(small, database, tables=tables).result
    assert [check.status for check in result.checks] == ["complete"] * 2
    assert "sessions" not in result.notes
