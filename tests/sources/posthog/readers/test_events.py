"""All events are read, each once, however the server cuts, fails or changes; proven by ClickHouse's own list."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import orjson
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.clock import DAY, HOUR, MAX, MIN, to_micros, to_text
from posthog_warehouse.sources.posthog.errors import AnswerMalformed, Narrow
from posthog_warehouse.sources.posthog.planning.histogram import EventCounter
from posthog_warehouse.sources.posthog.planning.intervals import Region, Window
from posthog_warehouse.sources.posthog.readers.events import EventsReader
from posthog_warehouse.sources.posthog.settings import Settings
from posthog_warehouse.sources.posthog.sql.capabilities import MODERN_MODIFIERS, probe
from posthog_warehouse.sources.posthog.sql.dialect import Dialect
from posthog_warehouse.sources.posthog.tables import EVENTS
from tests.conftest import StartSandbox
from tests.faults.syncing import LONG
from tests.own_posthog import OwnPostHog
from tests.sandboxes import started
from tests.sources.posthog.planning.test_leaves import ODD_NAMES, add_odd_events
from tests.sources.posthog.reading import EVERYTHING, Read, connected, read_events, uuids_of

BELIEVES_50_000 = Dialect(modifiers=MODERN_MODIFIERS)


@pytest.fixture(scope="module")
def small() -> Iterator[Sandbox]:
    """1,500 events, whose behaviour tests may switch."""
    with started(events=1_500, persons=60, seed=5, days=8) as sandbox:
        yield sandbox


@pytest.fixture
def posthog(small: Sandbox) -> Iterator[Sandbox]:
    before = small.behaviour()
    small.reset_counters()
    yield small
    small.clear_faults()
    small.set_behaviour(**before)


def assert_whole(read: Read, sandbox: Sandbox, where: str = "1") -> None:
    assert read.uuids == uuids_of(sandbox, where)
    for batch in read.batches:
        assert batch.leaves_left == 0
    assert sum(batch.rows for batch in read.batches) == sum(read.uuids.values())


def now_of(sandbox: Sandbox) -> datetime:
    return datetime.fromisoformat(sandbox.now().replace("Z", "+00:00"))


def iso(moment: datetime) -> str:
    return moment.astimezone(timezone.utc).isoformat()


def test_everything_is_read_in_few_requests(sandbox_cloud: Sandbox) -> None:
    sandbox_cloud.reset_counters()
    read = read_events(sandbox_cloud)
    assert_whole(read, sandbox_cloud)
    assert sandbox_cloud.counters()["requests"] <= 6


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("milliseconds_only", [False, True])
def test_neither_time_zone_nor_cut_times_change_a_value(posthog: Sandbox, zone: str, milliseconds_only: bool) -> None:  # noqa: FBT001 - parametrized
    posthog.set_behaviour(project_timezone=zone, milliseconds_only=milliseconds_only)
    read = read_events(posthog, leaf_rows=500)
    assert_whole(read, posthog)
    assert_equal_rows(read, posthog, 300)


def test_a_thousand_random_rows_are_equal_field_by_field(sandbox_cloud: Sandbox) -> None:
    assert_equal_rows(read_events(sandbox_cloud), sandbox_cloud, 1_000)


def assert_equal_rows(read: Read, sandbox: Sandbox, count: int) -> None:
    """Microseconds and the text of JSON included."""
    ours = {row["uuid"]: row for row in read.rows.to_pylist()}
    chosen = random.Random(1).sample(sorted(ours), count)  # noqa: S311 - the same sample each time
    listed = ", ".join(f"'{uuid}'" for uuid in chosen)
    theirs = sandbox.sql(
        "SELECT toString(uuid), event, toString(timestamp), toString(created_at), distinct_id, toString(person_id), "
        f"$session_id, $window_id, elements_chain, properties FROM events WHERE toString(uuid) IN ({listed})"
    )
    assert {row[0] for row in theirs} == set(chosen)
    assert any(row[2][-3:] != "000" for row in theirs), "no microseconds to compare"
    # A re-sent event is there twice until ClickHouse merges its copies: they differ in created_at.
    copies = {(row[0], row[3]): row for row in theirs}
    for uuid in chosen:
        row = ours[uuid]
        created_at = row["created_at"].strftime("%Y-%m-%d %H:%M:%S.%f")
        _, event, timestamp, _, distinct_id, person_id, *texts, properties = copies[uuid, created_at]
        assert (row["event"], row["distinct_id"], row["person_id"]) == (event, distinct_id, person_id)
        assert row["timestamp"].strftime("%Y-%m-%d %H:%M:%S.%f") == timestamp
        assert [row["session_id"], row["window_id"], row["elements_chain"]] == [text or None for text in texts]
        assert row["properties"] == properties
        assert orjson.loads(row["properties"])


def test_tiny_caps(posthog: Sandbox) -> None:
    posthog.set_behaviour(max_rows=300)
    read = read_events(posthog, leaf_rows=200)
    assert read.dialect.max_rows == 300
    assert_whole(read, posthog)


@pytest.mark.parametrize("cap", [700, 133])
def test_a_lower_cap_than_believed_is_noticed(posthog: Sandbox, cap: int) -> None:
    posthog.set_behaviour(max_rows=cap)
    assert_whole(read_events(posthog, dialect=BELIEVES_50_000), posthog)


def test_a_lower_cap_is_noticed_in_a_live_window_too(posthog: Sandbox) -> None:
    """Nothing was counted before it is fetched: a short answer alone does not say that it is whole."""
    posthog.set_behaviour(max_rows=700)
    added = posthog.add_events(900, days_back=1, seed=9)
    now = now_of(posthog)
    window = Window(to_micros(now) - 2 * DAY, MAX, to_micros(now) - HOUR, to_micros(now) + 1)
    read = read_events(posthog, [window], dialect=BELIEVES_50_000)
    assert set(added) <= set(read.uuids)
    posthog.delete_events(uuids=added)


def test_a_histogram_longer_than_an_answer_counts_everything(posthog: Sandbox) -> None:
    with connected(posthog) as client:
        whole = EventCounter(client, BELIEVES_50_000).histogram(EVERYTHING)
        assert sum(cell.rows for cell in whole) == sum(uuids_of(posthog).values())
        posthog.set_behaviour(max_rows=100)
        for dialect in (BELIEVES_50_000, Dialect(modifiers=MODERN_MODIFIERS, max_rows=100)):
            assert sorted(EventCounter(client, dialect).histogram(EVERYTHING)) == sorted(whole)


@pytest.mark.parametrize("profile", ["cloud", "selfhosted-2023"] if LONG else ["selfhosted-2023"])
def test_what_is_hard_to_part(start_sandbox: StartSandbox, profile: str) -> None:
    """Ties, one heavy distinct_id, a burst of seconds, odd names and odd times, under a cap they all exceed."""
    box = start_sandbox(events=300, persons=40, seed=3, days=4, profile=profile, behaviour={"query_per_hour": None})
    add_odd_events(box, ODD_NAMES[3:7])
    yesterday = iso(now_of(box).replace(hour=11, minute=3, second=7, microsecond=123_456) - timedelta(days=1))
    box.add_events(900, timestamp=yesterday, seed=1)
    box.add_events(900, timestamp=yesterday, distinct_id="one heavy 'id'", event="$pageview", seed=2)
    box.add_events(900, timestamp=yesterday, distinct_id="a burst", event="burst", seed=4, spread_seconds=120)
    box.set_behaviour(max_rows=250)

    read = read_events(box, leaf_rows=200)

    assert read.dialect.has_hashes == (profile == "cloud")
    assert_whole(read, box)
    assert max(table.num_rows for table in read.tables) < 250


def test_rows_that_arrive_during_the_read_are_in_one_leaf_or_beyond_the_window(start_sandbox: StartSandbox) -> None:
    box = start_sandbox(events=1_500, persons=60, seed=6, days=5)
    before = uuids_of(box)
    created_to = now_of(box) + timedelta(minutes=1)
    window = EVERYTHING._replace(created_to=to_micros(created_to))
    found: Counter[str] = Counter()
    added: list[str] = []
    beyond: list[str] = []
    with connected(box) as client:
        settings = Settings(leaf_rows=300, queries_in_flight=1, pages_ahead=1)
        for number, page in enumerate(EventsReader(client, BELIEVES_50_000, settings).pages([window])):
            found.update(page.table.column("uuid").to_pylist())
            if number == 1:
                added += box.add_events(200, days_back=5, seed=1)
                box.advance_clock(300)
            if number == 2:
                beyond += box.add_events(100, days_back=5, seed=2)
    assert {uuid: found[uuid] for uuid in before} == before, "what was there is all there, as often as it was"
    assert all(found[uuid] <= 1 for uuid in added)
    assert not set(found) & set(beyond)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (504, None),
        (512, None),
        (513, None),
        (
            400,
            {
                "type": "validation_error",
                "code": "too_many_bytes",
                "detail": "Limit for rows or bytes to read exceeded",
                "attr": None,
            },
        ),
    ],
    ids=["timeout", "estimate", "memory", "bytes"],
)
def test_a_leaf_that_is_too_much_is_asked_for_in_pieces(posthog: Sandbox, status: int, body: object) -> None:
    posthog.add_fault("status", path="/query/", at=[2, 7, 12], status=status, **({"body": body} if body else {}))
    read = read_events(posthog, dialect=BELIEVES_50_000, leaf_rows=400)
    assert_whole(read, posthog)


def test_an_empty_window_that_is_too_much_to_read_ends(posthog: Sandbox) -> None:
    """Rows cannot be asked for, but counting says that there are none."""
    window = Window(MIN, MAX, to_micros(now_of(posthog)) + DAY, to_micros(now_of(posthog)) + DAY + 1)
    posthog.add_fault("status", path="/query/", at=[1], status=504)
    read = read_events(posthog, [window], dialect=BELIEVES_50_000)
    assert read.rows.num_rows == 0
    assert [batch.window for batch in read.batches] == [window]


def test_a_server_that_refuses_every_row_ends_the_read(posthog: Sandbox) -> None:
    posthog.set_behaviour(max_bytes_to_read=1)
    with pytest.raises(Narrow):
        read_events(posthog, dialect=BELIEVES_50_000)
    assert posthog.counters()["requests"] < 200


def test_a_row_that_only_a_long_query_can_give_is_given(start_sandbox: StartSandbox) -> None:
    """The query for it alone times out; in the background it has its ten minutes."""
    box = start_sandbox(events=1, persons=20, seed=6, days=2)
    box.add_fault("status", path="/query/$", at=[2, 6, 8], status=504)
    with connected(box) as client:
        settings = Settings(queries_in_flight=1, pages_ahead=1)
        pages = list(EventsReader(client, BELIEVES_50_000, settings).pages([EVERYTHING]))
    assert sum(page.table.num_rows for page in pages) == 1
    assert [fault["struck"] for fault in box.faults()] == [3]


@pytest.mark.parametrize("profile", ["cloud", "selfhosted-2023"])
def test_times_beyond_what_a_clickhouse_date_holds(start_sandbox: StartSandbox, profile: str) -> None:
    """The table is sorted by toDate(timestamp), which wraps around: bounds on the bare column would skip these rows."""
    box = start_sandbox(events=200, persons=20, seed=5, days=8, profile=profile)
    for number, time in enumerate(
        ["1969-12-31T23:59:59.999999", "1901-01-01T00:00:00.5", "2199-01-01T00:00:00", "2290-05-06T07:08:09"]
    ):
        box.add_events(30, timestamp=f"{time}Z", event="far away", seed=number)
    for leaf_rows in (40, 40_000):
        assert_whole(read_events(box, leaf_rows=leaf_rows), box)
    with connected(box) as client:
        cells = EventCounter(client, probe(client)[0]).histogram(EVERYTHING)
    days = {to_text(cell.day)[:10] for cell in cells if cell.event == "far away"}
    assert days == {"1969-12-31", "1901-01-01", "2199-01-01", "2290-05-06"}


@pytest.mark.parametrize("has_hashes", [True, False])
def test_copies_that_nothing_parts_are_an_error_and_no_endless_loop(has_hashes: bool) -> None:  # noqa: FBT001 - parametrized
    """One event sent again so often that its copies alone fill an answer: more might be behind them."""
    own = OwnPostHog(events=100, persons=20, seed=6, days=2)
    try:
        copies = "SELECT e.* FROM (SELECT * FROM events LIMIT 1) AS e CROSS JOIN numbers(300) AS n"
        own.execute(f"INSERT INTO events {copies} SETTINGS optimize_on_insert = 0")
        own.posthog.set_behaviour(max_rows=100)
        dialect = Dialect(modifiers=MODERN_MODIFIERS, max_rows=100, has_hashes=has_hashes)
        with pytest.raises(AnswerMalformed, match="100 events or more"):
            read_events(own.posthog, dialect=dialect)
        assert own.posthog.counters()["requests"] < 400
    finally:
        own.close()


def test_columns_are_those_of_the_table(sandbox_cloud: Sandbox) -> None:
    read = read_events(sandbox_cloud)
    assert read.rows.column_names == [column.name for column in EVENTS.columns]
    assert all(table.schema == read.tables[0].schema for table in read.tables)


def test_a_window_without_events_completes(posthog: Sandbox) -> None:
    windows = [
        Window(0, DAY, MIN, MAX),
        Window(DAY, 2 * DAY, MIN, MAX),
    ]
    read = read_events(posthog, windows, dialect=BELIEVES_50_000)
    assert [batch.window for batch in read.batches] == windows
    assert read.rows.num_rows == 0


def test_batches_together_are_the_windows_asked_for(posthog: Sandbox) -> None:
    now = to_micros(now_of(posthog))
    windows = [Window(MIN, now - 3 * DAY, MIN, now), Window(now - 3 * DAY, MAX, MIN, now)]
    read = read_events(posthog, windows, dialect=BELIEVES_50_000, leaf_rows=300)
    assert len(read.batches) > 4
    assert Region(batch.window for batch in read.batches) == Region(windows)
