"""What `test_sync` proves of a DuckDB file holds for the other destinations that can be run here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from posthog_warehouse.destinations.errors import DestinationHeld
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE
from posthog_warehouse.sources.posthog.clock import to_micros
from tests.conftest import StartSandbox
from tests.faults.syncing import LONG
from tests.pipelines.elsewhere import KINDS, Elsewhere
from tests.pipelines.test_check import BeforeTheCheck
from tests.pipelines.test_sync import SMALL, Packages, assert_equal
from tests.sandboxes import started

MAIN = [kind for kind in KINDS if "postgres" in kind or kind == "parquet"]
"""Run through everything."""
SHORT = MAIN if LONG else [kind for kind in MAIN if "ducklake" not in kind]
"""Run through what is no different in a DuckLake, whose every sync takes ten seconds."""
WITH_LOGS = ["parquet as delta", "parquet as iceberg"]
FIRST = KINDS if LONG else [*SHORT, "ducklake in duckdb", "sqlalchemy in sqlite"]


@pytest.fixture(scope="module")
def still() -> Iterator[Sandbox]:
    """Data that no test changes."""
    with started(**SMALL) as sandbox:
        yield sandbox


def in_another_container(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on nothing of dlt's working folder is there."""
    monkeypatch.setenv("DLT_DATA_DIR", str(folder / "another"))


@pytest.mark.parametrize("elsewhere", FIRST, indirect=True)
def test_a_sync_ends_complete_and_the_next_one_asks_for_the_overlap_alone(
    elsewhere: Elsewhere, start_sandbox: StartSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posthog = start_sandbox(**SMALL)
    result = elsewhere.sync(posthog)
    assert result.status == "complete", result.checks
    assert [check.status for check in result.checks] == ["complete"] * 3
    assert result.totals == {name: posthog.counts()[name] for name in CORE}
    assert_equal(elsewhere, posthog)

    in_another_container(tmp_path, monkeypatch)
    posthog.advance_clock(2 * 3600)
    posthog.reset_counters()
    again = elsewhere.sync(posthog)
    a_day_ago = f"parseDateTime64BestEffort('{posthog.now()}') - INTERVAL 1 DAY"
    recent = posthog.sql(f"SELECT count() FROM events WHERE created_at >= {a_day_ago}")[0][0]
    assert again.status == "complete"
    assert posthog.counters()["requests"] < 10
    assert again.rows["events"] <= recent
    assert again.rows["persons"] == again.rows["person_distinct_ids"] == 0
    assert_equal(elsewhere, posthog)


@pytest.mark.parametrize("elsewhere", [*SHORT, *WITH_LOGS], indirect=True)
def test_every_value_is_the_same_as_there(elsewhere: Elsewhere, still: Sandbox) -> None:
    elsewhere.sync(still)
    there = still.sql(
        "SELECT toString(uuid), event, toUnixTimestamp64Micro(timestamp), toUnixTimestamp64Micro(created_at), "
        "distinct_id, toString(person_id), nullIf(elements_chain, ''), properties FROM events "
        "ORDER BY created_at DESC LIMIT 1 BY uuid"
    )
    here = [
        (str(uuid), event, to_micros(timestamp), to_micros(created_at), distinct_id, str(person_id), chain, properties)
        for uuid, event, timestamp, created_at, distinct_id, person_id, chain, properties in elsewhere.rows(
            'SELECT uuid, event, "timestamp", created_at, distinct_id, person_id, elements_chain, '
            "CAST(properties AS VARCHAR) AS properties FROM {events}"
        )
    ]
    for ours, theirs in zip(sorted(here), sorted(map(tuple, there)), strict=True):
        assert ours == theirs


@pytest.mark.parametrize("elsewhere", [*SHORT, *(WITH_LOGS if LONG else WITH_LOGS[:1])], indirect=True)
def test_late_events_merges_updates_and_deletes_are_there_after_the_next_sync(
    elsewhere: Elsewhere, start_sandbox: StartSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    posthog = start_sandbox(**SMALL)
    elsewhere.sync(posthog)
    posthog.advance_clock(24 * 3600)
    late = posthog.add_events(150, days_back=20, seed=1)
    merged = posthog.merge_persons(8)
    updated = posthog.update_persons(6)
    deleted = posthog.delete_persons(5)
    posthog.advance_clock(1_200)
    in_another_container(tmp_path, monkeypatch)

    result = elsewhere.sync(posthog)

    assert result.status == "complete"
    assert set(late) <= elsewhere.keys("events")
    assert_equal(elsewhere, posthog)
    gone = [*merged[: len(merged) // 2], *deleted]
    tombstones = elsewhere.rows(
        "SELECT person_id, created_at, is_identified, properties FROM {persons} WHERE is_deleted = true"
    )
    assert {str(row[0]) for row in tombstones} == set(gone)
    assert all(row[1:] == (None, None, None) for row in tombstones), "something personal is left of a deleted person"
    assert result.rows["persons"] == len({*gone, *updated, *merged[len(merged) // 2 :]})
    assert elsewhere.rows("SELECT count(*) AS n FROM {persons_current}") == [(posthog.counts()["persons"],)]

    owner = "SELECT distinct_id, argMax(person_id, version) AS owner FROM person_distinct_id2 GROUP BY distinct_id"
    theirs = posthog.sql(
        f"SELECT DISTINCT toString(uuid), toString(owner) FROM events INNER JOIN ({owner}) AS ids USING distinct_id"
    )
    resolved = "SELECT uuid, person_id, person_id_at_ingestion FROM {events_resolved}"
    ours = {str(row[0]): row[1:] for row in elsewhere.rows(resolved)}
    assert len(ours) == posthog.counts()["events"]
    for uuid, person in theirs:
        assert str(ours[uuid][0]) == person
    assert any(now != then for now, then in ours.values()), "no merge to follow"


@pytest.mark.parametrize("elsewhere", [kind for kind in SHORT if kind != "parquet"], indirect=True)
def test_the_check_finds_what_is_missing(elsewhere: Elsewhere, still: Sandbox) -> None:
    def tamper() -> None:
        elsewhere.run(
            "DELETE FROM {events} WHERE uuid IN (SELECT uuid FROM {events} WHERE created_at < "
            "(SELECT max(created_at) FROM {events}) - INTERVAL '1 day' LIMIT 7)",
            "DELETE FROM {persons} WHERE person_id IN (SELECT person_id FROM {persons} LIMIT 3)",
            "DELETE FROM {person_distinct_ids}",
        )

    result = elsewhere.sync(still, listener=BeforeTheCheck(tamper))
    assert {check.table: (check.status, check.missing) for check in result.checks} == {
        "events": ("short", 7),
        "persons": ("short", 3),
        "person_distinct_ids": ("short", still.counts()["person_distinct_ids"]),
    }


# A lake is held when it is opened for writing, by a process: tests/destinations/lake/test_bad_input.py.
@pytest.mark.parametrize("elsewhere", [kind for kind in SHORT if kind != "parquet"], indirect=True)
def test_one_process_at_a_time_loads_into_a_dataset(
    elsewhere: Elsewhere, still: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Connections to ask by come and go; the one that holds it stays.
    monkeypatch.setattr("posthog_warehouse.destinations.sql._IDLE_SECONDS", 0.0)
    with elsewhere.opened() as first:
        first.check()
        first.check()
        assert first.totals(["events"]) == {}
        still.reset_counters()
        with pytest.raises(DestinationHeld, match="Another process"):
            elsewhere.sync(still)
        assert still.counters()["requests"] == 0
        with Elsewhere(elsewhere.kind, tmp_path, "second").opened() as other:
            other.check()
    assert elsewhere.sync(still).status == "complete"


@pytest.mark.parametrize(
    "elsewhere", [*(["ducklake in sqlite"] if LONG else []), "sqlalchemy in sqlite"], indirect=True
)
def test_a_second_sync_of_one_machine_does_not_take_the_packages_of_the_first(
    elsewhere: Elsewhere, still: Sandbox
) -> None:
    """Between two of the first's transactions nothing else tells the second that it is there."""
    asked: list[int] = []

    def sync_too(number: int) -> None:
        before = still.counters()["requests"]
        with pytest.raises(DestinationHeld, match=r"Another process .* loads into the dataset posthog"):
            elsewhere.sync(still)
        asked.append(still.counters()["requests"] - before)

    result = elsewhere.sync(still, listener=Packages(sync_too), package_rows=1_000, leaf_rows=500)
    assert result.status == "complete"
    assert asked == [0] * len(asked) != []
    assert_equal(elsewhere, still)


@pytest.mark.parametrize("elsewhere", SHORT if LONG else SHORT[:1], indirect=True)
def test_two_datasets_do_not_know_each_other(elsewhere: Elsewhere, still: Sandbox, tmp_path: Path) -> None:
    other = Elsewhere(elsewhere.kind, tmp_path, "second")
    elsewhere.sync(still)
    result = other.sync(still, tables=(CORE["persons"],))
    assert result.totals == {"persons": still.counts()["persons"]}
    assert other.keys("persons") == elsewhere.keys("persons")
    assert elsewhere.sync(still).status == "complete"


@pytest.mark.parametrize("elsewhere", SHORT if LONG else SHORT[:1], indirect=True)
def test_a_failure_in_the_middle_keeps_what_was_loaded(elsewhere: Elsewhere, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(**SMALL)

    def fail(number: int) -> None:
        if number == 2:
            posthog.add_fault("drop", path="/query/", always=True)

    result = elsewhere.sync(posthog, listener=Packages(fail), package_rows=400, leaf_rows=50)
    assert result.status == "stopped"
    assert 400 <= result.totals["events"] < posthog.counts()["events"]
    posthog.clear_faults()
    assert elsewhere.sync(posthog).status == "complete"
    assert_equal(elsewhere, posthog)
