"""Session recordings over the real sandbox: each shape of its list, growing, windows, retention, faults."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.clock import DAY, HOUR, to_datetime, to_micros
from posthog_warehouse.sources.posthog.errors import ListUnreadable
from posthog_warehouse.sources.posthog.http.answers import Project
from posthog_warehouse.sources.posthog.readers.base import TableReading
from posthog_warehouse.sources.posthog.readers.rest.recordings import RecordingReader, recording_pages
from posthog_warehouse.sources.posthog.readers.run import Run
from posthog_warehouse.sources.posthog.tables.recordings import SESSION_RECORDINGS
from tests.conftest import StartSandbox
from tests.sandboxes import started
from tests.sources.posthog.reading import connected
from tests.sources.posthog.table_reading import Reader

SHAPES: dict[str, dict[str, Any]] = {
    "cursor": {},
    "has_next": {"recordings_cursor": False},
    "counted": {"recordings_counted": True},
}

FIGURES = (
    "SELECT session_id, toString(max(max_last_timestamp)), sum(click_count), sum(keypress_count), "
    "sum(console_log_count) FROM session_replay_events "
    "WHERE session_id NOT IN (SELECT session_id FROM session_recording) GROUP BY session_id"
)


@pytest.fixture(scope="module")
def posthog() -> Any:
    """A sandbox whose data stays as it is; its behaviour is switched by the tests."""
    with started(events=6_000, persons=100, seed=5, days=10) as sandbox:
        yield sandbox


def switched(sandbox: Sandbox, shape: str) -> Sandbox:
    """The sandbox with another shape of the list."""
    sandbox.set_behaviour(recordings_cursor=True, recordings_counted=False)
    sandbox.set_behaviour(**SHAPES[shape])
    sandbox.clear_faults()
    return sandbox


def now_of(sandbox: Sandbox) -> int:
    """The sandbox's time in microseconds."""
    return to_micros(datetime.fromisoformat(sandbox.now().replace("Z", "+00:00")))


def figures(sandbox: Sandbox, where: str = "") -> dict[str, list[Any]]:
    """What recordings add up to in ClickHouse."""
    return {row[0]: row[1:] for row in sandbox.sql(FIGURES + where)}


def read_figures(reader: Reader) -> dict[str, list[Any]]:
    """The same of the rows that were read."""
    names = ("click_count", "keypress_count", "console_log_count")
    return {
        row["id"]: [row["end_time"].replace("T", " ").rstrip("Z"), *(row[name] for name in names)]
        for row in reader.rows.values()
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_every_recording_comes_once(posthog: Sandbox, shape: str) -> None:
    reader = Reader(switched(posthog, shape), SESSION_RECORDINGS)
    readings: list[TableReading] = []

    def check(reading: TableReading) -> None:
        assert reading.evidence.recount is not None
        assert reading.evidence.recount() == reading.evidence.held
        readings.append(reading)

    rows = reader.run(check=check)
    assert len(rows) == len(reader.rows) == posthog.counts()["recordings"] == readings[0].evidence.held
    assert read_figures(reader) == figures(posthog)
    people = dict(
        posthog.sql(
            "SELECT distinct_id, toString(argMax(person_id, version)) FROM person_distinct_id2 "
            "GROUP BY distinct_id HAVING argMax(is_deleted, version) = 0"
        )
    )
    assert all(row.get("person_id") == people.get(row["distinct_id"]) for row in rows)
    assert not any("person" in row for row in rows)


@pytest.mark.parametrize("shape", SHAPES)
def test_small_pages_lose_nothing(posthog: Sandbox, shape: str) -> None:
    sandbox = switched(posthog, shape)
    with connected(sandbox) as client:
        run = Run(client, Project(1, None, "", "UTC", None, {}))
        client.project()
        now = now_of(sandbox)
        rows = RecordingReader(run, now, limit=7).rows(now - 12 * DAY, now)
    assert len(rows) == len({row["id"] for row in rows}) == sandbox.counts()["recordings"]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_growing_recording_ends_with_its_last_figures_and_one_row(start_sandbox: StartSandbox, shape: str) -> None:
    sandbox = start_sandbox(events=1_500, persons=40, behaviour=SHAPES[shape])
    reader = Reader(sandbox, SESSION_RECORDINGS)
    everything = len(reader.run())
    for _ in range(2):
        sandbox.advance_clock(120)
        # These two were going on at the start; others that are grown had ended long before.
        grown = sandbox.grow_recordings(2)
        rows = reader.run()
        assert {row["id"] for row in rows} >= set(grown)
        assert len(rows) < 12 < everything
        assert all(reader.rows[(name,)]["ongoing"] for name in grown)
        assert read_figures(reader) == figures(sandbox)
    # Nothing comes in any more: they are read once again, as ended, and then no more.
    sandbox.advance_clock(3 * 3600)
    reader.run()
    assert not any(row["ongoing"] for row in reader.rows.values())
    assert reader.state["open"] == {}
    sandbox.advance_clock(3 * 3600)
    assert reader.run() == []
    # The project, three queries, and one page of the list.
    assert sandbox.counters()["requests"] <= 5
    assert len([entry for entry in sandbox.requests() if "session_recordings" in entry["path"]]) <= 1
    assert len(reader.rows) == sandbox.counts()["recordings"]


def test_since_and_until_bound_the_starts(posthog: Sandbox) -> None:
    sandbox = switched(posthog, "cursor")
    now = now_of(sandbox)
    low, high = now - 6 * DAY - 123_456, now - 2 * DAY
    reader = Reader(sandbox, SESSION_RECORDINGS)
    held: list[int | None] = []

    def inside(low: int, high: int) -> set[str]:
        starts = "toUnixTimestamp64Micro(min(min_first_timestamp))"
        return set(figures(sandbox, f" HAVING {starts} >= {low} AND {starts} < {high}"))

    reader.run(since=low, until=high, check=lambda reading: held.append(reading.evidence.held))
    assert {key for (key,) in reader.rows} == inside(low, high)
    # `since` may move back, and `until` away: the rest comes, and next to nothing twice.
    rest = reader.run(since=low - 2 * DAY, check=lambda reading: held.append(reading.evidence.held))
    assert {key for (key,) in reader.rows} == inside(low - 2 * DAY, now + DAY)
    starts = [to_micros(datetime.fromisoformat(row["start_time"].replace("Z", "+00:00"))) for row in rest]
    assert not [start for start in starts if low <= start < high - 2 * HOUR]
    assert held == [len(inside(low, high)), len(inside(low - 2 * DAY, now + DAY))]


def test_a_stopped_run_goes_on_where_it_was(posthog: Sandbox) -> None:
    reader = Reader(switched(posthog, "cursor"), SESSION_RECORDINGS)
    first = reader.run(pages=1)
    rest = reader.run()
    assert 0 < len(first) < posthog.counts()["recordings"]
    assert len(rest) < posthog.counts()["recordings"]
    assert read_figures(reader) == figures(posthog)


def test_what_posthog_no_longer_keeps_stays(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=1_500, persons=40, behaviour={"recordings_retention_days": 30})
    reader = Reader(sandbox, SESSION_RECORDINGS)
    reader.run()
    everything = len(reader.rows)
    assert everything == sandbox.counts()["recordings"]
    sandbox.advance_clock(25 * 86_400)
    held: list[int | None] = []
    reader.run(check=lambda reading: held.append(reading.evidence.held))
    assert len(reader.rows) == held[0] == everything


def test_a_busy_database_is_waited_for_and_a_slow_window_is_cut(posthog: Sandbox) -> None:
    sandbox = switched(posthog, "cursor")
    busy = {"type": "throttled_error", "code": "throttled", "detail": "ClickHouse is at capacity. Try again later."}
    slow = {**busy, "detail": "Query timeout exceeded. Try again later."}
    path = "/session_recordings/"
    sandbox.add_fault("status", path=path, status=429, body=busy, headers={"Retry-After": "1"}, at=[2])
    sandbox.add_fault("status", path=path, status=429, body=slow, at=[4])
    reader = Reader(sandbox, SESSION_RECORDINGS)
    reader.run()
    assert read_figures(reader) == figures(sandbox)
    sandbox.clear_faults()


def test_the_limit_on_lists_is_waited_out(posthog: Sandbox) -> None:
    sandbox = switched(posthog, "cursor")
    before = sandbox.behaviour()
    sandbox.set_behaviour(rate_limit_enabled=True, recordings_per_minute=2, throttle_minute_seconds=1.0)
    reader = Reader(sandbox, SESSION_RECORDINGS)
    try:
        reader.run()
        assert 429 in {entry["status"] for entry in sandbox.requests()}
    finally:
        sandbox.set_behaviour(**before)
    assert read_figures(reader) == figures(sandbox)


def test_a_cursor_that_leads_in_circles_is_an_error(posthog: Sandbox) -> None:
    sandbox = switched(posthog, "cursor")
    with connected(sandbox) as client:
        params = {"date_from": "-90d", "date_to": sandbox.now()}
        first = client.get("session_recordings", {**params, "limit": 5})
        sandbox.add_fault("status", path="after=", status=200, body=first, always=True)
        pages = recording_pages(client, params, limit=5)
        assert len(next(pages).rows) == 5
        with pytest.raises(ListUnreadable, match="in circles"):
            list(pages)
    sandbox.clear_faults()


def test_recordings_that_started_late_are_found_by_the_sweep(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=1_500, persons=40)
    reader = Reader(sandbox, SESSION_RECORDINGS)
    reader.run()
    # Recordings that had ended hours ago grow: only looking at all of the last days finds that.
    sandbox.advance_clock(5 * 3600)
    reader.run()
    sandbox.grow_recordings(6)
    sandbox.advance_clock(int(timedelta(days=1).total_seconds()))
    reader.run()
    assert read_figures(reader) == figures(sandbox)


@pytest.mark.parametrize("profile", ["selfhosted-2025", "selfhosted-2023"])
def test_what_grew_long_after_its_end_is_read_again(start_sandbox: StartSandbox, profile: str) -> None:
    sandbox = start_sandbox(events=3_000, persons=60, days=6, profile=profile)
    sandbox.advance_clock(5 * 3600)
    reader = Reader(sandbox, SESSION_RECORDINGS)
    reader.run()
    assert read_figures(reader) == figures(sandbox)
    sandbox.advance_clock(3600)
    assert reader.run() == [], "nothing grew, and nothing is going on"
    # All of them ended hours ago, the oldest days ago.
    grew = sandbox.grow_recordings(60)
    sandbox.advance_clock(3600)
    readings: list[TableReading] = []
    again = reader.run(check=readings.append)
    recent = f" HAVING min(min_first_timestamp) > '{_ago(sandbox, 3 * DAY)}'"
    assert {row["id"] for row in again} >= set(figures(sandbox, recent)) & set(grew)
    assert {name: read_figures(reader)[name] for name in figures(sandbox, recent)} == figures(sandbox, recent)
    sandbox.advance_clock(86_400)
    reader.run(check=readings.append)
    assert read_figures(reader) == figures(sandbox), "the daily sweep finds those that are older"
    assert readings[1].evidence.held == len(reader.rows)
    listed = [entry for entry in sandbox.requests() if "session_recordings" in entry["path"]]
    assert len(listed) < 40


def test_it_is_said_where_growth_cannot_be_asked_for(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(
        events=1_000, persons=30, days=4, behaviour={"missing_tables": ["raw_session_replay_events.click_count"]}
    )
    reader = Reader(sandbox, SESSION_RECORDINGS)
    readings: list[TableReading] = []
    reader.run(check=readings.append)
    assert read_figures(reader) == figures(sandbox)
    assert any("cannot be asked which recordings grew" in note for note in readings[0].notes)


def _ago(sandbox: Sandbox, micros: int) -> str:
    return to_datetime(now_of(sandbox) - micros).strftime("%Y-%m-%d %H:%M:%S")
