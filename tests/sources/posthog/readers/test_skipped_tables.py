"""What may be lost of a table that could not be loaded counts as never read."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from posthog_warehouse.sources.posthog.clock import DAY, MAX, MIN
from posthog_warehouse.sources.posthog.planning.intervals import Region, Window
from posthog_warehouse.sources.posthog.planning.ledger import Ledger
from posthog_warehouse.sources.posthog.planning.list_ledger import EventWindows
from posthog_warehouse.sources.posthog.readers.skipped_tables import Withheld
from posthog_warehouse.sources.posthog.settings import Settings
from posthog_warehouse.sources.posthog.tables import EVENTS, PERSONS, TABLES
from posthog_warehouse.sources.posthog.tables.own_query import Query, query_table

NOW = 20_000 * DAY + 1_000
LOST = Window(19_990 * DAY, 19_991 * DAY, MIN, MAX)
DAY_TEXT = "2024-09-24"
SETTINGS = Settings()


def test_a_lost_day_of_events_is_asked_for_again_whole() -> None:
    state: dict[str, Any] = {"property_columns": {"kept": True}}
    first = Ledger(state).plan(NOW, None, None, SETTINGS)
    ledger = Ledger(state)
    ledger.cover(first, first.windows)
    ledger.finish(first)
    untouched = copy.deepcopy(state)
    Withheld("damaged", [DAY_TEXT]).note(EVENTS, state)
    Withheld("damaged", [DAY_TEXT]).note(EVENTS, state)

    wanted = Region(Ledger(state).plan(NOW + DAY, None, None, SETTINGS).windows)
    before = Region(Ledger(untouched).plan(NOW + DAY, None, None, SETTINGS).windows)
    assert wanted.covers(LOST._replace(created_to=NOW)), "late ones too"
    assert not before.covers(LOST._replace(created_to=NOW))
    assert all(before.covers(part) for window in wanted for part in window.minus(LOST)), "and nothing else"
    assert state["property_columns"] == {"kept": True}


def test_a_lost_day_is_read_again_by_list_too() -> None:
    state: dict[str, Any] = {}
    windows = EventWindows(state, SETTINGS)
    first = windows.plan(NOW, None, None)
    windows.cover(first, first.spans)
    windows.finish(first)
    Withheld("damaged", [DAY_TEXT]).note(EVENTS, state)
    assert EventWindows(state, SETTINGS).plan(NOW, None, None).unread == [(LOST.ts_from, LOST.ts_to)]


@pytest.mark.parametrize("lost", [None, [DAY_TEXT]], ids=["any row", "a day"])
def test_other_tables_are_read_anew(lost: list[str] | None) -> None:
    state: dict[str, Any] = {"done": {"buckets": 8}, "property_columns": {"kept": True}, "read_at": NOW}
    Withheld("damaged", lost).note(PERSONS, state)
    assert state == {"property_columns": {"kept": True}}


def test_a_table_that_lost_nothing_goes_on_where_it_was() -> None:
    state: dict[str, Any] = {"fingerprint": "same"}
    Withheld("a file was added").note(TABLES["cohorts"], state)
    assert state == {"fingerprint": "same"}


def test_rows_without_a_key_are_not_brought_a_second_time() -> None:
    query = Query("log", "SELECT uuid, timestamp FROM events", key=("uuid",), cursor="timestamp", write="append")
    state: dict[str, Any] = {"cursor": "2026-11-20", "held": 5}
    Withheld("damaged", None).note(query_table(query), state)
    assert state == {"cursor": "2026-11-20", "held": 5}
