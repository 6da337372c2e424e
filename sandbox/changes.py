"""What happens to a project while the sandbox runs. Everything here is decided by the data and a seed.

New rows are ingested at the sandbox's present (`created_at`, `_timestamp`), whatever time they tell of.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.cohorts import MEMBERS, recalculate_cohorts
from posthog_warehouse.sandbox.ddl import TEAM_ID
from posthog_warehouse.sandbox.groups import update_groups
from posthog_warehouse.sandbox.person_changes import (
    LIVE_DISTINCT_IDS,
    LIVE_PERSONS,
    create_person,
    delete_persons,
    merge_persons,
    update_persons,
)
from posthog_warehouse.sandbox.recipe import (
    EVENT_COLUMNS,
    INSERT_SETTINGS,
    SESSION_COLUMNS,
    Recipe,
    constant,
    microseconds,
    time_of,
)
from posthog_warehouse.sandbox.recordings import insert_logs
from posthog_warehouse.sandbox.store import Store, quoted

__all__ = [
    "add_events_at",
    "add_late_events",
    "counts",
    "delete_events",
    "delete_persons",
    "delete_recordings",
    "grow_recordings",
    "merge_persons",
    "recalculate_cohorts",
    "update_groups",
    "update_persons",
]

_SECOND = 1_000_000
_DAY = 86_400 * _SECOND

# Events added later come in sessions of five, of at most ten minutes, by up to 500 distinct_ids.
_SESSION_EVENTS = 5
_SESSION_US = 600 * _SECOND
_SENDERS = 500

# Generated events are numbered from 0; those added later start far above.
_FIRST_NUMBER = 1 << 48


def counts(store: Store) -> dict[str, int]:
    """Return what a complete copy would hold: distinct events, live persons and distinct_ids, recordings and so on."""
    live_persons = LIVE_PERSONS.replace("argMax(properties, version) AS last_properties,", "")
    queries = {
        "events": "SELECT uniqExact(uuid) FROM events",
        "persons": f"SELECT count() FROM ({live_persons})",
        "person_distinct_ids": f"SELECT count() FROM ({LIVE_DISTINCT_IDS})",
        "recordings": "SELECT uniqExact(session_id) FROM session_replay_events "
        "WHERE session_id NOT IN (SELECT session_id FROM session_recording)",
        "sessions": f"SELECT uniqExact(session_id) FROM raw_sessions WHERE team_id = {TEAM_ID}",
        "groups": f"SELECT uniqExact(group_type_index, group_key) FROM groups WHERE team_id = {TEAM_ID}",
        "cohort_people": f"SELECT count() FROM ({MEMBERS})",
        "log_entries": f"SELECT count() FROM log_entries WHERE team_id = {TEAM_ID} AND log_source = 'session_replay'",
    }
    return {table: int(store.scalar(query) or 0) for table, query in queries.items()}


def add_late_events(
    store: Store, clock: Clock, count: int, *, days_back: float = 20, days_back_min: float = 0, seed: int = 0
) -> list[str]:
    """Add events that happened between `days_back` and `days_back_min` days ago, by persons there are.

    Returns:
        The uuids of the events.
    """
    if not 0 <= days_back_min < days_back:
        raise ValueError(f"Late events need 0 <= days_back_min < days_back, not {days_back_min} and {days_back}")
    now = microseconds(clock.now())
    first, last = now - int(days_back * _DAY), now - int(days_back_min * _DAY)
    duration = min(_SESSION_US, last - first)
    recipe = Recipe(seed)
    start = f"{first} + {recipe.hash('late start', 's')} % {max(1, last - first - duration)}"
    moment = f"intDiv(duration_us * toInt64(i * 1000 + {recipe.hash('moment', 'n')} % 1000), {_SESSION_EVENTS * 1000})"
    return _add(store, clock, recipe, count, (start, duration, f"start_us + {moment}"))


def add_events_at(
    store: Store,
    clock: Clock,
    count: int,
    timestamp: datetime,
    *,
    distinct_id: str | None = None,
    event: str | None = None,
    seed: int = 0,
    spread_seconds: float = 0,
    created_at: datetime | None = None,
    properties: str | None = None,
) -> list[str]:
    """Add events that share one timestamp, one distinct_id or one name: what paging finds hardest to part.

    Args:
        store: where to add them.
        clock: when they are ingested.
        count: how many.
        timestamp: of all of them (with a time zone).
        distinct_id: of all of them, with a person made for it if there is none; else many persons' ids.
        event: the name of all of them; else names as in a real project.
        seed: equal seeds on equal data give equal events.
        spread_seconds: spread them evenly over so long, from `timestamp` on.
        created_at: when they were ingested by the clock of who did it (with a time zone); now by default.
        properties: the text that is stored as theirs, whatever it is; else such as a real project has.

    Returns:
        The uuids of the events.
    """
    if timestamp.tzinfo is None or (created_at is not None and created_at.tzinfo is None):
        raise ValueError("The times of events need a time zone, as in 2026-11-20T12:00:00Z")
    start = microseconds(timestamp)
    spread = int(spread_seconds * _SECOND)
    moment = f"{start} + intDiv({spread} * toInt64(n - first_number), {max(1, count)})"
    times = (str(start), 0, moment)
    created = None if created_at is None else microseconds(created_at)
    recipe = Recipe(seed)
    return _add(
        store, clock, recipe, count, times, distinct_id=distinct_id, event=event, created=created, properties=properties
    )


def delete_events(
    store: Store, clock: Clock, count: int | None = None, *, uuids: Sequence[str] = (), seed: int = 0
) -> list[str]:
    """Delete events, `count` drawn from all or those named. Returns the uuids of those that were there."""
    del clock  # a deletion leaves no time behind
    where = f"WHERE uuid IN [{', '.join(map(quoted, uuids))}]" if count is None else ""
    if count is None and not uuids:
        return []
    limit = "" if count is None else f"LIMIT {count}"
    rows = store.rows(
        f"SELECT toString(uuid) FROM (SELECT DISTINCT uuid FROM events {where}) "
        f"ORDER BY cityHash64(uuid, {constant('delete events', seed)}), uuid {limit}"
    )
    found = [uuid for (uuid,) in rows]
    if found:
        store.execute(f"DELETE FROM events WHERE uuid IN [{', '.join(map(quoted, found))}]")
    return found


def grow_recordings(store: Store, clock: Clock, count: int, seed: int = 0) -> list[str]:
    """Add up to five minutes to the `count` recordings that ended last; PostHog will say they are going on.

    Returns:
        Their session ids.
    """
    now = time_of(str(microseconds(clock.now())))
    latest = f"""
SELECT session_id, any(distinct_id) AS owner, min(min_first_timestamp) AS first, max(max_last_timestamp) AS last,
    argMin(first_url, min_first_timestamp) AS url, any(snapshot_source) AS source,
    any(retention_period_days) AS retention
FROM session_replay_events GROUP BY session_id ORDER BY last DESC, session_id LIMIT {count}"""
    found = store.rows(f"SELECT session_id, toString(last) FROM ({latest}) ORDER BY last DESC, session_id")
    sessions = [session for session, _ in found]
    number = f"intHash64(cityHash64(session_id, last) + {constant('grow', seed)})"
    store.execute(
        f"""
INSERT INTO session_replay_events
SELECT session_id, {TEAM_ID}, owner, last AS piece_start,
    greatest(last + toIntervalMillisecond(1), least({now}, last + toIntervalMillisecond(60000 + {number} % 240000))),
    url, [url], 1 + {number} % 9, {number} % 20, {number} % 70, 1000 + {number} % 20000, {number} % 4, 0, 0,
    3000 + {number} % 50000, 4 + {number} % 30, 1, source, retention, toDateTime({now})
FROM ({latest})"""
    )
    if found:
        pieces = ", ".join(f"({quoted(session)}, toDateTime64({quoted(last)}, 6, 'UTC'))" for session, last in found)
        store.execute(insert_logs(seed, f"(session_id, min_first_timestamp) IN ({pieces})"))
    return sessions


def delete_recordings(store: Store, clock: Clock, count: int, seed: int = 0) -> list[str]:
    """Delete `count` recordings, as a user does: their rows stay, and nothing of them is shown any more.

    Returns:
        Their session ids.
    """
    rows = store.rows(
        "SELECT DISTINCT session_id FROM session_replay_events "
        "WHERE session_id NOT IN (SELECT session_id FROM session_recording) "
        f"ORDER BY cityHash64(session_id, {constant('delete recordings', seed)}), session_id LIMIT {count}"
    )
    sessions = [session for (session,) in rows]
    if sessions:
        now = time_of(str(microseconds(clock.now())))
        values = ", ".join(f"({quoted(one)}, {TEAM_ID}, {now}, 'owner@hedgebox.example')" for one in sessions)
        store.execute(f"INSERT INTO session_recording VALUES {values}")
    return sessions


def _add(
    store: Store,
    clock: Clock,
    recipe: Recipe,
    count: int,
    times: tuple[str, int, str],
    *,
    distinct_id: str | None = None,
    event: str | None = None,
    created: int | None = None,
    properties: str | None = None,
) -> list[str]:
    """Add events; `times` are a session's start (SQL over `s`), its length and an event's time, in microseconds."""
    if count < 1:
        return []
    if distinct_id is not None and not store.rows(f"SELECT 1 FROM ({_senders(seed=0, distinct_id=distinct_id)})"):
        create_person(store, clock, distinct_id)
    now = str(microseconds(clock.now()))
    first = _FIRST_NUMBER + _fingerprint(store) % _FIRST_NUMBER
    start, duration, moment = times
    senders = _senders(recipe.seed, distinct_id)
    many = int(store.scalar(f"SELECT count() FROM ({senders})") or 0)
    if not many:
        raise ValueError("There is no person left who could send events: start a sandbox with more of them")
    sessions = f"""
SELECT {", ".join(SESSION_COLUMNS)} FROM (
    SELECT
        *,
        toUInt64({first} + number * {_SESSION_EVENTS}) AS n0,
        toUInt64(least({_SESSION_EVENTS}, {count} - number * {_SESSION_EVENTS})) AS size,
        toUInt64({first} + number) AS s,
        toInt64({start}) AS start_us,
        toInt64({duration}) AS duration_us,
        0 AS mode,
        '' AS company
    FROM numbers({-(-count // _SESSION_EVENTS)}) AS numbered
    INNER JOIN ({senders}) AS senders ON numbered.number % {many} = senders.place
)"""
    created_us = now if created is None else str(created)
    rows = recipe.events(sessions, moment.replace("first_number", str(first)), created_us, now, event)
    columns = ", ".join(EVENT_COLUMNS)
    values = columns if properties is None else columns.replace(" properties", f" {quoted(properties)}", 1)
    store.execute(f"INSERT INTO events ({columns}) SELECT {values} FROM ({rows})", settings=INSERT_SETTINGS)
    return [uuid for (uuid,) in store.rows(f"SELECT toString(uuid) FROM ({rows})")]


def _senders(seed: int, distinct_id: str | None) -> str:
    """Return the SELECT of live distinct_ids and their persons, numbered from 0."""
    only = "" if distinct_id is None else f"WHERE distinct_id = {quoted(distinct_id)}"
    order = f"cityHash64(distinct_id, {constant('senders', seed)}), distinct_id"
    return f"""
SELECT
    toUInt64(row_number() OVER (ORDER BY {order}) - 1) AS place,
    distinct_id,
    owner AS person_id,
    toUnixTimestamp64Milli(first_seen) * 1000 AS person_created_us,
    last_properties AS person_properties,
    identified = 1 AS identified
FROM (SELECT * FROM ({LIVE_DISTINCT_IDS}) {only} ORDER BY {order} LIMIT {_SENDERS}) AS ids
INNER JOIN ({LIVE_PERSONS}) AS persons ON ids.owner = persons.id"""


def _fingerprint(store: Store) -> int:
    """Return a number that differs once events were added or deleted: the same call then adds other events."""
    rows: list[list[Any]] = store.rows("SELECT count(), groupBitXor(cityHash64(uuid)) FROM events")
    return constant(*rows[0])
