"""A small project for HogQL queries, and a large one to see what is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import orjson
import pytest

from posthog_warehouse.sandbox.behaviour import Behaviour
from posthog_warehouse.sandbox.hogql import HogQLContext, compile_query
from posthog_warehouse.sandbox.store import Selection, Store, quoted

TEAM = 71
LARGE_TEAM = 72

#: The server's time in these tests.
NOW = datetime(2026, 1, 10, 12, tzinfo=timezone.utc)

#: What every event of the small project carries; `n` is its number.
PROPERTIES = {
    "n": "number",
    "text": 'say "hi"',
    "empty": "",
    "nothing": None,
    "yes": True,
    "deep": {"list": [10, "two"], "a b": {"c": 1.5}},
    "$browser": "Chrome",
    "it's": "odd",
}

Run = Callable[..., list[list[Any]]]


def context(**changes: Any) -> HogQLContext:
    """A request for the small project, in UTC, today's behaviour."""
    fields: dict[str, Any] = {
        "team_id": TEAM,
        "timezone": "UTC",
        "now": NOW,
        "behaviour": Behaviour(),
        "modifiers": {"personsOnEventsMode": "person_id_no_override_properties_on_events"},
    }
    return HogQLContext(**{**fields, **changes})


def person(number: int) -> str:
    """The id of a person of the small project."""
    return f"10000000-0000-4000-8000-{number:012d}"


def event(number: int) -> str:
    """The uuid of an event of the small project."""
    return f"00000000-0000-4000-8000-{number:012d}"


@pytest.fixture(scope="session")
def project(clickhouse: Store) -> Store:
    """Twelve events of three distinct_ids, every two hours from 2026-01-01, and one of another team.

    Person 0 was deleted; person 3 was merged into person 1, which took its distinct_id d3.
    """
    properties = quoted(orjson.dumps(PROPERTIES).decode())
    clickhouse.execute(
        f"""
        INSERT INTO events (uuid, event, properties, timestamp, team_id, distinct_id, created_at, person_id,
            person_created_at, person_properties, `$session_id`, inserted_at)
        SELECT toUUID(concat('00000000-0000-4000-8000-', leftPad(toString(number), 12, '0'))),
            ['$pageview', '$autocapture', 'purchase'][1 + number % 3],
            replaceOne({properties}, '\"number\"', toString(number)),
            toDateTime64('2026-01-01 00:00:00.123456', 6, 'UTC') + toIntervalHour(number * 2),
            if(number = 12, 999, {TEAM}),
            concat('d', toString(1 + number % 3)),
            toDateTime64('2026-01-02 00:00:00', 6, 'UTC'),
            toUUID(concat('10000000-0000-4000-8000-', leftPad(toString(1 + number % 3), 12, '0'))),
            toDateTime64('2026-01-01 00:00:00', 3, 'UTC'),
            concat('{{"email":"', toString(1 + number % 3), '@then.example"}}'),
            concat('s', toString(number % 2)), toDateTime64('2026-01-02 00:00:01', 6, 'UTC')
        FROM numbers(13)
        """
    )
    # One insert each: ClickHouse keeps the newest version only of those that come together.
    for number, version, deleted in [(0, 0, 0), (0, 100, 1), (1, 0, 0), (1, 2, 0), (2, 0, 0), (3, 0, 0), (3, 100, 1)]:
        clickhouse.execute(
            "INSERT INTO person (id, created_at, team_id, properties, is_identified, is_deleted, version, _timestamp)"
            f" VALUES ('{person(number)}', '2026-01-01 00:00:00', {TEAM}, '{{\"v\":{version}}}', 0, {deleted},"
            f" {version}, now())"
        )
    for table, mappings in {
        "person_distinct_id2": [("d1", 1, 0), ("d2", 2, 0), ("d3", 3, 0), ("d3", 1, 1)],
        "person_distinct_id_overrides": [("d3", 1, 1)],
    }.items():
        for distinct_id, number, version in mappings:
            clickhouse.execute(
                f"INSERT INTO {table} VALUES ({TEAM}, '{distinct_id}', '{person(number)}', 0, {version}, now())"
            )
    clickhouse.execute(
        f"""
        INSERT INTO session_replay_events (session_id, team_id, distinct_id, min_first_timestamp, max_last_timestamp,
            first_url, click_count, _timestamp)
        SELECT concat('s', toString(number % 2)), {TEAM}, 'd1',
            toDateTime64('2026-01-01 00:00:00', 6, 'UTC') + number,
            toDateTime64('2026-01-01 00:01:00', 6, 'UTC') + number,
            concat('https://example.com/', toString(number)), number, now()
        FROM numbers(4)
        """
    )
    return clickhouse


@pytest.fixture(scope="session")
def run(project: Store) -> Run:
    """Runs a HogQL text and returns its rows; keyword arguments change the request."""

    def rows(text: str, **changes: Any) -> list[list[Any]]:
        compiled = compile_query(text, context(**changes))
        answer: list[list[Any]] = orjson.loads(project.select(compiled.sql).data)
        return answer

    return rows


@pytest.fixture(scope="session")
def large(clickhouse: Store) -> Store:
    """400,000 events over four days and four names, 200,000 persons and distinct_ids, in one part each."""
    clickhouse.execute(
        f"""
        INSERT INTO events (uuid, event, properties, timestamp, team_id, distinct_id)
        SELECT generateUUIDv4(), ['a', 'b', 'c', 'd'][1 + number % 4], repeat('x', 100),
            toDateTime64('2026-01-01 00:00:00', 6, 'UTC') + toIntervalSecond(number % 345600), {LARGE_TEAM},
            toString(intDiv(number, 4) % 20000)
        FROM numbers(400000) SETTINGS max_insert_block_size = 1000000
        """
    )
    clickhouse.execute(
        f"""
        INSERT INTO person (id, created_at, team_id, properties, version)
        SELECT generateUUIDv4(), '2026-01-01 00:00:00', {LARGE_TEAM}, repeat('x', 100), 1 FROM numbers(200000)
        """
    )
    clickhouse.execute(
        f"""
        INSERT INTO person_distinct_id2 (team_id, distinct_id, person_id, version)
        SELECT {LARGE_TEAM}, concat('u', leftPad(toString(number), 6, '0')), generateUUIDv4(), 0 FROM numbers(200000)
        """
    )
    return clickhouse


@pytest.fixture(scope="session")
def read(large: Store) -> Callable[..., Selection]:
    """Runs a HogQL text over the large project and returns the answer with what it read."""

    def select(text: str, **changes: Any) -> Selection:
        modifiers = {
            "convertToProjectTimezone": False,
            "personsOnEventsMode": "person_id_no_override_properties_on_events",
        }
        request = context(**{"team_id": LARGE_TEAM, "modifiers": modifiers, **changes})
        return large.select(compile_query(text, request).sql)

    return select
