"""What ClickHouse reads: the sort keys are PostHog's, and printed conditions let ClickHouse use them.

A granule is 8,192 rows. The large project has 400,000 events (25,000 for a day and a name), 200,000 persons and
200,000 distinct_ids.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from posthog_warehouse.sandbox.hogql import compile_query
from posthog_warehouse.sandbox.store import Selection, Store
from tests.sandbox.hogql.conftest import LARGE_TEAM, context

Read = Callable[..., Selection]

GRANULE = 8192

DAY = (
    "timestamp >= toDateTime64('2026-01-02 00:00:00.000000', 6, 'UTC')"
    " AND timestamp < toDateTime64('2026-01-03 00:00:00.000000', 6, 'UTC')"
    " AND toDate(timestamp) = toDate('2026-01-02')"
)
LEAF = f"{DAY} AND event IN ('a') AND cityHash64(distinct_id) >= 123 AND cityHash64(distinct_id) < 1844674407370955161"


@pytest.mark.parametrize(
    ("where", "most"),
    [
        (DAY, 110_000 + 2 * GRANULE),
        (f"{DAY} AND event = 'b'", 25_000 + 3 * GRANULE),
        (f"{DAY} AND event IN ('a', 'b')", 50_000 + 3 * GRANULE),
        # A tenth of the hashes of one event of one day.
        (LEAF, 3 * GRANULE),
        (LEAF.replace("('a')", "('a', 'b')"), 6 * GRANULE),
    ],
    ids=["day", "event", "events", "leaf", "leaf of two events"],
)
def test_a_leaf_reads_its_own_granules(read: Read, where: str, most: int) -> None:
    answer = read(f"SELECT uuid, properties FROM events WHERE {where} LIMIT 50000")
    assert answer.rows > 0
    assert answer.rows_read <= most


def test_a_leaf_with_everything_that_is_asked_for(read: Read) -> None:
    columns = (
        "uuid, event, distinct_id, toString(timestamp, 'UTC') AS timestamp, toString(created_at, 'UTC') AS created_at,"
        " person_id, properties, elements_chain, $session_id, $window_id"
    )
    # The alias hides the column in WHERE, in PostHog as here: the extractor names the table.
    where = LEAF.replace("timestamp", "events.timestamp")
    answer = read(f"SELECT {columns} FROM events WHERE {where} LIMIT 50000")
    assert answer.rows > 0
    assert answer.rows_read <= 3 * GRANULE


def test_an_hour_reads_its_whole_day(read: Read) -> None:
    hour = "timestamp >= '2026-01-02 05:00:00' AND timestamp < '2026-01-02 06:00:00'"
    answer = read(f"SELECT uuid, properties FROM events WHERE {hour} LIMIT 50000")
    assert answer.rows_read > 80_000


def test_created_at_alone_reads_everything(read: Read) -> None:
    assert read("SELECT count() FROM events WHERE created_at > '2026-01-01 00:00:00'").rows_read >= 400_000


def test_the_histogram_reads_its_days(read: Read) -> None:
    answer = read(
        f"SELECT toDate(timestamp) AS day, event, count() FROM events WHERE {DAY} GROUP BY day, event LIMIT 50000"
    )
    assert answer.rows == 4
    assert answer.rows_read <= 110_000 + 2 * GRANULE


def _middle(large: Store, column: str, table: str) -> str:
    return str(
        large.scalar(
            f"SELECT {column} FROM {table} WHERE team_id = {LARGE_TEAM} ORDER BY {column} LIMIT 1 OFFSET 100000"
        )
    )


PERSONS = {
    "from a key on": ("SELECT count() FROM raw_persons WHERE id >= toUUID('{id}')", 100_000 + 2 * GRANULE),
    "the manifest in pages": (
        "SELECT id, max(version), argMax(is_deleted, version) FROM raw_persons WHERE id >= toUUID('{id}')"
        " GROUP BY id ORDER BY id LIMIT 1000",
        100_000 + 2 * GRANULE,
    ),
    "one person": ("SELECT properties FROM persons WHERE id = toUUID('{id}')", 4 * GRANULE),
    "a few persons": ("SELECT id, properties FROM persons WHERE id IN (toUUID('{id}'))", 4 * GRANULE),
    "by ids as text": ("SELECT id, properties FROM persons WHERE id IN ('{id}')", 4 * GRANULE),
}


@pytest.mark.parametrize(("text", "most"), PERSONS.values(), ids=PERSONS)
def test_persons_by_key(read: Read, large: Store, text: str, most: int) -> None:
    answer = read(text.format(id=_middle(large, "id", "person")))
    assert answer.rows > 0
    assert answer.rows_read <= most


def test_a_page_of_persons_fetches_its_own_bodies(large: Store, read: Read) -> None:
    key = _middle(large, "id", "person")
    page = read(f"SELECT id, properties FROM persons WHERE id > toUUID('{key}') ORDER BY id LIMIT 1000")
    half = read(f"SELECT id, properties FROM persons WHERE id > toUUID('{key}') LIMIT 50000")
    assert (page.rows, half.rows) == (1000, 50_000)
    # The versions after the key are looked through, without their properties; bodies are read for the page only.
    assert page.rows_read <= 100_000 + 6 * GRANULE
    assert page.bytes_read < half.bytes_read


DISTINCT_IDS = {
    "from a key on": (
        "SELECT count() FROM raw_person_distinct_ids WHERE distinct_id >= 'u150000'",
        50_000 + 2 * GRANULE,
    ),
    "the manifest": (
        "SELECT distinct_id, argMax(person_id, version) FROM raw_person_distinct_ids WHERE distinct_id >= 'u199000'"
        " GROUP BY distinct_id LIMIT 50000",
        2 * GRANULE,
    ),
    "the computed table": (
        "SELECT distinct_id, person_id FROM person_distinct_ids WHERE distinct_id >= 'u199000'"
        " ORDER BY distinct_id LIMIT 100",
        2 * GRANULE,
    ),
}


@pytest.mark.parametrize(("text", "most"), DISTINCT_IDS.values(), ids=DISTINCT_IDS)
def test_distinct_ids_by_key(read: Read, text: str, most: int) -> None:
    answer = read(text)
    assert answer.rows > 0
    assert answer.rows_read <= most


def test_stored_persons_need_no_join() -> None:
    modifiers = {
        "convertToProjectTimezone": False,
        "personsOnEventsMode": "person_id_no_override_properties_on_events",
    }
    sql = compile_query("SELECT person_id, toDate(timestamp) FROM events", context(modifiers=modifiers)).sql
    assert "JOIN" not in sql
    assert "toTimeZone" not in sql
