"""Generated data: the same for a seed, shaped like a real project, awkward where real projects are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.ddl import TABLES
from posthog_warehouse.sandbox.generator import Dataset, generate
from posthog_warehouse.sandbox.store import Store, quoted

UNTIL = datetime(2026, 11, 20, 16, 0, 0, 123456, tzinfo=timezone.utc)
EVENTS = 45_000
PERSONS = 1_200
DATASET = Dataset(events=EVENTS, persons=PERSONS, seed=7, days=30, until=UNTIL)


def made(dataset: Dataset) -> Store:
    store = Store(Clock())
    generate(store, dataset)
    return store


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    store = made(DATASET)
    yield store
    store.close()


def checksums(store: Store) -> dict[str, object]:
    """An order-free checksum of all columns of each table."""
    return {
        table: store.rows(f"SELECT count(), groupBitXor(cityHash64(*)), sum(cityHash64(*) % 1000003) FROM {table}")
        for table in TABLES
    }


def share(store: Store, condition: str) -> float:
    return float(store.rows(f"SELECT countIf({condition}) / count() FROM events")[0][0])


def test_equal_datasets_are_equal_to_the_last_column(store: Store) -> None:
    again = made(DATASET)
    assert checksums(again) == checksums(store)
    again.close()


def test_another_seed_is_other_data() -> None:
    small = [made(Dataset(events=500, persons=50, seed=seed, until=UNTIL)) for seed in (1, 2)]
    first, second = ({uuid for (uuid,) in store.rows("SELECT toString(uuid) FROM events")} for store in small)
    assert len(first) == len(second) == 500
    assert not first & second
    for store in small:
        store.close()


@pytest.mark.parametrize(("events", "persons", "days"), [(0, 1, 1), (1, 1, 1), (101, 3, 2), (1_000, 12, 400)])
def test_small_datasets_have_exactly_the_events_asked_for(events: int, persons: int, days: int) -> None:
    progress: list[int] = []
    store = Store(Clock())
    generate(store, Dataset(events=events, persons=persons, seed=3, days=days, until=UNTIL), progress.append)
    assert store.scalar("SELECT uniqExact(uuid) FROM events") == events
    assert store.scalar("SELECT uniqExact(id) FROM person") == persons
    assert progress[-1:] == ([events] if events else [])
    store.close()


def test_a_dataset_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="events >= 0"):
        Dataset(events=-1, persons=1, seed=0, until=UNTIL)
    with pytest.raises(ValueError, match="time zone"):
        Dataset(events=1, persons=1, seed=0, until=UNTIL.replace(tzinfo=None))


def test_some_events_are_there_twice_until_parts_are_merged(store: Store) -> None:
    total, distinct = store.rows("SELECT count(), uniqExact(uuid) FROM events")[0]
    assert distinct == EVENTS
    assert EVENTS / 5_000 < total - distinct < EVENTS / 1_000
    key = "team_id, toDate(timestamp), event, cityHash64(distinct_id), cityHash64(uuid)"
    assert store.scalar(f"SELECT uniqExact({key}) FROM events") == EVENTS
    # The one sent again landed later, and carries the same facts.
    assert store.rows(
        "SELECT max(c), min(newer), min(same) FROM (SELECT count() AS c, uniqExact(_timestamp) = 2 AS newer, "
        "uniqExact(properties, timestamp, person_id) = 1 AS same FROM events GROUP BY uuid HAVING c > 1)"
    ) == [[2, 1, 1]]


def test_parts_are_merged_as_on_a_server(store: Store) -> None:
    rows = store.rows(
        "SELECT partition, max(rows), sum(rows) FROM system.parts "
        "WHERE active AND database = currentDatabase() AND table = 'events' GROUP BY partition"
    )
    for month, largest, total in rows:
        assert total - largest < EVENTS / 1_000, f"{month} is in several parts beyond the events sent again"


def test_event_names_are_skewed_and_odd(store: Store) -> None:
    assert share(store, "event = '$pageview'") == pytest.approx(0.35, abs=0.03)
    assert share(store, "event = '$autocapture'") == pytest.approx(0.25, abs=0.03)
    names = {name for (name,) in store.rows("SELECT DISTINCT event FROM events")}
    standard = {"$pageleave", "$identify", "$set", "$feature_flag_called", "$web_vitals", "$exception"}
    assert names >= standard | {"purchase", "Order Completed", "order completed", 'it\'s "odd" \\ name', "購入完了", ""}


def test_properties_are_json_of_two_kilobytes_with_fifty_keys(store: Store) -> None:
    size, shortest, longest, keys, invalid = store.rows(
        "SELECT avg(length(properties)), min(length(properties)), max(length(properties)), "
        "avg(length(JSONExtractKeys(properties))), "
        "countIf(NOT isValidJSON(properties) OR NOT isValidJSON(person_properties)) FROM events"
    )[0]
    assert invalid == 0
    assert 1_500 <= size <= 2_048
    assert (shortest >= 1_000, longest < 4_000) == (True, True)
    assert 42 <= keys <= 55


def without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    assert len(set(names)) == len(names), f"a key is there twice: {names}"
    return dict(pairs)


def test_properties_hold_what_breaks_loaders(store: Store) -> None:
    texts = [text for (text,) in store.rows("SELECT properties FROM events ORDER BY cityHash64(uuid) LIMIT 8000")]
    rows = [json.loads(text, object_pairs_hook=without_twins) for text in texts]
    keys = {key for row in rows for key in row}
    posthogs = {
        "$browser",
        "$os",
        "$current_url",
        "$session_id",
        "$lib",
        "$ip",
        "$geoip_city_name",
        "$set",
        "$set_once",
    }
    assert posthogs <= keys
    assert {"utm_source", "$active_feature_flags", "$feature/new-checkout", "$groups"} <= keys
    assert {"My Key", "my key", "a.b", "a_b", "", "🦔", 'quo"te', "select", "1st"} <= keys
    assert {type(row["plan"]) for row in rows} == {str, int, type(None)}
    assert {type(row["seats"]) for row in rows if "seats" in row} == {int, float, str, type(None)}
    assert {type(row["is_trial"]) for row in rows if "is_trial" in row} >= {bool, str, int}
    assert {type(row["quota"]) for row in rows if "quota" in row} >= {dict, list, type(None)}
    assert any(isinstance(row.get("bigger"), int) and row["bigger"] > 2**63 for row in rows)
    assert any('"price":19.90' in text for text in texts)
    assert any("1e-7" in text for text in texts)
    assert any('\\"no\\"' in text and "C:\\\\temp" in text for text in texts)
    assert any("مرحبا" in text and "数据仓库" in text and "👩‍👩‍👧‍👦" in text for text in texts)
    assert not any("\\u0000" in text for text in texts)


def test_autocaptured_clicks_have_chains_in_posthogs_syntax(store: Store) -> None:
    assert share(store, "(elements_chain != '') != (event IN ('$autocapture', '$rageclick'))") == 0
    chains = [chain for (chain,) in store.rows("SELECT DISTINCT elements_chain FROM events WHERE elements_chain != ''")]
    attribute = r'[\w\-]+="(?:[^"\\]|\\.)*"'
    element = rf"\w+(?:\.[\w\-\\:]+)*:(?:{attribute})+"
    assert all(re.fullmatch(rf"{element}(?:;{element})*", chain) for chain in chains)
    assert any('\\"' in chain for chain in chains)


def test_times_have_a_rhythm_and_devices_have_clocks(store: Store) -> None:
    first, last_created, last_landed = store.rows(
        "SELECT min(timestamp), max(created_at), max(inserted_at) FROM events"
    )[0]
    assert first < "2026-01-01"
    assert last_created < UNTIL.isoformat()
    assert last_landed[:26] <= UNTIL.isoformat()[:26]
    since = (UNTIL - timedelta(days=30)).strftime("%Y-%m-%d %H:%M:%S")
    assert 0 < share(store, f"timestamp < toDateTime('{since}', 'UTC')") < 0.001
    assert 0 < share(store, "timestamp > created_at") < 0.001
    assert share(store, "created_at > timestamp + INTERVAL 1 HOUR") == pytest.approx(0.009, abs=0.004)
    assert 0 < share(store, "created_at > timestamp + INTERVAL 1 DAY AND created_at > toDateTime('2026-01-01')") < 0.01
    assert share(store, "toUnixTimestamp64Micro(timestamp) % 1000 = 0") == pytest.approx(0.47, abs=0.05)
    assert share(store, "toUnixTimestamp64Micro(timestamp) % 1000000 = 0") == pytest.approx(0.02, abs=0.01)
    weekend, night = share(store, "toDayOfWeek(timestamp) > 5"), share(store, "toHour(timestamp) < 6")
    assert weekend < 0.2
    assert night < 0.12
    assert (
        int(
            store.scalar("SELECT count() - uniqExact(timestamp) FROM (SELECT DISTINCT uuid, timestamp FROM events)")
            or 0
        )
        > 200
    )


def test_ids_are_shaped_like_posthogs(store: Store) -> None:
    assert share(store, "substring(toString(uuid), 15, 1) = '7'") == pytest.approx(0.95, abs=0.02)
    assert share(store, "substring(toString(uuid), 20, 1) IN ('8', '9', 'a', 'b')") == 1
    assert share(store, "substring(toString(person_id), 15, 1) = '5'") == 1
    assert share(store, "match(`$session_id`, '^[0-9a-f]{8}-[0-9a-f]{4}-7') AND `$window_id` != ''") == 1
    assert share(store, "JSONExtractString(properties, '$session_id') = `$session_id`") == 1
    assert share(store, "JSONExtractString(properties, '$window_id') = `$window_id`") == 1
    assert share(store, "JSONExtractString(properties, 'distinct_id') = distinct_id") == 1
    for part in ("@", " ", "'", '"', "用户", "🦔", "\\", "مستخدم", "https://"):
        found = store.scalar(f"SELECT countIf(position(distinct_id, {quoted(part)}) > 0) FROM person_distinct_id2")
        assert found, f"no distinct_id with {part}"
    assert store.scalar("SELECT max(length(distinct_id)) BETWEEN 200 AND 400 FROM person_distinct_id2") == 1
    assert store.scalar("SELECT countIf(match(distinct_id, '^[0-9]+$')) > 0 FROM person_distinct_id2") == 1


def test_every_event_belongs_to_a_person_of_its_time(store: Store) -> None:
    assert share(store, "person_mode = 'propertyless'") == pytest.approx(0.12, abs=0.03)
    known = "distinct_id IN (SELECT distinct_id FROM person_distinct_id2)"
    assert share(store, f"({known}) = (person_mode = 'propertyless')") == 0
    # Of all owners a distinct_id ever had, the event's person is one.
    pairs = "(distinct_id, person_id) IN (SELECT distinct_id, person_id FROM person_distinct_id2)"
    assert share(store, f"person_mode != 'propertyless' AND NOT {pairs}") == 0
    early = store.scalar(
        "SELECT count() FROM events INNER JOIN (SELECT id, min(created_at) AS came FROM person GROUP BY id) AS persons "
        "ON events.person_id = persons.id WHERE events.created_at < came"
    )
    assert early == 0
    # A merge shows in later events: some distinct_ids have events under both persons.
    both = "SELECT count() FROM (SELECT distinct_id FROM events GROUP BY distinct_id HAVING uniqExact(person_id) > 1)"
    assert int(store.scalar(both) or 0) >= 1


def test_few_persons_do_most(store: Store) -> None:
    busiest = store.scalar(
        f"SELECT sum(c) FROM (SELECT count() AS c FROM events GROUP BY person_id ORDER BY c DESC LIMIT {PERSONS // 20})"
    )
    assert int(busiest or 0) > 0.3 * EVENTS


def test_persons_were_updated_merged_and_deleted(store: Store) -> None:
    latest = (
        "SELECT id, argMax(is_deleted, version) AS gone, argMax(properties, version) AS last, count() AS versions "
        "FROM person GROUP BY id"
    )
    persons, gone, kept, several = store.rows(
        "SELECT count(), countIf(gone = 1), countIf(gone = 1 AND last != '{}'), countIf(versions > 1) "
        f"FROM ({latest})"
    )[0]
    assert persons == PERSONS
    assert gone / persons == pytest.approx(0.05, abs=0.005)
    assert kept == 0
    assert several > persons / 10
    assert store.scalar("SELECT countIf(NOT isValidJSON(properties)) FROM person") == 0
    merged = store.scalar("SELECT uniqExact(distinct_id) FROM person_distinct_id_overrides WHERE version >= 1")
    assert int(merged or 0) >= 0.03 * PERSONS
    # What a merge moved belongs to a person who is there; what belongs to nobody is deleted.
    live = f"SELECT id FROM ({latest}) WHERE gone = 0"
    map_now = (
        "SELECT argMax(person_id, version) AS owner, argMax(is_deleted, version) AS lost "
        "FROM person_distinct_id2 GROUP BY distinct_id"
    )
    assert store.scalar(f"SELECT countIf((owner IN ({live})) = (lost = 1)) FROM ({map_now})") == 0
    per_person = f"SELECT count() AS c FROM ({map_now}) GROUP BY owner"
    assert store.scalar(f"SELECT max(c) > 1000 FROM ({per_person})") == 1


def test_some_sessions_are_recorded_and_some_go_on(store: Store) -> None:
    rows, sessions, last = store.rows(
        "SELECT count(), uniqExact(session_id), dateDiff('second', max(max_last_timestamp), "
        f"toDateTime64('{UNTIL.strftime('%Y-%m-%d %H:%M:%S')}', 6, 'UTC')) FROM session_replay_events"
    )[0]
    assert rows > sessions > 0
    assert 0 <= last < 300
    shared = (
        "SELECT uniqExact(session_id) FROM session_replay_events WHERE session_id IN (SELECT `$session_id` FROM events)"
    )
    assert store.scalar(shared) == sessions
    assert store.scalar("SELECT count() FROM session_replay_events WHERE max_last_timestamp < min_first_timestamp") == 0
