"""What `test_properties_sync` proves of columns in a DuckDB file holds where else columns can be made anew."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from destinations.errors import ColumnsInUse
from pipelines import retype as retyping
from pipelines.packages import fresh_pipeline
from pipelines.sync import SyncOptions, SyncResult, sync
from sources.posthog import TABLES, PostHogClient, PropertySettings, Settings
from sources.posthog.budget import Budget
from tests.faults.syncing import LONG
from tests.local_postgres import LocalPostgres
from tests.own_posthog import OwnPostHog
from tests.pipelines.elsewhere import Elsewhere, set_to, settings_of
from tests.pipelines.test_properties_sync import VALUES_ALONE, set_properties

MAIN = ("postgres", "ducklake in sqlite")
WITH_LOGS = ("parquet as delta", "parquet as iceberg")
KINDS = ("postgres", "parquet", "ducklake in sqlite", *(WITH_LOGS if LONG else WITH_LOGS[1:]))
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


@pytest.fixture
def warehouse(
    request: pytest.FixtureRequest, postgres: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Elsewhere]:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    with set_to(settings_of(request.param, postgres, tmp_path)):
        yield Elsewhere(request.param, tmp_path)


def synced(warehouse: Elsewhere, own: OwnPostHog, settings: PropertySettings | None = None) -> SyncResult:
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
    with warehouse.opened() as destination:
        return sync(connect, destination, options)


def retyped(warehouse: Elsewhere) -> list[str]:
    with warehouse.opened() as destination:
        destination.check()
        done = retyping.retype(
            fresh_pipeline(destination), destination, TABLES["events"], PropertySettings(), is_whole=True
        )
        destination.finish({})
    return sorted(map(str, done))


def assert_columns_say_what_the_json_says(warehouse: Elsewhere, *columns: str) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    found = warehouse.rows(f"SELECT CAST(properties AS VARCHAR) AS properties, {names} FROM {{events}}")
    assert found
    for text, *values in found:
        said = json.loads(text)
        assert [plain(value) for value in values] == [plain(said.get(name)) for name in columns], text


def plain(value: Any) -> str | None:
    """A value as text: of numbers and of times their first digits, which is enough to tell these apart."""
    return None if value is None else str(value)[:10].replace("T", " ").removesuffix(".0").removesuffix("0")


def types(warehouse: Elsewhere) -> dict[str, tuple[str, int]]:
    return {
        key: (kind, count) for key, kind, count in warehouse.rows("SELECT key, type, conflicts FROM {property_columns}")
    }


@pytest.mark.parametrize("warehouse", KINDS, indirect=True)
def test_columns_become_wider_when_values_do_not_fit(warehouse: Elsewhere, own: OwnPostHog) -> None:
    first = synced(warehouse, own)
    assert first.status == "complete"
    assert first.notes["events"] == [
        "columns became wider, for values did not fit: amount (bigint to double), at (date to timestamp)"
    ]
    assert types(warehouse) == {"amount": ("double", 0), "at": ("timestamp", 0), "new": ("bool", 0)}
    assert_columns_say_what_the_json_says(warehouse, "amount", "at", "new")
    shown = warehouse.rows("SELECT count(*) AS n, count(amount) AS of_it FROM {events_resolved}")
    assert shown == [(500, 500)], "the view shows them, too"

    again = synced(warehouse, own)
    assert (again.status, again.notes) == ("complete", {})


@pytest.mark.parametrize("warehouse", [*MAIN, *(WITH_LOGS if LONG else WITH_LOGS[:1])], indirect=True)
def test_a_run_that_dies_while_columns_become_wider_is_made_good(
    warehouse: Elsewhere, own: OwnPostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_properties(own, """'{"amount":1}'""", "1")
    set_properties(own, """'{"amount":"many"}'""", LATER)

    def dies(*_: Any) -> None:
        raise KeyboardInterrupt

    # Between the destination's commit and dlt's note of it.
    with monkeypatch.context() as patched:
        patched.setattr(retyping, "_note", dies)
        with pytest.raises(KeyboardInterrupt):
            synced(warehouse, own)
    assert synced(warehouse, own).status == "complete"
    assert types(warehouse) == {"amount": ("text", 0)}
    assert_columns_say_what_the_json_says(warehouse, "amount")


@pytest.mark.parametrize("warehouse", MAIN, indirect=True)
def test_retype_gives_old_rows_the_columns_that_are_wanted_later(warehouse: Elsewhere, own: OwnPostHog) -> None:
    synced(warehouse, own, PropertySettings.of({"columns": "none", "include": ["new"]}))
    assert types(warehouse) == {"new": ("bool", 0)}
    assert retyped(warehouse) == ["amount (double)", "at (timestamp)"]
    assert retyped(warehouse) == [], "there is nothing left to do"
    assert_columns_say_what_the_json_says(warehouse, "amount", "at", "new")
    assert synced(warehouse, own).status == "complete"


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
def test_who_may_read_a_view_in_postgres_may_read_it_still(
    warehouse: Elsewhere, own: OwnPostHog, postgres: LocalPostgres
) -> None:
    set_properties(own, """'{"amount":1}'""", "1")
    assert synced(warehouse, own).status == "complete"
    with warehouse.opened() as destination, destination.session() as session:  # type: ignore[attr-defined]
        session.run([f"GRANT SELECT ON {session.table('events_resolved')} TO PUBLIC"])
    set_properties(own, """'{"amount":1.5}'""", LATER)
    assert retyped(warehouse) == []
    own.posthog.advance_clock(3_600)
    own.posthog.add_events(10, days_back=1, seed=3)
    set_properties(own, """'{"amount":1.5}'""", LATER)
    assert "amount (bigint to double)" in str(synced(warehouse, own).notes)
    with warehouse.opened() as destination, destination.session() as session:  # type: ignore[attr-defined]
        sql = "SELECT count(*) FROM information_schema.role_table_grants WHERE grantee = 'PUBLIC' AND table_name = %s"
        assert session.ask(sql, "events_resolved") == [(1,)]


@pytest.mark.parametrize("warehouse", ["postgres"], indirect=True)
def test_a_column_that_somebodys_view_shows_in_postgres_stays_and_the_sync_says_so(
    warehouse: Elsewhere, own: OwnPostHog
) -> None:
    set_properties(own, """'{"amount":1}'""", "1")
    assert synced(warehouse, own).status == "complete"
    with warehouse.opened() as destination, destination.session() as session:  # type: ignore[attr-defined]
        session.run([f"CREATE VIEW mine AS SELECT sum(amount) FROM {session.table('events')}"])
    own.posthog.advance_clock(3_600)
    own.posthog.add_events(10, days_back=1, seed=5)
    set_properties(own, """'{"amount":1.5}'""", LATER)
    result = synced(warehouse, own)
    assert result.status == "complete"
    [note] = result.notes["events"]
    assert "cannot be made anew" in note
    assert "mine" in note
    kind, conflicts = types(warehouse)["amount"]
    assert (kind, conflicts > 0) == ("bigint", True), "what does not fit is counted, and in the JSON"
    with pytest.raises(ColumnsInUse):
        retyped(warehouse)
    with warehouse.opened() as destination, destination.session() as session:  # type: ignore[attr-defined]
        session.run(["DROP VIEW mine"])
    assert retyped(warehouse) == ["amount (bigint to double)"]
    assert_columns_say_what_the_json_says(warehouse, "amount")
