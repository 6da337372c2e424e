"""A project that changes while the sandbox runs, as PostHog's ingestion would change it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from posthog_warehouse.sandbox import changes
from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.ddl import TABLES
from posthog_warehouse.sandbox.generator import Dataset, generate
from posthog_warehouse.sandbox.store import Store, quoted

NOW = datetime(2026, 11, 20, 16, 0, tzinfo=timezone.utc)
EVENTS = 3_000


class StoppedClock(Clock):
    """A clock that moves only when told to, so that equal calls give equal rows."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self._now = NOW

    def now(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> datetime:
        self._now += timedelta(seconds=seconds)
        return self._now


def generated(clock: Clock) -> Store:
    store = Store(clock)
    generate(store, Dataset(events=EVENTS, persons=300, seed=5, until=NOW))
    return store


@pytest.fixture(scope="module")
def template() -> Iterator[Store]:
    store = generated(StoppedClock())
    yield store
    store.close()


@pytest.fixture
def clock() -> Clock:
    clock = StoppedClock()
    clock.advance(600)
    return clock


@pytest.fixture
def store(template: Store, clock: Clock) -> Iterator[Store]:
    """A project of 3,000 events ten minutes after the last of them, to be changed at will."""
    store = Store(clock)
    for table in TABLES:
        # Rows of one key stay apart, as they are in the template.
        store.execute(
            f"INSERT INTO {table} SELECT * FROM {template.database}.{table}", settings={"optimize_on_insert": 0}
        )
    yield store
    store.close()


def those(uuids: list[str]) -> str:
    return f"uuid IN [{', '.join(map(quoted, uuids))}]"


def person(store: Store, person_id: str) -> dict[str, Any]:
    """The latest version of a person."""
    row = store.rows(
        "SELECT max(version), argMax(is_deleted, version), argMax(properties, version), argMax(created_at, version), "
        f"argMax(_timestamp, version) FROM person WHERE id = {quoted(person_id)}"
    )[0]
    return {
        "version": row[0],
        "deleted": row[1],
        "properties": json.loads(row[2]),
        "created_at": row[3],
        "_timestamp": row[4],
    }


def owners(store: Store) -> dict[str, tuple[str, int]]:
    """Each live distinct_id's person and version."""
    rows = store.rows(
        "SELECT distinct_id, toString(argMax(person_id, version)), max(version) FROM person_distinct_id2 "
        "GROUP BY distinct_id HAVING argMax(is_deleted, version) = 0"
    )
    return {distinct_id: (owner, version) for distinct_id, owner, version in rows}


def test_counts_are_what_a_complete_copy_would_hold(store: Store) -> None:
    found = changes.counts(store)
    assert found["events"] == EVENTS
    assert found["persons"] == 300 - 15
    assert found["person_distinct_ids"] == len(owners(store))
    assert found["recordings"] == store.scalar("SELECT uniqExact(session_id) FROM session_replay_events")


def test_late_events_are_ingested_now_and_happened_then(store: Store, clock: Clock) -> None:
    uuids = changes.add_late_events(store, clock, 503, days_back=20, days_back_min=2, seed=1)
    assert len(set(uuids)) == 503
    assert changes.counts(store)["events"] == EVENTS + 503
    oldest, newest, created, landed, names, senders, size, valid = store.rows(
        "SELECT min(timestamp), max(timestamp), groupUniqArray(created_at), groupUniqArray(_timestamp), "
        "uniqExact(event), uniqExact(distinct_id), avg(length(properties)), min(isValidJSON(properties)) "
        f"FROM events WHERE {those(uuids)}"
    )[0]
    moment = clock.now()
    assert (moment - timedelta(days=20)).isoformat() <= oldest < newest <= (moment - timedelta(days=2)).isoformat()
    assert (created, landed) == (["2026-11-20T16:10:00Z"], ["2026-11-20T16:10:00Z"])
    assert names > 5
    assert senders > 20
    assert 1_500 < size < 2_048
    assert valid == 1
    # They are sent by persons who are there.
    map_now = owners(store)
    pairs = store.rows(f"SELECT DISTINCT distinct_id, toString(person_id) FROM events WHERE {those(uuids)}")
    assert all(map_now[distinct_id][0] == owner for distinct_id, owner in pairs)


def test_equal_data_and_seed_give_equal_changes(store: Store, clock: Clock) -> None:
    other_clock = StoppedClock()
    other = generated(other_clock)
    other_clock.advance(600)

    def change(which: Store, its_clock: Clock) -> list[list[str]]:
        return [
            changes.add_late_events(which, its_clock, 20, seed=1),
            changes.add_late_events(which, its_clock, 20, seed=1),
            changes.merge_persons(which, its_clock, 3, seed=1),
            changes.update_persons(which, its_clock, 3, seed=1),
            changes.delete_persons(which, its_clock, 3, seed=1),
            changes.delete_events(which, its_clock, 3, seed=1),
            changes.grow_recordings(which, its_clock, 3, seed=1),
        ]

    here, there = change(store, clock), change(other, other_clock)
    assert here == there
    # The same call again adds others: the data is no longer the same.
    assert not set(here[0]) & set(here[1])
    other.close()


def test_many_events_can_share_a_timestamp(store: Store, clock: Clock) -> None:
    moment = NOW - timedelta(days=3, microseconds=1)
    uuids = changes.add_events_at(store, clock, 20_000, moment)
    assert len(set(uuids)) == 20_000
    rows = store.rows(
        "SELECT toString(timestamp), uniqExact(uuid), uniqExact(distinct_id) FROM events GROUP BY timestamp"
    )
    assert max(rows, key=lambda row: row[1])[:2] == ["2026-11-17 15:59:59.999999", 20_000]
    assert changes.counts(store)["events"] == EVENTS + 20_000


def test_many_events_can_share_a_distinct_id_over_a_day(store: Store, clock: Clock) -> None:
    before = changes.counts(store)
    day = datetime(2026, 11, 17, tzinfo=timezone.utc)
    who = 'it\'s "the" only \\ one 🦔'
    changes.add_events_at(store, clock, 5_000, day, distinct_id=who, event="purchase", spread_seconds=86_400)
    assert store.rows(
        "SELECT uniqExact(uuid), uniqExact(timestamp), min(timestamp), uniqExact(toDate(timestamp)), "
        f"uniqExact(person_id), groupUniqArray(event) FROM events WHERE distinct_id = {quoted(who)}"
    ) == [[5_000, 5_000, "2026-11-17T00:00:00Z", 1, 1, ["purchase"]]]
    # Nobody had the distinct_id: its first event makes a person.
    after = changes.counts(store)
    assert after["persons"] - before["persons"] == 1
    assert after["person_distinct_ids"] - before["person_distinct_ids"] == 1
    changes.add_events_at(store, clock, 1, day, distinct_id=who)
    assert changes.counts(store)["persons"] == after["persons"]


def test_a_merge_moves_distinct_ids_and_leaves_events_alone(store: Store, clock: Clock) -> None:
    before, map_before = changes.counts(store), owners(store)
    events = store.rows("SELECT groupBitXor(cityHash64(*)) FROM events")
    touched = changes.merge_persons(store, clock, 10, seed=2)
    away, into = touched[:10], touched[10:]
    assert len(set(touched)) == 20
    after, map_after = changes.counts(store), owners(store)
    assert after == {**before, "persons": before["persons"] - 10}
    assert store.rows("SELECT groupBitXor(cityHash64(*)) FROM events") == events
    overrides = {
        distinct_id: (owner, version)
        for distinct_id, owner, version in store.rows(
            "SELECT distinct_id, toString(person_id), version FROM person_distinct_id_overrides"
        )
    }
    for lost, kept in zip(away, into, strict=True):
        moved = [distinct_id for distinct_id, (owner, _) in map_before.items() if owner == lost]
        assert moved
        for distinct_id in moved:
            assert map_after[distinct_id] == (kept, map_before[distinct_id][1] + 1)
            assert overrides[distinct_id] == map_after[distinct_id]
        assert person(store, lost)["deleted"] == 1
        assert person(store, lost)["properties"] == {}
        assert person(store, kept)["deleted"] == 0
        assert person(store, kept)["_timestamp"] == "2026-11-20T16:10:00Z"


def test_a_merged_person_keeps_its_own_properties_and_gains_the_others(store: Store, clock: Clock) -> None:
    everyone = [row[0] for row in store.rows("SELECT DISTINCT toString(id) FROM person")]
    before = {person_id: person(store, person_id) for person_id in everyone}
    lost, kept = changes.merge_persons(store, clock, 1, seed=3)
    after = person(store, kept)
    assert after["properties"] == {**before[lost]["properties"], **before[kept]["properties"]}
    assert after["version"] == before[kept]["version"] + 1
    assert after["created_at"] == min(before[lost]["created_at"], before[kept]["created_at"])
    assert person(store, lost)["version"] == before[lost]["version"] + 100


def test_an_update_is_a_new_version(store: Store, clock: Clock) -> None:
    before = changes.counts(store)
    touched = changes.update_persons(store, clock, 7)
    assert len(set(touched)) == 7
    assert changes.counts(store) == before
    assert all(person(store, person_id)["properties"]["updated"] == clock.now().isoformat() for person_id in touched)
    assert set(changes.update_persons(store, clock, 7)) != set(touched)


def test_a_deleted_person_takes_its_distinct_ids_along_but_not_its_events(store: Store, clock: Clock) -> None:
    before, map_before = changes.counts(store), owners(store)
    touched = set(changes.delete_persons(store, clock, 9))
    lost_ids = {distinct_id for distinct_id, (owner, _) in map_before.items() if owner in touched}
    after = changes.counts(store)
    assert after["persons"] == before["persons"] - 9
    assert after["person_distinct_ids"] == before["person_distinct_ids"] - len(lost_ids)
    assert after["events"] == before["events"]
    assert set(map_before) - set(owners(store)) == lost_ids
    # Who writes from such a distinct_id again becomes a new person.
    revived = min(lost_ids)
    changes.add_events_at(store, clock, 2, clock.now(), distinct_id=revived)
    owner, version = owners(store)[revived]
    assert owner not in touched
    assert version > 100
    assert changes.counts(store)["persons"] == after["persons"] + 1


def test_deleted_events_are_gone_at_once(store: Store, clock: Clock) -> None:
    twice = [row[0] for row in store.rows("SELECT toString(uuid) FROM events GROUP BY uuid HAVING count() > 1")]
    named = changes.delete_events(store, clock, uuids=[*twice, "00000000-0000-4000-8000-000000000000"])
    assert set(named) == set(twice)
    drawn = changes.delete_events(store, clock, 100)
    assert len(set(drawn)) == 100
    assert changes.counts(store)["events"] == EVENTS - len(twice) - 100
    assert store.scalar(f"SELECT count() FROM events WHERE {those([*twice, *drawn])}") == 0
    assert changes.delete_events(store, clock, uuids=[]) == []


def test_events_sent_twice_survive_a_deletion_of_others(store: Store, clock: Clock) -> None:
    sql = "SELECT count() FROM (SELECT uuid FROM events GROUP BY uuid HAVING count() > 1)"
    twice = store.scalar(sql)
    changes.add_late_events(store, clock, 10)
    once = store.rows("SELECT toString(uuid) FROM events GROUP BY uuid HAVING count() = 1 LIMIT 5")
    changes.delete_events(store, clock, uuids=[uuid for (uuid,) in once])
    assert store.scalar(sql) == twice


def test_recordings_grow_and_are_ongoing_again(store: Store, clock: Clock) -> None:
    facts = "max(max_last_timestamp), sum(click_count), max(_timestamp)"
    sql = f"SELECT {facts} FROM session_replay_events WHERE session_id = "
    before = changes.counts(store)
    sessions = changes.grow_recordings(store, clock, 4)
    assert len(set(sessions)) == 4
    lines = "SELECT sum(console_log_count + console_warn_count + console_error_count) FROM session_replay_events"
    assert changes.counts(store) == {**before, "log_entries": store.scalar(lines)}
    grown = {session: store.rows(sql + quoted(session))[0] for session in sessions}
    assert {row[2] for row in grown.values()} == {"2026-11-20T16:10:00Z"}
    clock.advance(3_600)
    changes.grow_recordings(store, clock, 4)
    for session in sessions:
        last, clicks, landed = store.rows(sql + quoted(session))[0]
        assert last > grown[session][0]
        assert clicks > grown[session][1]
        assert landed == "2026-11-20T17:10:00Z"


@pytest.mark.parametrize("count", [0, 10_000])
def test_asking_for_more_than_there_is_changes_what_there_is(store: Store, clock: Clock, count: int) -> None:
    live = changes.counts(store)
    assert len(changes.merge_persons(store, clock, count)) == (live["persons"] // 2 * 2 if count else 0)
    left = changes.counts(store)["persons"]
    assert len(changes.update_persons(store, clock, count)) == (left if count else 0)
    assert len(changes.delete_persons(store, clock, count)) == (left if count else 0)
    assert len(changes.grow_recordings(store, clock, count)) == (live["recordings"] if count else 0)
    if count:
        with pytest.raises(ValueError, match="no person left"):
            changes.add_late_events(store, clock, 1)
    else:
        assert changes.add_late_events(store, clock, 0) == []
    assert len(changes.delete_events(store, clock, count)) == (EVENTS if count else 0)


def test_senseless_changes_are_refused(store: Store, clock: Clock) -> None:
    with pytest.raises(ValueError, match="days_back_min"):
        changes.add_late_events(store, clock, 1, days_back=1, days_back_min=2)
    with pytest.raises(ValueError, match="time zone"):
        changes.add_events_at(store, clock, 1, NOW.replace(tzinfo=None))
