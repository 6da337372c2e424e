"""Sessions of a server that does not say when they changed: days by checksum, against what its ClickHouse holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.clock import DAY, to_micros
from posthog_warehouse.sources.posthog.errors import QueryTimedOut
from posthog_warehouse.sources.posthog.readers.base import TableReading
from posthog_warehouse.sources.posthog.readers.keyset import Rows
from posthog_warehouse.sources.posthog.settings import Settings
from posthog_warehouse.sources.posthog.tables.analytics import SESSIONS
from tests.conftest import StartSandbox
from tests.sources.posthog.table_reading import Reader

FEW = Settings(leaf_rows=100)
LACKING = ["sessions.max_inserted_at"]


def now_of(sandbox: Sandbox) -> datetime:
    return datetime.fromisoformat(sandbox.now().replace("Z", "+00:00"))


def held_by(sandbox: Sandbox, having: str = "1") -> dict[str, tuple[Any, ...]]:
    """The sessions that the sandbox has: first and last event, and how many pages were seen."""
    rows = sandbox.sql(
        "SELECT session_id, toString(min(min_timestamp) AS started), toString(max(max_timestamp)), "
        f"uniqExactIfMerge(pageview_uniq) FROM raw_sessions GROUP BY session_id HAVING {having}"
    )
    return {str(row[0]): (row[1], row[2], int(row[3])) for row in rows}


def read_by(reader: Reader) -> dict[str, tuple[Any, ...]]:
    """The same of those that were read."""
    return {
        row["session_id"]: (
            f"{row['start_timestamp']:%Y-%m-%d %H:%M:%S.%f}",
            f"{row['end_timestamp']:%Y-%m-%d %H:%M:%S.%f}",
            row["pageview_count"],
        )
        for row in reader.rows.values()
    }


@pytest.fixture
def sandbox(start_sandbox: StartSandbox) -> Sandbox:
    return start_sandbox(events=2_000, persons=60, behaviour={"missing_tables": LACKING})


@pytest.mark.parametrize(
    "behaviour",
    [
        {"max_rows": 120, "project_timezone": "America/New_York", "missing_functions": ["toDateTime64"]},
        {"missing_functions": ["cityHash64", "toDateTime64"]},
    ],
)
def test_every_session_comes_and_what_changed_comes_again(sandbox: Sandbox, behaviour: dict[str, Any]) -> None:
    sandbox.set_behaviour(**behaviour)
    readings: list[TableReading] = []
    reader = Reader(sandbox, SESSIONS)
    rows = reader.run(settings=FEW, check=readings.append)
    assert len(rows) == len(reader.rows) == sandbox.counts()["sessions"] == readings[0].evidence.held
    assert read_by(reader) == held_by(sandbox)
    assert {row["max_inserted_at"] for row in rows} == {None}
    assert any("max_inserted_at" in note for note in readings[0].notes)

    sandbox.advance_clock(2 * 3600)
    sandbox.add_events(60, days_back=1)
    reader.run(settings=FEW, check=readings.append)
    assert read_by(reader) == held_by(sandbox)
    # Late events of old sessions are found by the daily look at all days, whatever the clocks say.
    sandbox.advance_clock(86_400)
    sandbox.add_events(60, days_back=40)
    reader.run(settings=FEW, check=readings.append)
    if "cityHash64" not in behaviour.get("missing_functions", []):
        assert read_by(reader) == held_by(sandbox)
    assert reader.rows.keys() == {(name,) for name in held_by(sandbox)}
    assert readings[2].evidence.held == len(reader.rows)
    assert readings[2].evidence.recount is not None


def test_nothing_is_read_again_where_nothing_changed(sandbox: Sandbox) -> None:
    reader = Reader(sandbox, SESSIONS)
    reader.run(settings=FEW)
    for seconds in (3600, 86_400):
        sandbox.advance_clock(seconds)
        assert reader.run(settings=FEW) == []
        assert len([entry for entry in sandbox.requests() if "/query/" in entry["path"]]) < 12


def test_a_stopped_run_goes_on_where_it_was(sandbox: Sandbox) -> None:
    reader = Reader(sandbox, SESSIONS)
    first = reader.run(settings=Settings(leaf_rows=30), pages=4)
    rest = reader.run(settings=Settings(leaf_rows=30))
    assert first
    assert 0 < len(rest) < len(reader.rows)
    assert read_by(reader) == held_by(sandbox)


def test_a_stopped_run_notes_no_day_of_which_a_part_is_to_come(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = Rows.ask
    is_slow = iter([True])

    def ask_slowly(self: Rows, expressions: Sequence[str], *args: Any, **options: Any) -> list[tuple[Any, ...]]:
        # The first look at how many sessions began on which of the days that are to be read.
        if expressions[-1] == "count()" and len(expressions) == 2 and next(is_slow, False):
            raise QueryTimedOut("The query took too long")
        return ask(self, expressions, *args, **options)

    monkeypatch.setattr(Rows, "ask", ask_slowly)
    now = to_micros(now_of(sandbox))
    # One window, of which the middle is one of a day.
    low, high = now // DAY * DAY - 4 * DAY, now // DAY * DAY + DAY
    for seed in range(3):
        sandbox.add_events(40, days_back=4, seed=seed)
    started = "toUnixTimestamp64Micro(started)"
    there = held_by(sandbox, f"{started} >= {low} AND {started} < {high}")
    for pages in (3, 4):
        is_slow = iter([True])
        reader = Reader(sandbox, SESSIONS)
        settings = Settings(leaf_rows=20, queries_in_flight=1)
        reader.run(since=low, until=high, settings=settings, pages=pages)
        reader.run(since=low, until=high, settings=settings)
        assert read_by(reader) == there, f"stopped after {pages} pages"


def test_since_and_until_bound_when_sessions_began(sandbox: Sandbox) -> None:
    now = to_micros(now_of(sandbox))
    low, high = now - 8 * DAY + 7_000, now - 3 * DAY
    reader = Reader(sandbox, SESSIONS)
    reader.run(since=low, until=high)
    started = "toUnixTimestamp64Micro(started)"
    assert read_by(reader) == held_by(sandbox, f"{started} >= {low} AND {started} < {high}")
    # What an earlier run left out comes with the next one, however soon that is.
    reader.run()
    assert read_by(reader) == held_by(sandbox, f"{started} >= {low}")
    reader.run(since=low - 2 * DAY)
    assert read_by(reader) == held_by(sandbox, f"{started} >= {low - 2 * DAY}")


def test_a_session_with_a_clock_of_years_ago_is_found(sandbox: Sandbox) -> None:
    old = held_by(sandbox, "started < now() - toIntervalDay(100)")
    assert old
    reader = Reader(sandbox, SESSIONS)
    reader.run()
    assert read_by(reader).keys() >= old.keys()
