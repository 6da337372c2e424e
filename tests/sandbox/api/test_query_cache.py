"""Replayed answers: how a client is fooled unless it forces a calculation (posthog-api section 6.5)."""

from __future__ import annotations

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.sandbox.api.conftest import Query

HOUR = 3600


def is_cached(query: Query, text: str, refresh: object = "blocking") -> bool:
    cached: bool = query(text, refresh=refresh).json()["is_cached"]
    return cached


@pytest.mark.parametrize(
    ("refresh", "replayed"),
    [
        ("blocking", True),
        (None, True),
        ("async", True),
        ("lazy_async", True),
        ("force_cache", True),
        ("async_except_on_cache_miss", True),
        ("force_blocking", False),
        (True, False),
    ],
)
def test_who_gets_the_cached_answer(query: Query, *, refresh: object, replayed: bool) -> None:
    text = f"select event, '{refresh}' from events order by uuid limit 3"
    first = query(text, refresh="blocking").json()
    second = query(text, refresh=refresh).json()
    assert first["is_cached"] is False
    assert second["is_cached"] is replayed
    assert second["results"] == first["results"]
    assert (second["last_refresh"] == first["last_refresh"]) is replayed


def test_an_answer_is_stale_after_six_hours_or_twelve_for_lazy_ones(box: Sandbox, query: Query) -> None:
    text = "select 'stale', now()"
    first = query(text).json()
    box.advance_clock(6 * HOUR - 60)
    assert is_cached(query, text)
    box.advance_clock(120)
    assert is_cached(query, text, "lazy_async")

    # Stale: the old answer comes at once, with the status of the calculation that makes a new one.
    stale = query(text, refresh="async")
    assert stale.status_code == 202
    assert stale.json()["results"] == first["results"]
    assert stale.json()["query_status"]["complete"] is False
    assert query(text, refresh="blocking").json()["results"] != first["results"]


def test_a_forced_answer_is_cached_for_others(query: Query) -> None:
    text = "select 'forced first'"
    query(text, refresh="force_blocking")
    assert is_cached(query, text)


def test_other_modifiers_are_another_query(query: Query) -> None:
    text = "select 'modifiers'"
    query(text)
    assert query(text, modifiers={"convertToProjectTimezone": False}).json()["is_cached"] is False


def test_a_replay_costs_nothing_and_is_no_query(box: Sandbox, query: Query) -> None:
    text = "select max(properties), 'cost' from events"
    query(text)
    before = box.counters()
    replay = query(text)
    after = box.counters()
    assert replay.headers["X-PostHog-Query-Bytes-Read"] == "0"
    assert (after["queries"], after["bytes_read"]) == (before["queries"], before["bytes_read"])
    assert after["requests"] == before["requests"] + 1


def test_replayed_times_may_be_spelled_with_an_offset(box: Sandbox, query: Query) -> None:
    box.set_behaviour(cached_offset_spelling=True)
    text = """select timestamp, '"2026-01-01T00:00:00Z"' from events limit 5"""
    fresh, replayed = query(text).json()["results"], query(text).json()["results"]
    assert [row[0].replace("Z", "+00:00") for row in fresh] == [row[0] for row in replayed]
    assert [row[1] for row in fresh] == [row[1] for row in replayed]
