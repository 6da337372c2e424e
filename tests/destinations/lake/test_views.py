"""`views.sql` and `lake.duckdb`: the lake as tables of DuckDB, with what they mean."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from posthog_warehouse.destinations.lake import Lake
from tests.destinations.lake.lakes import LocalPlace, Place, event, load, load_events

IDS = {
    "distinct_id": {"data_type": "text", "nullable": False},
    "person_id": {"data_type": "text"},
    "is_deleted": {"data_type": "bool", "hard_delete": True},
}
EVENT: Any = {"distinct_id": {"data_type": "text"}, "person_id": {"data_type": "text"}}


@pytest.fixture
def filled(place: Place) -> Place:
    row = event(1, "2026-11-20T12:00:00Z", distinct_id="d", person_id="before")
    load_events(place, [row], **EVENT)
    owner = {"distinct_id": "d", "person_id": "now", "is_deleted": False}
    load(place, "person_distinct_ids", [owner], columns=IDS, primary_key="distinct_id")
    with Lake(place.url) as lake:
        lake.finish({"events": ("One row per event.", {"uuid": "The key."})})
    return place


def test_views_sql_makes_all_views(filled: Place) -> None:
    with filled.connect() as con:
        for statement in filled.get("views.sql").decode().split(";\n"):
            if statement.strip():
                con.execute(statement)
        rows = con.sql("SELECT person_id, person_id_at_ingestion, date FROM posthog.events_resolved").fetchall()
        assert [(now, then, str(day)) for now, then, day in rows] == [("now", "before", "2026-11-20")]
        assert con.sql("SELECT comment FROM duckdb_views() WHERE view_name = 'events'").fetchall() == [
            ("One row per event.",)
        ]


def test_a_local_lake_has_them_ready(local: LocalPlace) -> None:
    load_events(local, [event(1, "2026-11-20T12:00:00Z")])
    with Lake(local.url) as lake:
        lake.finish({})
    load_events(local, [event(2, "2026-11-21T12:00:00Z")])
    with duckdb.connect(str(local.folder / "posthog" / "lake.duckdb"), read_only=True) as con:
        assert con.sql("SELECT count(*) FROM posthog.events").fetchall() == [(2,)], "they are views, not copies"
