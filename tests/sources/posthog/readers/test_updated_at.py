"""Sessions: windows of when they began and when they changed, against what the sandbox's ClickHouse holds."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.clock import DAY, HOUR, MAX, MIN, to_micros
from posthog_warehouse.sources.posthog.planning.intervals import Window
from posthog_warehouse.sources.posthog.readers.base import TableReading
from posthog_warehouse.sources.posthog.readers.updated_at import _halves, _slices
from posthog_warehouse.sources.posthog.settings import Settings
from posthog_warehouse.sources.posthog.sql.capabilities import probe
from posthog_warehouse.sources.posthog.tables.analytics import SESSIONS
from tests.conftest import StartSandbox
from tests.sources.posthog.reading import connected
from tests.sources.posthog.table_reading import Reader

FEW = Settings(leaf_rows=100)


def ids_of(sandbox: Sandbox, having: str = "1") -> set[tuple[str]]:
    """The sessions that the sandbox has."""
    rows = sandbox.sql(
        "SELECT session_id, min(min_timestamp) AS started, max(max_inserted_at) AS landed FROM raw_sessions "
        f"GROUP BY session_id HAVING {having}"
    )
    return {(row[0],) for row in rows}


@pytest.mark.parametrize("leaf_rows", [100, 40_000])
def test_every_session_comes_once(sandbox_cloud: Sandbox, leaf_rows: int) -> None:
    reader = Reader(sandbox_cloud, SESSIONS)
    held: list[int | None] = []
    rows = reader.run(settings=Settings(leaf_rows=leaf_rows), check=lambda reading: held.append(reading.evidence.held))
    assert len(rows) == len(reader.rows)
    assert reader.rows.keys() == ids_of(sandbox_cloud)
    assert held == [sandbox_cloud.counts()["sessions"]]


def test_the_columns_are_those_of_the_events(sandbox_cloud: Sandbox) -> None:
    reader = Reader(sandbox_cloud, SESSIONS)
    reader.run()
    expected: list[list[Any]] = sandbox_cloud.sql(
        "SELECT `$session_id`, uniqExact(uuid), toString(min(timestamp)), toString(max(timestamp)), "
        "uniqExactIf(uuid, event = '$pageview'), toString(max(inserted_at)), "
        "argMin(JSONExtractString(properties, 'utm_source'), (timestamp, uuid)), "
        "dateDiff('second', min(timestamp), max(timestamp)) FROM events WHERE `$session_id` != '' GROUP BY 1"
    )
    for session_id, _, start, end, pageviews, landed, source, seconds in expected:
        row = reader.rows[(session_id,)]
        times = [
            f"{row[name]:%Y-%m-%d %H:%M:%S.%f}" for name in ("start_timestamp", "end_timestamp", "max_inserted_at")
        ]
        assert times == [start, end, landed]
        assert (row["pageview_count"], row["entry_utm_source"], row["session_duration"]) == (
            pageviews,
            source or None,
            seconds,
        )
        assert row["is_bounce"] is (None if not pageviews else row["is_bounce"])
    assert {type(row["urls"]) for row in reader.rows.values()} == {str}


def test_the_next_run_reads_what_changed(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=4_000, persons=100)
    reader = Reader(sandbox, SESSIONS)
    assert len(reader.run(settings=FEW)) == sandbox.counts()["sessions"]
    sandbox.advance_clock(2 * 3600)
    # Only what landed in the hour before the first run is looked at again.
    assert len(reader.run(settings=FEW)) < 30
    sandbox.add_events(30, days_back=1)
    sandbox.advance_clock(60)
    changed = reader.run(settings=FEW)
    assert 0 < len(changed) <= 30
    assert reader.rows.keys() == ids_of(sandbox)


def test_ties_are_not_lost_however_small_an_answer_is(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=3_000, persons=50, behaviour={"max_rows": 120})
    moment = datetime.fromisoformat(sandbox.now().replace("Z", "+00:00")) - timedelta(days=2)
    # 1,000 events of one second and of one moment of landing: sessions that share both times.
    sandbox.add_events(1_000, timestamp=moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
    sandbox.advance_clock(3600)
    reader = Reader(sandbox, SESSIONS)
    starts = "SELECT min(min_timestamp) AS started FROM raw_sessions GROUP BY session_id"
    shared = sandbox.sql(f"SELECT max(c) FROM (SELECT count() AS c FROM ({starts}) GROUP BY started)")
    assert int(shared[0][0]) > 120
    rows = reader.run()
    assert len(rows) == len(reader.rows)
    assert reader.rows.keys() == ids_of(sandbox)


def test_since_and_until_bound_when_sessions_began(sandbox_cloud: Sandbox) -> None:
    now = to_micros(datetime.fromisoformat(sandbox_cloud.now().replace("Z", "+00:00")))
    low, high = now - 8 * DAY, now - 3 * DAY
    reader = Reader(sandbox_cloud, SESSIONS)
    reader.run(since=low, until=high)
    bounds = f"toUnixTimestamp64Micro(started) >= {low} AND toUnixTimestamp64Micro(started) < {high}"
    assert reader.rows.keys() == ids_of(sandbox_cloud, bounds)
    # Moved back and forth, the rest is fetched and nothing twice.
    rest = reader.run(since=low - 2 * DAY)
    assert reader.rows.keys() == ids_of(sandbox_cloud, f"toUnixTimestamp64Micro(started) >= {low - 2 * DAY}")
    assert not [row for row in rest if low <= to_micros(row["start_timestamp"]) < high - 2 * DAY - HOUR]


def test_a_run_that_is_stopped_goes_on_where_it_was(sandbox_cloud: Sandbox) -> None:
    reader = Reader(sandbox_cloud, SESSIONS)
    first = reader.run(settings=FEW, pages=5)
    rest = reader.run(settings=FEW)
    assert 0 < len(first) < len(rest)
    assert len(rest) < sandbox_cloud.counts()["sessions"]
    assert reader.rows.keys() == ids_of(sandbox_cloud)


def test_a_server_without_the_table_skips_it(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=500, persons=20, profile="selfhosted-2023")
    skipped: list[TableReading] = []
    assert Reader(sandbox, SESSIONS).run(check=skipped.append) == []
    assert skipped[0].outcome.skipped is not None
    assert "Unknown table `sessions`" in str(skipped[0].outcome.skipped)


def test_a_column_that_the_server_lacks_is_null_and_said(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(
        events=500, persons=20, behaviour={"missing_tables": ["sessions.$vitals_lcp", "sessions.$entry_irclid"]}
    )
    read: list[TableReading] = []
    rows = Reader(sandbox, SESSIONS).run(check=read.append)
    assert len(rows) == sandbox.counts()["sessions"]
    assert {row["vitals_lcp"] for row in rows} == {None}
    assert [note for note in read[0].notes if "$vitals_lcp" in note and "NULL" in note]


def test_a_query_that_takes_too_long_is_cut(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=2_000, persons=50)
    # The first requests ask which server this is, and how many sessions there are a day.
    sandbox.add_fault("status", path="/query/$", status=504, at=[5])
    reader = Reader(sandbox, SESSIONS)
    reader.run()
    assert reader.rows.keys() == ids_of(sandbox)


def test_a_session_with_a_clock_of_years_ago_is_found(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=2_000, persons=50)
    ((session, distinct_id),) = sandbox.sql(
        "SELECT `$session_id`, any(distinct_id) FROM events WHERE `$session_id` != '' GROUP BY 1 "
        "HAVING min(timestamp) < now() - toIntervalDay(100) LIMIT 1"
    )
    began = sandbox.sql(f"SELECT toString(min(min_timestamp)) FROM raw_sessions WHERE session_id = '{session}'")[0][0]
    low = to_micros(datetime.fromisoformat(f"{began}+00:00")) - DAY
    # A bound on the start hides it from HogQL, although it lies within.
    with connected(sandbox) as client:
        bounds = probe(client)[0].time_bounds("$start_timestamp", low, low + 2 * DAY)
        assert client.query(f"SELECT count() FROM sessions WHERE {' AND '.join(bounds)} LIMIT 1").rows == [[0]]
    reader = Reader(sandbox, SESSIONS)
    reader.run(since=low, until=low + 2 * DAY)
    assert {(session, distinct_id)} == {(row["session_id"], row["distinct_id"]) for row in reader.rows.values()}


def test_halves_and_slices_are_partitions() -> None:
    window = Window(0, 10 * DAY, MIN, MAX)
    for parts in (_slices(window, 7), _halves(window, (DAY, 3 * DAY))):
        assert parts[0].ts_from == window.ts_from
        assert parts[-1].ts_to == window.ts_to
        assert all(a.ts_to == b.ts_from for a, b in pairwise(parts))
        assert len(parts) > 1
    assert _halves(window, None) == [window]
    assert _slices(window._replace(ts_from=MIN), 3) == [window._replace(ts_from=MIN)]
