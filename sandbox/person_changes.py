"""What happens to persons while the sandbox runs, written the way PostHog's ingestion writes it.

A deletion adds 100 to the version of the person and of its distinct_ids. A merge moves the distinct_ids, with the next
version, in person_distinct_id2 and in person_distinct_id_overrides, deletes the one person and gives the other one's
properties a new version; events keep the person_id they were ingested with (posthog/models/person/util.py and the
ingestion's person-merge service, autumn 2026).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.ddl import TEAM_ID
from posthog_warehouse.sandbox.recipe import array, constant
from posthog_warehouse.sandbox.store import Store, quoted

_DELETION = 100
_ROWS_PER_INSERT = 500

LIVE_DISTINCT_IDS = """
SELECT distinct_id, argMax(person_id, version) AS owner, max(version) AS last_version
FROM person_distinct_id2
GROUP BY distinct_id
HAVING argMax(is_deleted, version) = 0"""

LIVE_PERSONS = """
SELECT
    id,
    argMax(properties, version) AS last_properties,
    argMax(created_at, version) AS first_seen,
    argMax(is_identified, version) AS identified,
    max(version) AS last_version
FROM person
GROUP BY id
HAVING argMax(is_deleted, version) = 0"""


@dataclass(frozen=True)
class _Person:
    id: str
    properties: dict[str, Any]
    created_us: int
    identified: int
    version: int
    deleted: int = 0


def merge_persons(store: Store, clock: Clock, count: int, seed: int = 0) -> list[str]:
    """Merge `count` persons into as many others, fewer if there are not enough.

    Returns:
        The ids of the persons merged away, then, in the same order, of those they were merged into.
    """
    chosen = _choose(store, 2 * count, f"merge {seed}")
    pairs = list(zip(chosen[: len(chosen) // 2], chosen[len(chosen) // 2 :], strict=False))
    if not pairs:
        return []
    now = _now(clock)
    away, into = [lost.id for lost, _ in pairs], [kept.id for _, kept in pairs]
    for table in ("person_distinct_id_overrides", "person_distinct_id2"):
        store.execute(
            f"""
INSERT INTO {table} (team_id, distinct_id, person_id, is_deleted, version, _timestamp)
SELECT {TEAM_ID}, distinct_id, toUUID(transform(toString(owner), {array(away)}, {array(into)}, '')), 0,
    last_version + 1, {now}
FROM ({LIVE_DISTINCT_IDS})
WHERE toString(owner) IN {array(away)}"""
        )
    merged = [
        replace(
            kept,
            properties={**lost.properties, **kept.properties},
            created_us=min(lost.created_us, kept.created_us),
            identified=1,
            version=kept.version + 1,
        )
        for lost, kept in pairs
    ]
    _write(store, clock, [*(_deleted(lost) for lost, _ in pairs), *merged])
    return [*away, *into]


def update_persons(store: Store, clock: Clock, count: int, seed: int = 0) -> list[str]:
    """Change properties of `count` persons, fewer if there are not enough. Returns their ids."""
    chosen = _choose(store, count, f"update {seed}")
    moment = clock.now().isoformat()
    changed = [
        replace(
            person,
            properties={**person.properties, "updated": moment, "visits": person.version + 1, "Nickname": 'Ø\'Hög "x"'},
            version=person.version + 1,
        )
        for person in chosen
    ]
    _write(store, clock, changed)
    return [person.id for person in changed]


def delete_persons(store: Store, clock: Clock, count: int, seed: int = 0) -> list[str]:
    """Delete `count` persons and their distinct_ids, fewer if there are not enough; their events stay.

    Returns:
        The persons' ids.
    """
    chosen = _choose(store, count, f"delete {seed}")
    if not chosen:
        return []
    ids = [person.id for person in chosen]
    store.execute(
        f"""
INSERT INTO person_distinct_id2 (team_id, distinct_id, person_id, is_deleted, version, _timestamp)
SELECT {TEAM_ID}, distinct_id, owner, 1, last_version + {_DELETION}, {_now(clock)}
FROM ({LIVE_DISTINCT_IDS})
WHERE toString(owner) IN {array(ids)}"""
    )
    _write(store, clock, [_deleted(person) for person in chosen])
    return ids


def create_person(store: Store, clock: Clock, distinct_id: str, seed: int = 0) -> None:
    """Give a distinct_id that belongs to nobody a person, as the first event of it would."""
    high, low = constant(seed, distinct_id, clock.now()), constant(seed, distinct_id, "low")
    digits = f"{high:016x}{low:016x}"
    person_id = f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
    created_us = round(clock.now().timestamp() * 1000) * 1000
    _write(store, clock, [_Person(person_id, {"$creator": "late"}, created_us, 1, 0)])
    # A distinct_id of a deleted person has a version already, and the higher one counts.
    rows = f"FROM person_distinct_id2 WHERE distinct_id = {quoted(distinct_id)}"
    version = store.scalar(f"SELECT if(count() = 0, 0, max(version) + 1) {rows}")
    store.execute(
        f"""
INSERT INTO person_distinct_id2 (team_id, distinct_id, person_id, is_deleted, version, _timestamp)
SELECT {TEAM_ID}, {quoted(distinct_id)}, {quoted(person_id)}, 0, {version}, {_now(clock)}"""
    )


def _choose(store: Store, count: int, purpose: str) -> list[_Person]:
    """Draw live persons who have a distinct_id; the version is part of the draw, so the next one finds others."""
    rows = store.rows(
        f"""
SELECT toString(id), last_properties, toUnixTimestamp64Milli(first_seen) * 1000, identified, last_version
FROM ({LIVE_PERSONS})
WHERE id IN (SELECT owner FROM ({LIVE_DISTINCT_IDS}))
ORDER BY cityHash64(id, last_version, {constant(purpose)}), id
LIMIT {count}"""
    )
    return [_Person(row[0], json.loads(row[1]), *row[2:]) for row in rows]


def _deleted(person: _Person) -> _Person:
    return replace(person, properties={}, version=person.version + _DELETION, deleted=1)


def _write(store: Store, clock: Clock, persons: Sequence[_Person]) -> None:
    now, last_seen = _now(clock), round(clock.now().timestamp() * 1000)
    for chunk in _chunks(persons):
        values = ", ".join(
            f"({quoted(person.id)}, fromUnixTimestamp64Micro({person.created_us}, 'UTC'), {TEAM_ID}, "
            f"{quoted(json.dumps(person.properties, ensure_ascii=False, separators=(',', ':')))}, "
            f"{person.identified}, {person.deleted}, {person.version}, fromUnixTimestamp64Milli({last_seen}, 'UTC'), "
            f"{now})"
            for person in chunk
        )
        store.execute(
            "INSERT INTO person (id, created_at, team_id, properties, is_identified, is_deleted, version, "
            f"last_seen_at, _timestamp) VALUES {values}"
        )


def _chunks(persons: Sequence[_Person]) -> Iterable[Sequence[_Person]]:
    for start in range(0, len(persons), _ROWS_PER_INSERT):
        yield persons[start : start + _ROWS_PER_INSERT]


def _now(clock: Clock) -> str:
    return f"toDateTime({int(clock.now().timestamp())}, 'UTC')"
