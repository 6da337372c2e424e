"""Rows besides the first of each key: counted in every kind of lake, and removed, the newest stays."""

from __future__ import annotations

import pytest

from posthog_warehouse.destinations.lake import Lake
from tests.destinations.lake.lakes import DATASET, Place, event, load_events, numbers, read
from tests.destinations.open_tables.conftest import tables
from tests.destinations.open_tables.tables import Tables
from tests.destinations.open_tables.tables import load_events as load_rows

__all__ = ["tables"]

ROWS = [event(n, f"2026-11-{20 + n % 2}T12:00:00Z") for n in range(10)]


def test_a_file_that_was_copied(place: Place) -> None:
    load_events(place, ROWS)
    copied = {path: place.get(path) for path in place.files("events")}
    load_events(place, [event(0, "2026-11-20T12:00:00Z", event="renamed", created_at="2026-11-22T12:00:00Z")])
    for path, content in copied.items():
        place.put(path.replace(".parquet", "-copy.parquet"), content)
    assert len(numbers(place)) == 20
    with Lake(place.url) as lake:
        assert lake.count_repeated("events", ["uuid"]) == 10
        assert lake.count_repeated("events", ["uuid", "event"]) == 9
        assert lake.count_repeated("nothing", ["uuid"]) == 0
        lake.mend_repeated("events", ["uuid"], "created_at")
        assert lake.count_repeated("events", ["uuid"]) == 0
    assert numbers(place) == list(range(10))
    assert read(place, "events", ["event"], order="uuid LIMIT 1") == [("renamed",)]


def test_rows_that_another_program_added(tables: Tables) -> None:
    load_rows(tables, ROWS)
    with tables.opened() as destination:
        destination.dlt_destination()
        destination._store.format.append("events", tables.read("events").slice(0, 4).to_reader())
        assert tables.read("events").num_rows == 14
        assert destination.count_repeated("events", ["uuid"]) == 4
        destination.mend_repeated("events", ["uuid"], None)
        assert destination.count_repeated("events", ["uuid"]) == 0
    assert tables.read("events").num_rows == len(set(tables.read("events")["uuid"].to_pylist())) == 10


@pytest.mark.parametrize("keys", [["uuid"], ["uuid", "event"]])
def test_none_where_each_key_is_there_once(place: Place, keys: list[str]) -> None:
    load_events(place, ROWS)
    with Lake(place.url, DATASET) as lake:
        assert lake.count_repeated("events", keys) == 0
