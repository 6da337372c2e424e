"""Whoever reads the glob finds the same rows, after whatever came into the lake."""

from __future__ import annotations

import json

import pytest

from posthog_warehouse.destinations.lake import Lake
from tests.destinations.lake.conftest import PLACES
from tests.destinations.lake.lakes import LocalPlace, Place, event, load, load_events
from tests.destinations.lake.readers import HAS_JAVA, READERS, can_read
from tests.faults.syncing import LONG

ROWS = [
    event(
        n,
        f"2026-11-{20 + n % 4}T{n % 24:02d}:00:00.{123456 + n}Z",
        event=f"event {n % 5}",
        properties=json.dumps({"text": 'ä" \\ 🦔', "n": n}, ensure_ascii=False),
    )
    for n in range(400)
]


def same(place: Place, rows: int) -> None:
    seen = {name: read(place) for name, read in READERS.items() if can_read(name)}
    assert {"duckdb", "pyarrow", "polars"} <= set(seen)
    assert len(set(seen.values())) == 1, seen
    found = seen["duckdb"]
    assert (found.rows, found.keys) == (rows, rows)


@pytest.mark.parametrize("every_place", PLACES if LONG else PLACES[:1], indirect=True)
def test_all_readers_find_the_same(every_place: Place) -> None:
    load_events(every_place, ROWS[:300])
    same(every_place, 300)
    load_events(every_place, ROWS[200:])  # an overlap, and late ones
    same(every_place, 400)
    load_events(every_place, [{**row, "event": "renamed"} for row in ROWS[:50]])
    load_events(every_place, [{**ROWS[7], "timestamp": "2026-12-01T00:00:00Z"}])
    same(every_place, 400)
    with Lake(every_place.url) as lake:
        list(lake.compact())
    same(every_place, 400)


@pytest.mark.skipif(not HAS_JAVA, reason="Spark needs Java, which is not on this machine")
def test_spark_reads_every_type_as_what_it_is(local: LocalPlace) -> None:
    from tests.destinations.lake.readers import _spark  # noqa: PLC0415 - it starts a JVM

    columns = {
        "id": {"data_type": "bigint", "nullable": False},
        "amount": {"data_type": "double"},
        "is_ok": {"data_type": "bool"},
        "at": {"data_type": "timestamp", "timezone": True, "precision": 6},
        "price": {"data_type": "decimal", "precision": 12, "scale": 2},
        "big": {"data_type": "decimal", "precision": 20, "scale": 0, "x-unsigned": True},
        "on_day": {"data_type": "date"},
        "data": {"data_type": "json"},
    }
    row = {"id": 1, "amount": 0.5, "is_ok": True, "at": "2026-11-20T12:00:00.123456Z", "price": "12.50"}
    load(
        local,
        "things",
        [{**row, "big": str(2**64 - 1), "on_day": "2026-11-20", "data": "{}"}],
        columns=columns,
        primary_key="id",
    )
    kinds = dict(_spark().read.parquet(f"{local.url}/posthog/things").dtypes)
    assert {name: kind for name, kind in kinds.items() if name in columns} == {
        "id": "bigint",
        "amount": "double",
        "is_ok": "boolean",
        "at": "timestamp",
        "price": "decimal(12,2)",
        "big": "decimal(20,0)",
        "on_day": "date",
        "data": "string",
    }
