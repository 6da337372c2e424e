"""The replaying server answers other tools as PostHog does, so that what they lose or load is theirs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from replay.lists import QUERY, newest_after
from replay.pages import COLUMNS, WILD, Made, make
from replay.server import Replay

LISTED = 450
EVENTS = "/api/projects/1/events/"


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    with Replay(tmp_path_factory.mktemp("pages"), events=600, page_rows=200, listed=LISTED) as replay:
        yield replay


@pytest.fixture(scope="module")
def client(replay: Replay) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=replay.host) as client:
        yield client


def newest(made: Made, count: int) -> list[str]:
    """The ids of the newest events, the last first."""
    rows = [row for day in range(len(made.days)) for row in made.rows_of(day)]
    rows.sort(key=lambda row: row[COLUMNS.index("timestamp")], reverse=True)
    return [row[COLUMNS.index("uuid")] for row in rows[:count]]


def listed(client: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    """What following `next` gives."""
    rows: list[dict[str, Any]] = []
    page = client.get(EVENTS, params=params).json()
    while True:
        rows += page["results"]
        if page["next"] is None:
            return rows
        page = client.get(page["next"]).json()


@pytest.mark.parametrize("limit", [70, 450, 10_000])
def test_following_next_gives_each_listed_event_once(replay: Replay, client: httpx.Client, limit: int) -> None:
    assert [row["id"] for row in listed(client, limit=limit)] == newest(replay.made, LISTED)


def test_offsets_within_bounds_give_each_event_once(replay: Replay, client: httpx.Client) -> None:
    # As airbyte-source-posthog asks.
    bounds: dict[str, str | int] = {
        "after": "2026-11-01T00:00:00.000000+0000",
        "before": "2026-11-20T00:00:00.000000+0000",
        "limit": 100,
    }
    pages = [
        client.get(EVENTS, params={**bounds, "offset": offset}).json()["results"]
        for offset in range(0, LISTED + 100, 100)
    ]
    assert [len(page) for page in pages] == [100, 100, 100, 100, 50, 0]
    assert [row["id"] for page in pages for row in page] == newest(replay.made, LISTED)


@pytest.mark.parametrize("count", [1, 60, 449])
def test_exactly_so_many_events_are_after_a_moment(replay: Replay, client: httpx.Client, count: int) -> None:
    after = newest_after(replay.made, count)
    assert [row["id"] for row in listed(client, limit=100, after=after)] == newest(replay.made, count)


def test_an_event_of_the_list_is_that_of_the_page(replay: Replay, client: httpx.Client) -> None:
    (last,) = client.get(EVENTS, params={"limit": 1}).json()["results"]
    rows = (dict(zip(COLUMNS, row, strict=True)) for row in replay.made.rows_of(len(replay.made.days) - 1))
    row = next(row for row in rows if row["uuid"] == last["id"])
    assert last["properties"] == json.loads(row["properties"])
    assert last["timestamp"] == f"{row['timestamp'].replace(' ', 'T')}+00:00"


def test_paging_by_query_gives_each_listed_event_once(replay: Replay, client: httpx.Client) -> None:
    after, ids = "1970-01-01 00:00:00", []
    while True:
        query = {"kind": "HogQLQuery", "query": QUERY.format(after=after, limit=100)}
        page = client.post("/api/projects/1/query/", json={"query": query}).json()
        rows = [dict(zip(page["columns"], row, strict=True)) for row in page["results"]]
        ids += [row["uuid"] for row in rows]
        if len(rows) < 100:
            break
        after = rows[-1]["timestamp"]
    assert ids[::-1] == newest(replay.made, LISTED)


def test_a_whole_page_of_a_query_is_packed(client: httpx.Client) -> None:
    query = {"kind": "HogQLQuery", "query": QUERY.format(after="1970-01-01 00:00:00", limit=10_000)}
    answer = client.post("/api/projects/1/query/", json={"query": query})
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()["results"]) == LISTED


def test_what_nobody_asks_is_refused(client: httpx.Client) -> None:
    answer = client.post("/api/projects/1/query/", json={"query": {"kind": "HogQLQuery", "query": "SELECT 1"}})
    assert answer.status_code == 400


@pytest.mark.parametrize("properties", ["usual", WILD, "550"])
def test_pages_are_the_same_for_a_seed(tmp_path: Path, properties: str) -> None:
    first, again, other = (
        make(tmp_path / name, events=60, page_rows=20, seed=seed, properties=properties)
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    assert [first.packed(day, "gzip") for day in range(3)] == [again.packed(day, "gzip") for day in range(3)]
    assert first.packed(0, "gzip") != other.packed(0, "gzip")
