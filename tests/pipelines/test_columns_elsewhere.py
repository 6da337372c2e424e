"""What `test_properties_sync` proves of columns in a DuckDB file holds where else columns can be made anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from posthog_warehouse.destinations.errors import ColumnsInUse
from posthog_warehouse.destinations.sql import SqlDestination
from posthog_warehouse.destinations.sql_session import SqlSession
from posthog_warehouse.pipelines import retype as retyping
from posthog_warehouse.pipelines.dlt_pipeline import fresh_pipeline
from posthog_warehouse.pipelines.sync import SyncOptions, SyncResult, sync
from posthog_warehouse.sources.posthog import TABLES, PostHogClient, PropertySettings, Settings
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget
from tests.faults.syncing import LONG
from tests.local_postgres import LocalPostgres
from tests.own_posthog import OwnPostHog
from tests.pipelines.elsewhere import Elsewhere
from tests.pipelines.test_properties_sync import VALUES_ALONE, set_properties

MAIN = ("postgres", *(["ducklake in sqlite"] if LONG else []))
WITH_LOGS = ("parquet as delta", "parquet as iceberg")
KINDS = (*MAIN, "parquet", *(WITH_LOGS if LONG else WITH_LOGS[1:]))
LATER = "timestamp > (SELECT median(timestamp) FROM events)"


@pytest.fixture(scope="module")
def shared() -> Iterator[OwnPostHog]:
    own = OwnPostHog(events=500, persons=40, seed=4, days=6)
    yield own
    own.close()


@pytest.fixture
def own(shared: OwnPostHog) -> OwnPostHog:
    """Days are read one after the other: what the first one holds decides the types at first."""
    set_properties(shared, """concat('{"amount":', toString(cityHash64(uuid) % 100), ',"at":"2026-11-20"}')""", "1")
    late = """concat('{"amount":', toString(cityHash64(uuid) % 100), '.50,"at":"2026-11-20T10:00:00Z","new":true}')"""
    set_properties(shared, late, LATER)
    return shared


def synced(elsewhere: Elsewhere, own: OwnPostHog, settings: PropertySettings | None = None) -> SyncResult:
    server = own.posthog
    key = server.create_key(VALUES_ALONE)

    def connect() -> PostHogClient:
        budget = Budget(requests_per_minute=100_000, requests_per_hour=1_000_000)
        return PostHogClient(key, server.host, server.project_id, budget=budget)

    options = SyncOptions(
        tables=tuple(TABLES[name] for name in ("events", "person_distinct_ids")),
        package_rows=400,
        settings=Settings(properties=settings or PropertySettings(), leaf_rows=120, queries_in_flight=1),
    )
    with elsewhere.opened() as destination:
        return sync(connect, destination, options)


@contextmanager
def session_of(elsewhere: Elsewhere) -> Iterator[SqlSession]:
    with elsewhere.opened() as destination:
        assert isinstance(destination, SqlDestination)
        with destination.session() as session:
            yield session


def retyped(elsewhere: Elsewhere) -> list[str]:
    with elsewhere.opened() as destination:
        destination.check()
        done = retyping.retype(
            fresh_pipeline(destination), destination, TABLES["events"], PropertySettings(), is_whole=True
        )
        destination.finish({})
    return sorted(map(str, done))


def assert_columns_say_what_the_json_says(elsewhere: Elsewhere, *columns: str) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    found = elsewhere.rows(f"SELECT CAST(properties AS VARCHAR) AS properties, {names} FROM {{events}}")
    assert found
    for text, *values in found:
        said = json.loads(text)
        assert [plain(value) for value in values] == [plain(said.get(name)) for name in columns], text


def plain(value: Any) -> str | None:
    """A value as text: of numbers and of times their first digits, which is enough to tell these apart."""
    return None if value is None else str(value)[:10].replace("T", " ").removesuffix(".0").removesuffix("0")


def types(elsewhere: Elsewhere) -> dict[str, tuple[str, int]]:
    return {
        key: (kind, count) for key, kind, count in elsewhere.rows("SELECT key, type, conflicts FROM {property_columns}")
    }


@pytest.mark.parametrize("elsewhere", KINDS, indirect=True)
def test_columns_become_wider_when_values_do_not_fit(elsewhere: Elsewhere, own: OwnPostHog) -> None:
    first = synced(elsewhere, own)
    assert first.status == "complete"
    assert first.notes["events"] == [
        "columns became wider, for values did not fit: amount (bigint to double), at (date to timestamp)"
    ]
    assert types(elsewhere) == {"amount": ("double", 0), "at": ("timestamp", 0), "new": ("bool", 0)}
    assert_columns_say_what_the_json_says(elsewhere, "amount", "at", "new")
    shown = elsewhere.rows("SELECT count(*) AS n, count(amount) AS of_it FROM {events_resolved}")
    assert shown == [(500, 500)], "the view shows them, too"

    again = synced(elsewhere, own)
    assert (again.status, again.notes) == ("complete", {})


@pytest.mark.parametrize("elsewhere", [*MAIN, *(WITH_LOGS if LONG else WITH_LOGS[:1])], indirect=True)
def test_a_run_that_dies_while_columns_become_wider_is_made_good(
    elsewhere: Elsewhere, own: OwnPostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_properties(own, """'{"amount":1}'""", "1")
    set_properties(own, """'{"amount":"many"}'""", LATER)

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    # Between the destination's commit and dlt's note of it.
    with monkeypatch.context() as patched:
        patched.setattr(retyping, "_note", dies)
        with pytest.raises(KeyboardInterrupt):
            synced(elsewhere, own)
    assert synced(elsewhere, own).status == "complete"
    assert types(elsewhere) == {"amount": ("text", 0)}
    assert_columns_say_what_the_json_says(elsewhere, "amount")


@pytest.mark.parametrize("elsewhere", MAIN, indirect=True)
def test_retype_gives_old_rows_the_columns_that_are_wanted_later(elsewhere: Elsewhere, own: OwnPostHog) -> None:
    synced(elsewhere, own, PropertySettings.of({"columns": "none", "include": ["new"]}))
    assert types(elsewhere) == {"new": ("bool", 0)}
    assert retyped(elsewhere) == ["amount (double)", "at (timestamp)"]
    assert retyped(elsewhere) == [], "there is nothing left to do"
    assert_columns_say_what_the_json_says(elsewhere, "amount", "at", "new")
    assert synced(elsewhere, own).status == "complete"


@pytest.mark.parametrize("elsewhere", ["postgres"], indirect=True)
def test_who_may_read_a_view_in_postgres_may_read_it_still(
    elsewhere: Elsewhere, own: OwnPostHog, postgres: LocalPostgres
) -> None:
    set_properties(own, """'{"amount":1}'""", "1")
    assert synced(elsewhere, own).status == "complete"
    with session_of(elsewhere) as session:
        session.run([f"GRANT SELECT ON {session.table('events_resolved')} TO PUBLIC"])
    set_properties(own, """'{"amount":1.5}'""", LATER)
    assert retyped(elsewhere) == []
    own.posthog.advance_clock(3_600)
    own.posthog.add_events(10, days_back=1, seed=3)
    set_properties(own, """'{"amount":1.5}'""", LATER)
    assert "amount (bigint to double)" in str(synced(elsewhere, own).notes)
    with session_of(elsewhere) as session:
        sql = "SELECT count(*) FROM information_schema.role_table_grants WHERE grantee = 'PUBLIC' AND table_name = %s"
        assert session.ask(sql, "events_resolved") == [(1,)]


@pytest.mark.parametrize("elsewhere", ["postgres"], indirect=True)
def test_a_column_that_somebodys_view_shows_in_postgres_stays_and_the_sync_says_so(
    elsewhere: Elsewhere, own: OwnPostHog
) -> None:
    set_properties(own, """'{"amount":1}'""", "1")
    assert synced(elsewhere, own).status == "complete"
    with session_of(elsewhere) as session:
        session.run([f"CREATE VIEW mine AS SELECT sum(amount) FROM {session.table('events')}"])
    own.posthog.add_events(10, days_back=1, seed=5)
    own.posthog.advance_clock(3_600)  # or they are the next sync's
    set_properties(own, """'{"amount":1.5}'""", LATER)
    result = synced(elsewhere, own)
    assert result.status == "complete"
    [note] = result.notes["events"]
    assert "cannot be made anew" in note
    assert "mine" in note
    kind, conflicts = types(elsewhere)["amount"]
    assert (kind, conflicts > 0) == ("bigint", True), "what does not fit is counted, and in the JSON"
    with pytest.raises(ColumnsInUse):
        retyped(elsewhere)
    with session_of(elsewhere) as session:
        session.run(["DROP VIEW mine"])
    assert retyped(elsewhere) == ["amount (bigint to double)"]
    assert_columns_say_what_the_json_says(elsewhere, "amount")
