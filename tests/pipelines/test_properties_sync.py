"""Properties are typed columns that say what the JSON says, whatever comes, and whenever it comes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.pipelines import retype as retyping
from posthog_warehouse.pipelines.dlt_pipeline import fresh_pipeline
from posthog_warehouse.pipelines.sync import SyncOptions, SyncResult, sync
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import (
    TABLES,
    WITH_PROPERTIES,
    PostHogClient,
    PropertySettings,
    Settings,
    posthog,
)
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget
from tests.own_posthog import OwnPostHog
from tests.sources.posthog.properties.documents import is_exactly

VALUES_ALONE = ("query:read", "project:read", "person:read")
"""Scopes of a key that may not read what PostHog declares of properties."""


@pytest.fixture
def own() -> Iterator[OwnPostHog]:
    own = OwnPostHog(events=900, persons=60, seed=4, days=6)
    yield own
    own.close()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    return tmp_path / "warehouse.duckdb"


def synced(
    file: Path,
    server: Sandbox,
    *tables: str,
    key: str | None = None,
    settings: PropertySettings | None = None,
    leaf_rows: int = 300,
) -> SyncResult:
    def connect() -> PostHogClient:
        budget = Budget(requests_per_minute=100_000, requests_per_hour=1_000_000)
        return PostHogClient(key or server.api_key, server.host, server.project_id, budget=budget)

    options = SyncOptions(
        tables=tuple(TABLES[name] for name in tables or ("events",)),
        package_rows=500,
        # One request at a time: the order of pages decides of which types columns are at first.
        settings=Settings(properties=settings or PropertySettings(), leaf_rows=leaf_rows, queries_in_flight=1),
    )
    with DuckDbFile(file) as destination:
        return sync(connect, destination, options)


def retyped(file: Path, table: str = "events", settings: PropertySettings | None = None) -> list[str]:
    with DuckDbFile(file) as destination:
        done = retyping.retype(
            fresh_pipeline(destination), destination, TABLES[table], settings or PropertySettings(), is_whole=True
        )
    return sorted(map(str, done))


def rows(file: Path, sql: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        connection.execute("SET schema = 'posthog'")
        found: list[dict[str, Any]] = connection.execute(sql).to_arrow_table().to_pylist()
        return found


def assert_columns_say_what_the_json_says(file: Path, table: str = "events") -> Counter[str]:
    """Compares every value of every row with what Python's json finds. Returns values that columns do not hold."""
    columns = rows(file, f"FROM property_columns WHERE table_name = '{table}'")
    conflicts: Counter[str] = Counter()
    for row in rows(file, f"SELECT * REPLACE (properties::VARCHAR AS properties) FROM {table}"):
        found = json.loads(row["properties"]) if row["properties"] is not None else {}
        for column in columns:
            value, typed = found.get(column["key"]), row[column["column_name"]]
            if typed is None:
                conflicts[column["key"]] += value is not None
            else:
                assert is_exactly(typed, as_declared(value, column["declared_type"])), (column, typed, value)
    return conflicts


def as_declared(value: object, declared: str | None) -> object:
    """A value as PostHog's queries read it where it declares a type: numbers and flags in texts count as such."""
    if isinstance(value, str) and declared in {"Numeric", "Duration", "Boolean"}:
        return json.loads(value)
    return value


def set_properties(own: OwnPostHog, properties: str, where: str) -> None:
    """Gives the events of `where` the properties that a ClickHouse expression makes."""
    own.execute(f"ALTER TABLE events UPDATE properties = {properties} WHERE {where} SETTINGS mutations_sync = 1")


def test_every_value_is_in_its_column_or_counted(file: Path, sandbox_cloud: Sandbox) -> None:
    result = synced(file, sandbox_cloud, *WITH_PROPERTIES, leaf_rows=40_000)
    assert result.status == "complete"
    for table in WITH_PROPERTIES:
        conflicts = assert_columns_say_what_the_json_says(file, table)
        noted = rows(file, f"SELECT key, conflicts FROM property_columns WHERE table_name = '{table}'")
        if table == "events":
            assert {each["key"]: each["conflicts"] for each in noted if each["conflicts"]} == +conflicts
        # Of the others, rows that PostHog shows twice until it has merged them count twice.
        assert all(each["conflicts"] >= conflicts[each["key"]] for each in noted)
        assert {each["key"] for each in noted if each["conflicts"]} == {key for key, n in conflicts.items() if n}
    assert len(rows(file, "FROM property_columns WHERE table_name = 'events'")) > 80


def test_values_of_a_declared_property_that_never_fit_are_counted_once_however_often_they_are_read(
    file: Path, own: OwnPostHog
) -> None:
    set_properties(own, """'{"won":true}'""", "1")
    [declared] = [row for row in own.posthog.list_rows("property_definitions") if row["name"] == "won"]
    assert declared["property_type"] == "Boolean"
    unfit = """'{"won":"soon"}'"""
    there = "SELECT count(*) AS n, count(won) AS held FROM events"

    def noted() -> tuple[str, str, int, float]:
        [found] = rows(file, "FROM property_columns WHERE key = 'won'")
        return found["type"], found["declared_type"], found["conflicts"], found["coverage"]

    read = 0
    for seed in (1, 2, 3):
        own.posthog.add_events(20, days_back=1, seed=seed)
        set_properties(own, unfit, "1")
        own.posthog.advance_clock(900)
        result = synced(file, own.posthog)
        assert result.status == "complete"
        read += result.rows["events"]
        [events] = rows(file, there)
        assert events["held"] == 0
        assert noted() == ("bool", "Boolean", events["n"], 1.0)
    assert read > events["n"], "overlaps are read again"

    assert retyped(file) == [], "no other type would hold what PostHog declares"
    assert noted() == ("bool", "Boolean", events["n"], 1.0)


def test_columns_become_wider_when_values_do_not_fit(file: Path, own: OwnPostHog) -> None:
    key = own.posthog.create_key(VALUES_ALONE)
    # Days are read one after the other: what the first one holds decides the types at first.
    set_properties(own, """concat('{"amount":', toString(cityHash64(uuid) % 100), ',"at":"2026-11-20"}')""", "1")
    set_properties(
        own,
        """concat('{"amount":', toString(cityHash64(uuid) % 100), '.50,"at":"2026-11-20T10:00:00Z","new":true}')""",
        "timestamp > (SELECT median(timestamp) FROM events)",
    )
    first = synced(file, own.posthog, key=key, leaf_rows=200)
    assert first.status == "complete"
    assert first.notes["events"] == [
        "columns became wider, for values did not fit: amount (bigint to double), at (date to timestamp)"
    ]
    assert not +assert_columns_say_what_the_json_says(file)
    known = {each["key"]: each for each in rows(file, "FROM property_columns")}
    assert {name: (each["type"], each["conflicts"]) for name, each in known.items()} == {
        "amount": ("double", 0),
        "at": ("timestamp", 0),
        "new": ("bool", 0),
    }

    late = own.posthog.add_events(40, days_back=1, seed=3)
    own.posthog.advance_clock(3_600)
    listed = ", ".join(f"'{uuid}'" for uuid in late)
    set_properties(own, """'{"amount":"a lot","at":"soon","new":1.50}'""", f"toString(uuid) IN ({listed})")
    second = synced(file, own.posthog, key=key)
    assert second.status == "complete"
    assert not +assert_columns_say_what_the_json_says(file)
    texts = {each["amount"] for each in rows(file, "SELECT DISTINCT amount FROM events")}
    assert "a lot" in texts
    assert any(text.endswith(".50") for text in texts), "a text is what the JSON says, to the letter"
    assert synced(file, own.posthog, key=key).notes == {}


def test_a_run_that_dies_while_columns_become_wider_is_made_good(
    file: Path, own: OwnPostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = own.posthog.create_key(VALUES_ALONE)
    set_properties(own, """'{"amount":1}'""", "1")
    set_properties(own, """'{"amount":"many"}'""", "timestamp > (SELECT median(timestamp) FROM events)")

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    # Between the database's commit and dlt's note of it.
    monkeypatch.setattr(retyping, "_note", dies)
    with pytest.raises(KeyboardInterrupt):
        synced(file, own.posthog, key=key, leaf_rows=200)
    monkeypatch.undo()
    monkeypatch.setenv("DLT_DATA_DIR", str(file.parent / "dlt"))
    assert synced(file, own.posthog, key=key).status == "complete"
    assert not +assert_columns_say_what_the_json_says(file)
    assert [each["type"] for each in rows(file, "FROM property_columns")] == ["text"]
    [column] = rows(file, "SELECT typeof(amount) AS kind FROM events LIMIT 1")
    assert column == {"kind": "VARCHAR"}


def test_retype_gives_old_rows_the_columns_that_are_wanted_later(file: Path, sandbox_cloud: Sandbox) -> None:
    none = PropertySettings.of({"columns": "none", "include": ["$browser"]})
    synced(file, sandbox_cloud, "events", "persons", "property_definitions", settings=none, leaf_rows=40_000)
    assert {each["key"] for each in rows(file, "FROM property_columns")} == {"$browser"}

    made = retyped(file)
    assert len(made) > 80
    assert retyped(file) == [], "there is nothing left to do"
    assert_columns_say_what_the_json_says(file)
    types = {each["key"]: each["type"] for each in rows(file, "FROM property_columns WHERE table_name = 'events'")}

    straight = file.with_name("straight.duckdb")
    synced(straight, sandbox_cloud, leaf_rows=40_000)
    there = {each["key"]: each["type"] for each in rows(straight, "FROM property_columns")}
    assert {key: types.get(key) for key in there} == there, "as if they had been wanted from the start"
    result = synced(file, sandbox_cloud, "events", "persons", leaf_rows=40_000)
    assert result.status == "complete"
    assert_columns_say_what_the_json_says(file)


def test_personal_data_does_not_leave_posthog_as_it_is(file: Path, sandbox_cloud: Sandbox) -> None:
    settings = PropertySettings.of(
        None,
        {"drop": ["$ip", "$geoip_*"], "hash": ["email", "phone"], "rename": {"plan": "tier"}},
        "a secret of our own",
    )
    assert synced(file, sandbox_cloud, *WITH_PROPERTIES, settings=settings, leaf_rows=40_000).status == "complete"
    keys = {each["key"] for each in rows(file, "FROM property_columns")}
    assert {"email", "tier"} < keys
    assert not {"$ip", "plan"} & keys
    assert not any(key.startswith("$geoip_") for key in keys)
    for table in WITH_PROPERTIES:
        assert_columns_say_what_the_json_says(file, table)
        [left] = rows(file, f"""SELECT count(*) AS n FROM {table} WHERE properties LIKE '%"$ip"%'""")
        assert left == {"n": 0}
    addresses = {each["email"] for each in rows(file, "SELECT DISTINCT email FROM persons WHERE email IS NOT NULL")}
    assert addresses
    assert all(len(address) == 64 for address in addresses)
    plain = {row[0] for row in sandbox_cloud.sql("SELECT JSONExtractString(properties, 'email') FROM person")} - {""}
    content = file.read_bytes()
    assert not any(address.encode() in content for address in plain)


def test_a_plain_dlt_script_has_them_too(file: Path, sandbox_cloud: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTRACT__NEXT_ITEM_MODE", "round_robin")
    pipeline = dlt.pipeline("script", destination=dlt.destinations.duckdb(str(file)), dataset_name="posthog")
    source = posthog(
        sandbox_cloud.api_key, sandbox_cloud.host, properties={"exclude": ["$set"], "persons": {"columns": "none"}}
    )
    pipeline.run(source.with_resources("events", "persons"))
    assert_columns_say_what_the_json_says(file)
    found = {(each["table_name"], each["key"]) for each in rows(file, "FROM property_columns")}
    assert ("events", "$browser") in found
    assert ("events", "$set") not in found
    assert not any(table == "persons" for table, _ in found)


def test_a_run_with_nothing_new_asks_for_no_definitions(file: Path, start_sandbox: Any) -> None:
    server = start_sandbox(events=400, persons=30, seed=2, days=4)
    synced(file, server, "events", "persons", "person_distinct_ids")
    again = synced(file, server, "events", "persons", "person_distinct_ids")
    assert again.requests < 10


def test_bad_settings_are_refused() -> None:
    for given, words in (
        ({"colums": "auto"}, "Did you mean columns"),
        ({"columns": 5}, "must be a list"),
        ({"max_columns": "many"}, "whole number"),
        ({"persons": "none"}, "must be a table of settings"),
    ):
        with pytest.raises(ValueError, match=words):
            PropertySettings.of(given, tables=WITH_PROPERTIES)
    with pytest.raises(ValueError, match="16 bytes"):
        PropertySettings.of(None, {"hash": ["email"]})
    with pytest.raises(ValueError, match="new name"):
        PropertySettings.of(None, {"rename": ["email"]})


def test_more_keys_than_there_is_room_for_stay_in_the_json(file: Path, own: OwnPostHog) -> None:
    key = own.posthog.create_key(VALUES_ALONE)
    set_properties(own, """concat('{"common":true,"key ', toString(uuid), '":1}')""", "1")
    result = synced(file, own.posthog, key=key)
    assert result.status == "complete"
    [count] = rows(file, "SELECT count(*) AS n, count(*) FILTER (key = 'common') AS common FROM property_columns")
    assert count == {"n": 250, "common": 1}
    assert_columns_say_what_the_json_says(file)

    assert len(retyped(file, settings=PropertySettings.of({"max_columns": 5_000}))) > 600
    [count] = rows(file, "SELECT count(*) AS n, (SELECT count(*) FROM events) AS events FROM property_columns")
    assert count["n"] == count["events"] + 1
    assert_columns_say_what_the_json_says(file)
    assert synced(file, own.posthog, key=key).status == "complete"
