"""Leaves are partitions: every event lies in exactly one, whether the histogram knew of it or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.clock import DAY, LAST_DAY, MAX, MIN, SECOND, to_micros
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.planning.intervals import Window
from posthog_warehouse.sources.posthog.planning.leaves import (
    Bar,
    Cell,
    Leaf,
    cut_by_bars,
    cut_by_cells,
    cut_evenly,
    cut_in_two,
    histogram_query,
    plan,
)
from posthog_warehouse.sources.posthog.sql.capabilities import MODERN_MODIFIERS
from posthog_warehouse.sources.posthog.sql.dialect import HASH_SPACE, Dialect
from posthog_warehouse.sources.posthog.tables import EVENTS
from tests.sandboxes import started

MODERN = Dialect(modifiers=MODERN_MODIFIERS)
LEGACY = Dialect(has_hashes=False, has_typed_times=False, has_zoned_text=False, max_rows=10_000)
DIALECTS = pytest.mark.parametrize("dialect", [MODERN, LEGACY], ids=["hashes", "legacy"])
TODAY = 20_000 * DAY
ODD_NAMES = [
    "$pageview",
    "",
    "a'b",
    "a\\b",
    "\\'",
    "a\0b",
    "\0",
    "{x}",
    "{{",
    "%s",
    "é",
    "日本",
    "🦔",
    "A",
    "a",
    "\n\t",
    "aa",
    "a b",
]


@dataclass(frozen=True)
class Row:
    timestamp: int
    created_at: int
    event: str
    person_hash: int
    uuid_hash: int
    uuid_tail: int


def holds(leaf: Leaf, row: Row, dialect: Dialect) -> bool:
    """What the leaf's conditions say, in Python."""
    window = leaf.window
    part = row.person_hash if dialect.has_hashes else row.timestamp // SECOND
    tail = row.uuid_hash if dialect.has_hashes else row.uuid_tail
    name = row.event.encode()
    return (
        window.ts_from <= row.timestamp < window.ts_to
        and window.created_from <= row.created_at < window.created_to
        and (leaf.event_from is None or leaf.event_from.encode() <= name)
        and (leaf.event_to is None or name < leaf.event_to.encode())
        and (leaf.part is None or _within(part, leaf.part))
        and (leaf.tail is None or _within(tail, leaf.tail))
    )


def _within(value: int, bounds: tuple[int, int]) -> bool:
    """As the conditions are written: a lower bound of 0 and an upper one of 2**64 are left out."""
    low, high = bounds
    return (low <= 0 or value >= low) and (high >= HASH_SPACE or value < high)


hashes = st.one_of(st.sampled_from([0, 1, HASH_SPACE - 1, HASH_SPACE // 2]), st.integers(0, HASH_SPACE - 1))
names = st.one_of(st.sampled_from(ODD_NAMES), st.text(st.characters(codec="utf-8"), max_size=4))
timestamps = st.one_of(
    st.integers(TODAY - 3 * DAY, TODAY + DAY),
    # Whole seconds and midnights, where edges are.
    st.integers(-4, 4).map(lambda day: TODAY + day * DAY),
    st.sampled_from([0, 1, SECOND, TODAY - 9_000 * DAY, TODAY + 9_000 * DAY]),
    st.sampled_from([-1, -DAY, -DAY - 1, -20_000 * DAY, LAST_DAY - 1, LAST_DAY, LAST_DAY + DAY, 90_000 * DAY]),
)
rows = st.builds(Row, timestamps, st.integers(0, 20), names, hashes, hashes, st.integers(0, 16**12 - 1))
some_rows = st.lists(rows, max_size=20)
windows = st.builds(
    lambda start, days, created: Window(
        MIN if start is None else start, MAX if days is None or start is None else start + days * DAY, MIN, created
    ),
    st.one_of(st.none(), st.integers(-5, 2).map(lambda day: TODAY + day * DAY), timestamps),
    st.one_of(st.none(), st.integers(1, 8)),
    st.sampled_from([10, MAX]),
)


def cells_of(known: list[Row], window: Window) -> list[Cell]:
    inside = [row for row in known if holds(Leaf(window), row, MODERN)]
    counts = Counter((row.timestamp - row.timestamp % DAY, row.event) for row in inside)
    return sorted(Cell(day, event, count) for (day, event), count in counts.items())


def bars_of(known: list[Row], leaf: Leaf, dialect: Dialect, width: int) -> list[Bar]:
    found: dict[int, list[int]] = {}
    for row in known:
        if holds(leaf, row, dialect):
            part = row.person_hash if dialect.has_hashes else row.timestamp // SECOND
            found.setdefault(part // width, []).append(part)
    return [Bar(min(parts), max(parts), len(parts)) for parts in found.values()]


def assert_partition(whole: Leaf, leaves: list[Leaf], every: list[Row], dialect: Dialect) -> None:
    for row in every:
        count = sum(holds(leaf, row, dialect) for leaf in leaves)
        assert count == (1 if holds(whole, row, dialect) else 0), f"{row} lies in {count} leaves"


@DIALECTS
@settings(max_examples=60, deadline=None)
@given(window=windows, known=some_rows, unknown=some_rows, target=st.integers(1, 12))
def test_a_plan_is_a_partition_of_its_window(
    *, dialect: Dialect, window: Window, known: list[Row], unknown: list[Row], target: int
) -> None:
    cells = cells_of(known, window)
    planned = list(plan(window, cells, target, dialect))
    leaves = [leaf for _, parts in planned for leaf in parts]

    assert [span.ts_from for span, _ in planned] == [window.ts_from, *[span.ts_to for span, _ in planned][:-1]]
    assert planned[-1][0].ts_to == window.ts_to
    if cells:
        assert_partition(Leaf(window), leaves, known + unknown, dialect)
        assert sum(cell.rows for cell in cells) <= sum(leaf.expected or 0 for leaf in leaves)
    for leaf in leaves:
        # Only one event on one day may be larger than the target, and it is cut to it by hashes where they are.
        assert (leaf.expected or 0) <= target or not dialect.has_hashes


@DIALECTS
@settings(max_examples=50, deadline=None)
@given(window=windows, bounds=st.tuples(names, names), known=some_rows, unknown=some_rows, target=st.integers(1, 12))
def test_a_leaf_cut_along_its_histogram_is_partitioned(
    *, dialect: Dialect, window: Window, bounds: tuple[str, str], known: list[Row], unknown: list[Row], target: int
) -> None:
    low, high = sorted(bounds, key=str.encode)
    for leaf in (Leaf(window), Leaf(window, event_from=low), Leaf(window, event_from=low, event_to=high)):
        cells = cells_of([row for row in known if holds(leaf, row, dialect)], window)
        leaves = cut_by_cells(leaf, cells, target, dialect)
        if cells:
            assert_partition(leaf, leaves, known + unknown, dialect)


parts = st.one_of(
    st.none(),
    st.tuples(hashes, hashes).map(sorted).map(lambda pair: (pair[0], pair[1] + 1)),
)


@DIALECTS
@settings(max_examples=60, deadline=None)
@given(window=windows, part=parts, known=some_rows, unknown=some_rows, target=st.integers(1, 12), data=st.data())
def test_a_leaf_of_one_event_is_partitioned_by_its_finer_histogram(
    *,
    dialect: Dialect,
    window: Window,
    part: tuple[int, int] | None,
    known: list[Row],
    unknown: list[Row],
    target: int,
    data: st.DataObject,
) -> None:
    if not dialect.has_hashes and part is not None:
        part = (part[0] % (TODAY // SECOND), part[0] % (TODAY // SECOND) + 1 + part[1] % 200_000)
    leaf = Leaf(window, is_one_event=True, part=part)
    width = data.draw(st.sampled_from([1, DAY // SECOND] if not dialect.has_hashes else [1, HASH_SPACE // 512]))
    # Seconds are unsigned at the server: what lies before 1970 is not told apart there.
    every = [row for row in known + unknown if row.timestamp >= 0]
    bars = bars_of([row for row in known if row.timestamp >= 0], leaf, dialect, width)
    if not bars:
        return

    for leaves in (cut_by_bars(leaf, bars, target, dialect), cut_in_two(leaf, bars, dialect)):
        assert_partition(leaf, leaves, every, dialect)
        for piece in leaves:
            assert not piece.is_one_part or piece.part is not None
    assert len(cut_in_two(leaf, bars, dialect)) > 1
    for piece in cut_by_bars(leaf, bars, target, dialect):
        if piece.is_one_part:
            assert_partition(piece, cut_evenly(piece, 5, dialect), every, dialect)


def test_one_heavy_distinct_id_is_cut_by_uuid_and_its_neighbours_keep_theirs() -> None:
    bars = [Bar(10, 20, 30), Bar(500, 500, 100_000), Bar(700, 900, 40)]
    leaves = cut_by_bars(Leaf(Window(MIN, MAX, MIN, MAX), is_one_event=True), bars, 40_000, MODERN)
    heavy = [leaf for leaf in leaves if leaf.is_one_part]
    assert {leaf.part for leaf in heavy} == {(500, 501)}
    assert len(heavy) == 3
    assert [leaf.part for leaf in leaves if not leaf.is_one_part] == [(0, 500), (501, HASH_SPACE)]


def test_a_burst_within_seconds_of_an_open_window_is_narrowed_on_a_server_without_hashes() -> None:
    """Its window has no start to cut evenly from: the bar itself is the place to cut."""
    second = TODAY // SECOND
    leaf = Leaf(Window(MIN, MAX, MIN, MAX), is_one_event=True)
    leaves = cut_by_bars(leaf, [Bar(second, second + 100, 15_000)], 8_000, LEGACY)
    assert [leaf.part for leaf in leaves] == [
        (0, second),
        (second, second + 50),
        (second + 50, second + 101),
        (second + 101, HASH_SPACE),
    ]


# The same conditions, read by ClickHouse.


@pytest.fixture(scope="module")
def odd() -> Iterator[Sandbox]:
    """A small project with events of odd names at odd times."""
    with started(events=1_500, persons=40, seed=3, days=6) as sandbox:
        add_odd_events(sandbox)
        yield sandbox


def add_odd_events(sandbox: Sandbox, names: Sequence[str] = ODD_NAMES) -> None:
    today = datetime.fromisoformat(sandbox.now().replace("Z", "+00:00")).strftime("%Y-%m-%d")
    for number, name in enumerate(names):
        sandbox.add_events(12, timestamp=f"{today}T00:00:00.00000{number % 10}Z", event=name, seed=number)
    sandbox.add_events(40, timestamp="2071-01-01T00:00:00Z", seed=77)
    sandbox.add_events(40, timestamp="1970-01-02T00:00:00Z", seed=78)


@DIALECTS
def test_clickhouse_reads_a_plan_as_the_partition_that_it_is(odd: Sandbox, dialect: Dialect) -> None:
    with PostHogClient(odd.api_key, odd.host, odd.project_id) as client:
        created_to = to_micros(datetime.now(timezone.utc)) + DAY
        window = Window(MIN, MAX, MIN, created_to)

        def ask(sql: str) -> list[list[object]]:
            return client.query(sql, modifiers=dialect.modifiers).rows

        def uuids(leaf: Leaf) -> list[str]:
            return [str(row[0]) for row in ask(leaf.rows_query(dialect, 50_000, EVENTS.columns[:1]))]

        def day(text: object) -> int:
            return to_micros(datetime.fromisoformat(str(text)).replace(tzinfo=timezone.utc))

        every = Counter(str(row[0]) for row in odd.sql("SELECT toString(uuid) FROM events"))
        cells = [Cell(day(d), str(e), int(str(n))) for d, e, n in ask(histogram_query(Leaf(window), dialect, 50_000))]
        assert {cell.event for cell in cells} >= set(ODD_NAMES)

        # As if a third of the names had appeared since.
        for known in (cells, cells[::3]):
            leaves = [leaf for _, parts in plan(window, known, 60, dialect) for leaf in parts]
            found: Counter[str] = Counter()
            for leaf in leaves:
                found.update(uuids(leaf))
            assert found == every

        heavy = Leaf(window, event_from="$pageview", event_to="$pageview\0", is_one_event=True)
        bars = [Bar(*map(int, map(str, row))) for row in ask(heavy.part_query(dialect, 50_000))]
        for leaves in (cut_by_bars(heavy, bars, 40, dialect), cut_in_two(heavy, bars, dialect)):
            found = Counter(uuid for leaf in leaves for uuid in uuids(leaf))
            assert found == Counter(uuids(heavy))
        (largest, *_) = sorted(bars, key=lambda bar: -bar.rows)
        one = Leaf(window, is_one_event=True, part=(largest.low, largest.low + 1), is_one_part=True)
        assert Counter(u for leaf in cut_evenly(one, 4, dialect) for u in uuids(leaf)) == Counter(uuids(one))
