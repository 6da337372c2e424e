"""Persons and distinct_ids: first all, then what changed and little else, and nothing personal of the deleted."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.errors import Narrow
from posthog_warehouse.sources.posthog.readers.version_manifest import FEWEST_BUCKETS
from posthog_warehouse.sources.posthog.readers.versioned import KeyedPage, KeyedReader
from posthog_warehouse.sources.posthog.settings import Settings
from posthog_warehouse.sources.posthog.sql.capabilities import MODERN_MODIFIERS, probe
from posthog_warehouse.sources.posthog.sql.dialect import Dialect
from posthog_warehouse.sources.posthog.tables import PERSON_DISTINCT_IDS, PERSONS, Table
from tests.conftest import StartSandbox
from tests.sandboxes import started
from tests.sources.posthog.reading import connected

BELIEVES_50_000 = Dialect(modifiers=MODERN_MODIFIERS)
TABLES = pytest.mark.parametrize("table", [PERSONS, PERSON_DISTINCT_IDS], ids=["persons", "distinct_ids"])
PROFILES = pytest.mark.parametrize("profile", ["cloud", "selfhosted-2023"])


@dataclass
class Copy:
    """A warehouse of one table, and the state beside it."""

    table: Table
    state: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    fetched: int = 0

    def apply(self, page: KeyedPage) -> None:
        for row in page.table.to_pylist():
            self.fetched += 1
            key = row[self.table.key]
            if self.table.hard_delete and row["is_deleted"]:
                self.rows.pop(key, None)
            else:
                self.rows[key] = row
        for name, value in page.state.items():
            if value is None:
                self.state.pop(name, None)
            else:
                self.state[name] = value

    def known(self, table: Table) -> Iterable[pa.Table]:
        assert table is self.table
        rows = [{name: row[name] for name in (table.key, "version", "is_deleted")} for row in self.rows.values()]
        yield from [pa.Table.from_pylist(rows)] if rows else []

    @property
    def live(self) -> dict[str, dict[str, Any]]:
        return {key: row for key, row in self.rows.items() if not row["is_deleted"]}


def pages(
    sandbox: Sandbox, copy: Copy, *, dialect: Dialect | None = None, leaf_rows: int = 40_000, knows: bool = False
) -> Generator[KeyedPage, None, None]:
    with connected(sandbox) as client:
        reader = KeyedReader(client, dialect or probe(client)[0], Settings(leaf_rows=leaf_rows), copy.table)
        yield from reader.pages(dict(copy.state), copy.known if knows else None)


def update(sandbox: Sandbox, copy: Copy, **options: Any) -> int:
    """A whole run; how many rows it fetched."""
    copy.fetched = 0
    for page in pages(sandbox, copy, **options):
        copy.apply(page)
    return copy.fetched


def truth(sandbox: Sandbox, table: Table) -> dict[str, dict[str, Any]]:
    """What the sandbox's ClickHouse holds, deleted ones left out."""
    if table is PERSONS:
        columns = ["person_id", "created_at", "is_identified", "properties", "version"]
        rows = sandbox.sql(
            "SELECT toString(id), toString(argMax(created_at, version)), argMax(is_identified, version), "
            "argMax(properties, version), max(version) FROM person GROUP BY id HAVING argMax(is_deleted, version) = 0"
        )
    else:
        columns = ["distinct_id", "person_id", "version"]
        rows = sandbox.sql(
            "SELECT distinct_id, toString(argMax(person_id, version)), max(version) FROM person_distinct_id2 "
            "GROUP BY distinct_id HAVING argMax(is_deleted, version) = 0"
        )
    return {row[0]: dict(zip(columns, row, strict=True)) for row in rows}


def assert_equal(copy: Copy, sandbox: Sandbox) -> None:
    theirs = truth(sandbox, copy.table)
    assert copy.live.keys() == theirs.keys()
    for key, row in theirs.items():
        ours = copy.live[key]
        for column in row.keys() - {"created_at"}:
            assert ours[column] == row[column], column
        if "created_at" in row:
            assert ours["created_at"].strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] == str(row["created_at"])[:23].replace(
                "T", " "
            )


@pytest.fixture(scope="module")
def small() -> Iterator[Sandbox]:
    """Persons with odd distinct_ids, whose behaviour tests may switch."""
    with started(events=400, persons=700, seed=5, days=5) as sandbox:
        for number, distinct_id in enumerate(ODD_IDS):
            sandbox.add_events(1, timestamp=sandbox.now(), distinct_id=distinct_id, seed=number)
        yield sandbox


ODD_IDS = [
    "it's",
    'a "quoted" id',
    "back\\slash",
    "\\'",
    "日本語 🦔",
    "x" * 2_000,
    " ",
    "%",
    "{values}",
    "line\nbreak\ttab",
    "é",
    "ﬀ",
]


@pytest.fixture
def posthog(small: Sandbox) -> Iterator[Sandbox]:
    before = small.behaviour()
    small.reset_counters()
    yield small
    small.clear_faults()
    small.set_behaviour(**before)


@TABLES
@pytest.mark.parametrize(
    ("cap", "leaf_rows", "dialect"),
    [
        (50_000, 40_000, None),
        (200, 40_000, None),
        (50_000, 150, None),
        # Caps that are no round number, and not what the dialect says.
        (333, 40_000, BELIEVES_50_000),
        (101, 60, BELIEVES_50_000),
        # Without hashes: one page after the other.
        (137, 40_000, Dialect(modifiers=MODERN_MODIFIERS, has_hashes=False, max_rows=10_000)),
    ],
    ids=["normal", "low cap", "small leaves", "cap unknown", "cap unknown, small leaves", "no hashes"],
)
def test_a_first_read_has_every_key_once(
    posthog: Sandbox, table: Table, cap: int, leaf_rows: int, dialect: Dialect | None
) -> None:
    posthog.set_behaviour(max_rows=cap)
    copy = Copy(table)
    fetched = update(posthog, copy, dialect=dialect, leaf_rows=leaf_rows)
    assert_equal(copy, posthog)
    assert fetched == len(copy.rows)
    assert set(copy.state) == {"done"}
    if table is PERSON_DISTINCT_IDS:
        assert set(ODD_IDS) <= set(copy.rows)


@TABLES
@pytest.mark.parametrize("dialect", [None, Dialect(modifiers=MODERN_MODIFIERS, has_hashes=False, max_rows=200)])
def test_a_first_read_goes_on_behind_the_last_package(posthog: Sandbox, table: Table, dialect: Dialect | None) -> None:
    posthog.set_behaviour(max_rows=200)
    copy, runs = Copy(table), 0
    while "done" not in copy.state:
        runs += 1
        assert runs < 20
        reading = pages(posthog, copy, dialect=dialect, leaf_rows=150)
        # A package of four pages, and a page more whose note is lost with the killed run.
        for _, page in zip(range(5), reading, strict=False):
            copy.apply(page)
        reading.close()
    assert runs > 1
    assert_equal(copy, posthog)


@PROFILES
@pytest.mark.parametrize(
    ("table", "knows"),
    [(PERSONS, True), (PERSONS, False), (PERSON_DISTINCT_IDS, False)],
    ids=["persons, versions known", "persons", "distinct_ids"],
)
def test_changes_arrive_and_little_else(start_sandbox: StartSandbox, table: Table, profile: str, knows: bool) -> None:  # noqa: FBT001 - parametrized
    box = start_sandbox(
        events=200, persons=700, seed=4, days=5, profile=profile, behaviour={"query_per_hour": None, "max_rows": 300}
    )
    has_hashes = profile == "cloud"
    copy = Copy(table)
    update(box, copy)
    total = len(copy.rows)

    idle = update(box, copy, knows=knows)
    assert idle == 0 or not has_hashes

    touched = {*box.update_persons(4), *box.merge_persons(6), *box.delete_persons(5)}
    changed = update(box, copy, knows=knows)

    assert_equal(copy, box)
    if knows and table is PERSONS:
        assert changed == len(touched), "more than what changed"
    elif has_hashes:
        # Whole buckets: each holds total / 256 keys on average.
        assert changed <= 12 * len(touched) * (1 + total / FEWEST_BUCKETS)
        assert changed < total * 0.8
    for row in copy.rows.values():
        if row["is_deleted"]:
            assert {name for name, value in row.items() if value is not None} <= {"person_id", "version", "is_deleted"}
    # A tombstone for each that was here; without `known` also for those that were gone before.
    tombstones = len(copy.rows) - len(copy.live)
    assert tombstones == (0 if table is PERSON_DISTINCT_IDS else 11) or (table is PERSONS and not knows)

    # More than half of them: as many requests as the rows need, no key left out.
    box.update_persons(400)
    many = update(box, copy, knows=knows, leaf_rows=200)
    assert_equal(copy, box)
    assert many >= 400 or table is PERSON_DISTINCT_IDS


def test_what_changes_while_a_first_read_goes_on_comes_with_the_next_run(start_sandbox: StartSandbox) -> None:
    box = start_sandbox(events=100, persons=900, seed=4, days=5, behaviour={"max_rows": 200})
    copies = [Copy(PERSONS), Copy(PERSON_DISTINCT_IDS)]
    for copy in copies:
        for number, page in enumerate(pages(box, copy)):
            if number == 2:
                box.update_persons(20)
                box.merge_persons(5, seed=number)
                box.delete_persons(3)
            copy.apply(page)
    for copy in copies:
        update(box, copy)
        assert_equal(copy, box)


def test_other_buckets_than_last_time_lose_no_change(posthog: Sandbox) -> None:
    copy = Copy(PERSONS)
    update(posthog, copy)
    copy.state["done"] = {"buckets": FEWEST_BUCKETS * 16, "sums": copy.state["done"]["sums"] * 16}
    posthog.update_persons(5)
    assert update(posthog, copy, knows=True) == 5
    assert_equal(copy, posthog)
    assert copy.state["done"]["buckets"] == FEWEST_BUCKETS


def test_a_manifest_longer_than_an_answer_is_whole(posthog: Sandbox) -> None:
    with connected(posthog) as client:
        whole = KeyedReader(client, BELIEVES_50_000, Settings(), PERSONS)._read_manifest(256)
        posthog.set_behaviour(max_rows=101)
        assert KeyedReader(client, BELIEVES_50_000, Settings(), PERSONS)._read_manifest(256) == whole
    assert whole.live == posthog.counts()["persons"]
    assert whole.total >= whole.live


@TABLES
def test_a_range_that_is_too_much_is_halved(posthog: Sandbox, table: Table) -> None:
    copy = Copy(table)
    # The manifest is the first query.
    posthog.add_fault("status", path="/query/$", at=[2, 6], status=513)
    update(posthog, copy, dialect=BELIEVES_50_000)
    assert_equal(copy, posthog)
    posthog.update_persons(30)
    posthog.clear_faults()
    posthog.add_fault("status", path="/query/$", at=[2], status=504)
    update(posthog, copy, dialect=BELIEVES_50_000)
    assert_equal(copy, posthog)


def test_a_table_that_is_always_too_much_ends_the_read(posthog: Sandbox) -> None:
    posthog.set_behaviour(max_bytes_to_read=1)
    with pytest.raises(Narrow):
        update(posthog, Copy(PERSONS), dialect=BELIEVES_50_000)


@TABLES
def test_keys_held_now_are_counted(posthog: Sandbox, table: Table) -> None:
    with connected(posthog) as client:
        reader = KeyedReader(client, BELIEVES_50_000, Settings(), table)
        assert reader.live_count() == posthog.counts()[table.name]
        next(reader.pages({}))
        assert reader.held == posthog.counts()[table.name]
