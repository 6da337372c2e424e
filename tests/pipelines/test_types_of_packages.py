"""Runs of many load packages: what one knows of columns the next one knows, wherever the tables are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pytest
from hypothesis import HealthCheck, given, settings

from posthog_warehouse.destinations.destination import Destination
from posthog_warehouse.pipelines import dlt_pipeline
from posthog_warehouse.pipelines.retype import retype
from posthog_warehouse.pipelines.sync import SyncOptions, SyncResult, sync
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sandbox.store import quoted
from posthog_warehouse.sources.posthog import (
    DEFAULT,
    TABLES,
    PostHogClient,
    PropertySettings,
    Settings,
    posthog,
    resources,
)
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget
from tests.faults.syncing import LONG
from tests.local_postgres import LocalPostgres
from tests.own_posthog import OwnPostHog
from tests.pipelines.column_types import TypesAgree
from tests.pipelines.elsewhere import Elsewhere, set_to, settings_of
from tests.pipelines.test_properties_sync import VALUES_ALONE, assert_columns_say_what_the_json_says, set_properties
from tests.pipelines.test_sync import Warehouse
from tests.sources.posthog.properties.documents import pages

WITH_LOGS = ("parquet as delta", "parquet as iceberg")
KINDS = ("postgres", *(("duckdb", "parquet", "ducklake in sqlite", *WITH_LOGS) if LONG else ()))
FIRST = """concat('{"steps":[', toString(cityHash64(uuid) % 100), '],"amount":7,"at":"2026-11-20","many":', multiIf(
    cityHash64(uuid) % 3 = 0, '12345678901234567890', '1'), '}')"""
LATER = "created_at > (SELECT median(created_at) FROM events)"


@pytest.fixture(scope="module")
def shared() -> Iterator[OwnPostHog]:
    own = OwnPostHog(events=300, persons=40, seed=4, days=6)
    # PostHog declares properties by what comes first, and stays at that.
    set_properties(own, """'{"won":true}'""", "1")
    [declared] = [row for row in own.posthog.list_rows("property_definitions") if row["name"] == "won"]
    assert declared["property_type"] == "Boolean"
    yield own
    own.close()


@pytest.fixture
def own(shared: OwnPostHog) -> OwnPostHog:
    """Every event has the same properties: JSON, numbers of two sizes, dates."""
    set_properties(shared, FIRST, "1")
    return shared


@pytest.fixture
def place(
    request: pytest.FixtureRequest, postgres: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    """An empty warehouse of the kind that the test is given (`indirect`)."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    if request.param == "duckdb":
        yield Warehouse(tmp_path / "warehouse.duckdb")
        return
    with set_to(settings_of(request.param, postgres, tmp_path)):
        yield Elsewhere(request.param, tmp_path)


class Synced:
    """A sync in small load packages, and what `TypesAgree` saw of each."""

    def __init__(
        self,
        place: Warehouse,
        server: Sandbox,
        *tables: str,
        key: str | None = None,
        properties: PropertySettings | None = None,
        package_rows: int = 100,
        is_compared: bool = True,
    ) -> None:
        def connect() -> PostHogClient:
            budget = Budget(requests_per_minute=100_000, requests_per_hour=1_000_000)
            return PostHogClient(key or server.api_key, server.host, server.project_id, budget=budget)

        with place.opened() as destination:
            self.agree = TypesAgree(destination)
            options = SyncOptions(
                tables=tuple(TABLES[name] for name in tables or ("events",)),
                package_rows=package_rows,
                settings=Settings(leaf_rows=60, queries_in_flight=1, properties=properties or PropertySettings()),
            )
            self.result: SyncResult = sync(connect, destination, options, self.agree if is_compared else None)
            if is_compared:
                self.agree.assert_agreed("at the end")
        self.types = self.agree.seen.get("events", {})


def retyped(destination: Destination) -> list[str]:
    destination.check()
    pipeline = dlt_pipeline.fresh_pipeline(destination)
    return [str(each) for each in retype(pipeline, destination, TABLES["events"], PropertySettings(), is_whole=True)]


def called(place: Warehouse, table: str) -> str:
    """What `Warehouse.rows` calls a table."""
    return f"{{{table}}}" if isinstance(place, Elsewhere) else table


def assert_rows_say_what_the_json_says(place: Warehouse, *columns: str) -> None:
    """Compares each value of some columns with the JSON beside it, as texts."""
    names = ", ".join(columns)
    rows = place.rows(f"SELECT CAST(properties AS VARCHAR) AS properties, {names} FROM {called(place, 'events')}")
    assert rows
    for text, *values in rows:
        said = json.loads(text)
        for name, value in zip(columns, values, strict=True):
            told = said.get(name)
            assert value == told or (value is not None and json.loads(value) == told), (name, value, text)


def add(own: OwnPostHog, properties: str, seed: int) -> None:
    """Events that arrive now, in one go with their properties."""
    uuids = own.posthog.add_events(30, days_back=1, seed=seed)
    set_properties(own, properties, f"toString(uuid) IN ({', '.join(map(quoted, uuids))})")
    # Past the time that rows may take to be seen, and past what the next run asks for again.
    own.posthog.advance_clock(7_200)


@pytest.mark.parametrize("place", KINDS, indirect=True)
def test_types_agree_after_each_package_and_later_texts_make_columns_wider(place: Warehouse, own: OwnPostHog) -> None:
    key = own.posthog.create_key(VALUES_ALONE)
    first = Synced(place, own.posthog, "events", "persons", key=key)
    assert first.result.status == "complete"
    assert first.agree.packages > 3
    assert {name: first.types[name] for name in ("steps", "amount", "at", "many")} == {
        "steps": "json",
        "amount": "bigint",
        "at": "date",
        "many": "decimal",
    }

    add(own, """concat('{"steps":', ['"12"', '"true"', '"plain"', '{}'][1 + cityHash64(uuid) % 4], '}')""", seed=3)
    second = Synced(place, own.posthog, key=key)
    assert second.result.status == "complete"
    assert second.result.notes["events"] == [
        "columns became wider, for values did not fit: steps (json to text)",
    ]
    assert second.types["steps"] == "text"
    assert_rows_say_what_the_json_says(place, "steps")

    third = Synced(place, own.posthog, key=key)
    assert (third.result.status, third.result.notes, third.types) == ("complete", {}, second.types)
    with place.opened() as destination:
        assert retyped(destination) == [], "there is nothing left to do"


@pytest.mark.parametrize(
    "place", [kind for kind in KINDS if kind not in {"postgres", "ducklake in sqlite"}], indirect=True
)
def test_retype_makes_a_column_of_a_declared_property_that_no_value_fits_and_makes_it_once(
    place: Warehouse, shared: OwnPostHog
) -> None:
    set_properties(shared, """'{"won":"soon"}'""", "1")
    none = PropertySettings.of({"columns": "none"})
    Synced(place, shared.posthog, "events", "property_definitions", properties=none)
    for made in (["won (bool)"], []):
        with place.opened() as destination:
            assert retyped(destination) == made
    events, recorded = (
        ("{events}", "{property_columns}") if isinstance(place, Elsewhere) else ("events", "property_columns")
    )
    [(count, held)] = place.rows(f"SELECT count(*) AS n, count(won) AS held FROM {events}")
    assert held == 0
    assert place.rows(f"SELECT type, conflicts FROM {recorded}") == [("bool", count)]


def loads_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """What versions up to 0.1 did: columns were told to dlt in the first package of a run only, and not compared."""
    told: dict[str, Any] = {}
    began = resources._Told.__init__

    def once(self: Any) -> None:
        began(self)
        self._columns = told

    monkeypatch.setattr(resources._Told, "__init__", once)
    monkeypatch.setattr(dlt_pipeline, "mend_types", lambda *_: None)


@pytest.mark.parametrize("place", KINDS if LONG else ("duckdb",), indirect=True)
def test_what_older_versions_left_behind_is_mended_by_the_next_sync(
    place: Warehouse, own: OwnPostHog, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = own.posthog.create_key(VALUES_ALONE)
    with monkeypatch.context() as before:
        loads_as_before(before)
        Synced(place, own.posthog, key=key, is_compared=False)
        add(own, """concat('{"steps":', ['"12"', '"true"'][1 + cityHash64(uuid) % 2], '}')""", 5)
        loads_as_before(before)
        Synced(place, own.posthog, key=key, is_compared=False)
    add(own, """'{"steps":"plain"}'""", 7)

    mended = Synced(place, own.posthog, key=key)
    assert mended.result.status == "complete"
    assert mended.types["steps"] == "text"
    assert_rows_say_what_the_json_says(place, "steps")
    again = Synced(place, own.posthog, key=key)
    assert (again.result.status, again.result.notes) == ("complete", {})


def test_a_sync_of_every_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: OwnPostHog) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    place = Warehouse(tmp_path / "warehouse.duckdb")
    synced = Synced(place, shared.posthog, *DEFAULT, package_rows=1_000)
    assert synced.result.status == "complete"
    assert synced.agree.packages > 3
    assert len(synced.agree.seen) > 30


@given(found=pages(max_rows=12), later=pages(max_rows=6))
@settings(max_examples=20 if LONG else 2, deadline=None, suppress_health_check=list(HealthCheck))
def test_wild_values_come_out_alike_however_many_packages_they_come_in(
    found: list[str | None], later: list[str | None], shared: OwnPostHog, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("wild")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        place = Warehouse(folder / "warehouse.duckdb")
        key = shared.posthog.create_key(VALUES_ALONE)
        for documents, where in ((found, "1"), (later, LATER)):
            set_properties(shared, chosen(documents), where)
        assert Synced(place, shared.posthog, key=key).result.status == "complete"
        conflicts = assert_columns_say_what_the_json_says(place.path)
        noted = place.rows("SELECT key, conflicts FROM property_columns WHERE conflicts > 0")
        assert dict(noted) == dict(+conflicts)


def chosen(documents: list[str | None]) -> str:
    """One of `documents` for each event: those that PostHog takes, which are objects."""
    texts = [text for text in documents if text is not None and is_object(text)] or ["{}"]
    return f"[{', '.join(map(quoted, texts))}][1 + cityHash64(uuid) % {len(texts)}]"


def is_object(text: str) -> bool:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return isinstance(json.loads(text, parse_constant=refuse), dict)
    except ValueError:
        return False


def test_a_plain_dlt_script_that_runs_twice(own: OwnPostHog, tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    pipeline = dlt.pipeline(
        "script", pipelines_dir=str(tmp_path), destination=dlt.destinations.duckdb(str(file)), dataset_name="posthog"
    )
    key = own.posthog.create_key(VALUES_ALONE)
    source = posthog(key, own.posthog.host, requests_per_minute=100_000, leaf_rows=60)
    pipeline.run(source.with_resources("events"))
    add(own, """concat('{"steps":', ['"12"', '"true"', '"plain"', '{}'][1 + cityHash64(uuid) % 4], '}')""", seed=8)
    pipeline.run(source.with_resources("events"))
    assert pipeline.default_schema.tables["events"]["columns"]["steps"]["data_type"] == "json"
    conflicts = assert_columns_say_what_the_json_says(file)
    assert conflicts["steps"] > 0, "the JSON has them"
