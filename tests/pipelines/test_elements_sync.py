"""Elements come with their events, once each, when they are asked for."""

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
from posthog_warehouse.pipelines.sync import SyncOptions, SyncResult, sync
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE, PostHogClient, Settings, posthog
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget
from tests.sandboxes import started
from tests.sources.posthog.pages.slow_elements import read

COLUMNS = "event_uuid, position, tag, text, href, id, classes, nth_child, nth_of_type, attributes"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with started(events=1_500, persons=120, seed=5, days=8) as sandbox:
        yield sandbox


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    return tmp_path / "warehouse.duckdb"


def synced(file: Path, server: Sandbox, *, elements: bool, package_rows: int = 100_000) -> SyncResult:
    def connect() -> PostHogClient:
        return PostHogClient(
            server.api_key, server.host, budget=Budget(requests_per_minute=100_000, requests_per_hour=1_000_000)
        )

    options = SyncOptions(
        tables=(CORE["events"],), package_rows=package_rows, settings=Settings(elements=elements, leaf_rows=500)
    )
    with DuckDbFile(file) as destination:
        return sync(connect, destination, options)


def rows(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file)) as connection:
        connection.execute("SET schema = 'posthog'")
        return connection.execute(sql).fetchall()


def expected(server: Sandbox) -> Counter[tuple[Any, ...]]:
    """The elements of PostHog's events, read by hand."""
    chains = server.sql("SELECT DISTINCT toString(uuid), elements_chain FROM events WHERE elements_chain != ''")
    return Counter(
        (uuid, position, *(str(value) for value in element.values()))
        for uuid, chain in chains
        for position, element in enumerate(read(chain))
    )


def loaded(file: Path) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for uuid, position, *plain, classes, nth_child, nth_of_type, more in rows(
        file, f"SELECT {COLUMNS} FROM event_elements"
    ):
        values = [*plain, classes and json.loads(classes), nth_child, nth_of_type, json.loads(more)]
        key = (str(uuid), position, *map(str, values))
        found[key] += 1
    return found


def assert_whole(file: Path, server: Sandbox) -> None:
    # What PostHog took in during the last minutes is left to the next run, events and elements alike.
    held = {str(uuid) for (uuid,) in rows(file, "SELECT uuid FROM events")}
    there = expected(server)
    assert loaded(file) == Counter({key: count for key, count in there.items() if key[0] in held})
    [(events, with_elements)] = rows(
        file,
        "SELECT (SELECT count(*) FROM events WHERE elements_chain IS NOT NULL), "
        "(SELECT count(DISTINCT event_uuid) FROM event_elements)",
    )
    assert events == with_elements > 0


def test_without_the_setting_there_are_none(file: Path, server: Sandbox) -> None:
    assert synced(file, server, elements=False).status == "complete"
    assert rows(file, "SELECT count(*) FROM duckdb_tables() WHERE table_name = 'event_elements'") == [(0,)]


def test_elements_are_those_of_all_events_and_stay_so(file: Path, server: Sandbox) -> None:
    first = synced(file, server, elements=True, package_rows=700)
    assert first.status == "complete"
    assert first.packages > 1
    assert first.notes == {}
    assert_whole(file, server)
    [(uuid_type,)] = rows(file, "SELECT typeof(event_uuid) FROM event_elements LIMIT 1")
    assert uuid_type == "UUID"

    server.advance_clock(3_600)
    late = server.add_events(200, days_back=1, seed=1)
    server.advance_clock(1_200)
    second = synced(file, server, elements=True)
    assert second.status == "complete"
    assert second.rows["events"] > len(late), "the overlap was read again"
    assert_whole(file, server)


def test_a_plain_dlt_script_has_them_too(file: Path, server: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTRACT__NEXT_ITEM_MODE", "round_robin")
    for _ in range(2):
        pipeline = dlt.pipeline("script", destination=dlt.destinations.duckdb(str(file)), dataset_name="posthog")
        source = posthog(server.api_key, server.host, elements=True).with_resources("events", "persons")
        pipeline.run(source)
    assert_whole(file, server)
