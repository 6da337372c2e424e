"""Persons and distinct_ids by the list of persons: all of them, though it moves while it is read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.errors import ListUnreadable
from posthog_warehouse.sources.posthog.http.answers import Project
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.readers.base import TableReading
from posthog_warehouse.sources.posthog.readers.rest import persons as list_reader
from posthog_warehouse.sources.posthog.readers.rest.persons import (
    PersonList,
    read_listed_distinct_ids,
    read_listed_persons,
)
from posthog_warehouse.sources.posthog.readers.run import Run
from posthog_warehouse.sources.posthog.tables import PERSON_DISTINCT_IDS, PERSONS, Table
from tests.own_posthog import OwnPostHog
from tests.sources.posthog.httpserver import Answer, Request, serve
from tests.sources.posthog.readers.test_versioned import truth
from tests.sources.posthog.reading import connected

KEY = "phx_verysecretverysecretverysecret"
ENGINES = {PERSONS.name: read_listed_persons, PERSON_DISTINCT_IDS.name: read_listed_distinct_ids}


@dataclass
class Copy:
    """A warehouse of one table."""

    table: Table
    knows: bool = True
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)

    def update(self, client: PostHogClient) -> TableReading:
        """A whole run."""
        reading = TableReading(self.table)
        known = self._known if self.knows else None
        run = Run(client, Project(1, None, "", "UTC", None, {}), known=known)
        for page, note in ENGINES[self.table.name](run, reading, self.state):
            assert isinstance(page, pa.Table)
            for row in page.to_pylist():
                if self.table.hard_delete and row["is_deleted"]:
                    self.rows.pop(row[self.table.key], None)
                else:
                    self.rows[row[self.table.key]] = row
            note(self.state)
        return reading

    def _known(self, table: Table) -> Iterable[pa.Table]:
        rows = [{name: row[name] for name in (table.key, "version", "is_deleted")} for row in self.rows.values()]
        schema = pa.schema([(table.key, pa.string()), ("version", pa.int64()), ("is_deleted", pa.bool_())])
        yield pa.Table.from_pylist(rows, schema=schema)

    @property
    def live(self) -> dict[str, dict[str, Any]]:
        return {key: row for key, row in self.rows.items() if not row["is_deleted"]}


@dataclass
class ServedPersons:
    """The list over real HTTP, newest first; `bodiless` persons take a place and are not shown."""

    persons: list[int]
    bodiless: set[int] = field(default_factory=set)
    cap: int = 10_000
    next_link: str = "honest"
    counts: bool = True
    before_page: Callable[[int], None] | None = None
    asked: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> Answer:
        with self._lock:
            if self.before_page is not None:
                self.before_page(self.asked)
            self.asked += 1
            limit, offset = int(request.params["limit"]), int(request.params["offset"])
            ids = self.persons[offset : offset + min(limit, self.cap)]
            own = f"http://{request.headers['Host']}{request.path}"
            following = {
                "honest": f"{own}?limit={limit}&offset={offset + limit}" if len(ids) >= limit else None,
                "null": None,
                "repeats": f"{own}?limit={limit}&offset={offset}",
                "loops": f"{own}?limit={limit}&offset=0",
                "elsewhere": "https://evil.example.com/?offset=3",
            }[self.next_link]
            body: dict[str, Any] = {
                "next": following,
                "previous": None,
                "results": [_shown(n) for n in ids if n not in self.bodiless],
            }
            if self.counts and "include_total" in request.params:
                body["count"] = len(set(self.persons) - self.bodiless)
            return Answer(body=body)


def _shown(number: int) -> dict[str, Any]:
    uuid = str(UUID(int=number))
    return {
        "type": "person",
        "id": uuid,
        "uuid": uuid,
        "created_at": "2026-11-20T09:00:00Z",
        "properties": {"n": number},
        "is_identified": True,
        "name": "",
        "distinct_ids": [f"id-{number}"],
    }


def read(served: ServedPersons) -> tuple[list[int], PersonList]:
    with serve(served) as server, PostHogClient(KEY, server.url, 1, attempts=1) as client:
        people = PersonList(client)
        return [UUID(person.uuid).int for page in people.persons() for person in page], people


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_reader, "_SIZES", (10, 7))


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(0, 60),
    bodiless=st.sets(st.integers(1, 60), max_size=40),
    next_link=st.sampled_from(["honest", "null", "repeats", "loops", "elsewhere"]),
    cap=st.sampled_from([10_000, 10_000, 4]),
    counts=st.booleans(),
)
def test_every_person_comes_once_whatever_next_says_and_however_short_pages_are(
    count: int,
    bodiless: set[int],
    next_link: str,
    cap: int,
    counts: bool,  # noqa: FBT001 - drawn
) -> None:
    served = ServedPersons(list(range(count, 0, -1)), bodiless, cap, next_link, counts)
    if next_link in {"repeats", "loops", "elsewhere"} and not counts:
        # A `next` that is never null has no end, and nothing else shows one.
        with pytest.raises(ListUnreadable, match="no end"):
            read(served)
        return
    wanted = set(range(1, count + 1)) - bodiless
    # Which place a person has cannot be told where the server cuts pages and leaves persons out, but for the count.
    has_places = cap >= 10_000 or not bodiless
    try:
        found, people = read(served)
    except ListUnreadable:
        # Persons were passed over, so the count is never reached: that is told, and nothing is loaded.
        if has_places or next_link in {"honest", "null"}:
            raise
        return
    if has_places:
        assert sorted(found) == sorted(wanted)
        assert people.is_settled
        assert people.is_proven
    else:
        assert len(found) == len(set(found))
        assert people.is_proven == (set(found) == wanted) or not counts


@pytest.mark.parametrize("at", range(1, 6))
def test_persons_that_move_while_they_are_read_are_all_there_in_the_end(at: int) -> None:
    served = ServedPersons(list(range(60, 0, -1)))

    def change(asked: int) -> None:
        if asked == at:
            served.persons[:0] = [103, 102, 101]
            for gone in (59, 58, 57, 56, 55, 30):
                served.persons.remove(gone)

    served.before_page = change
    found, people = read(served)
    assert len(found) == len(set(found))
    assert set(found) >= set(served.persons)
    assert people.is_settled


@pytest.fixture(scope="module")
def own() -> Iterator[OwnPostHog]:
    own = OwnPostHog(events=300, persons=150, seed=5, days=5)
    yield own
    own.close()


def assert_equal(copy: Copy, sandbox: Sandbox) -> None:
    theirs = truth(sandbox, copy.table)
    assert copy.live.keys() == theirs.keys()
    for key, row in theirs.items():
        ours = copy.live[key]
        for column in row.keys() & {"person_id", "is_identified"}:
            assert ours[column] == row[column], column
        assert ours["version"] is None


@pytest.mark.parametrize("table", [PERSONS, PERSON_DISTINCT_IDS], ids=["persons", "distinct_ids"])
def test_what_changes_upstream_changes_here(own: OwnPostHog, table: Table) -> None:
    copy = Copy(table)
    with connected(own.posthog) as client:
        reading = copy.update(client)
        assert_equal(copy, own.posthog)
        assert reading.evidence.held == len(copy.live)
        before = copy.live
        own.posthog.merge_persons(5, seed=len(table.name))
        own.posthog.delete_persons(4)
        own.posthog.update_persons(6)
        reading = copy.update(client)
        assert_equal(copy, own.posthog)
        assert reading.evidence.held == len(copy.live)
        if table is PERSONS:
            gone = [row for key, row in copy.rows.items() if row["is_deleted"]]
            assert {row["person_id"] for row in gone} == before.keys() - copy.live.keys()
            assert all(row["properties"] is None and row["created_at"] is None for row in gone)


def test_a_person_with_more_distinct_ids_than_the_list_shows_has_all_of_them(own: OwnPostHog) -> None:
    [[person_id]] = own.posthog.sql(
        "SELECT toString(id) FROM person GROUP BY id HAVING argMax(is_deleted, version) = 0 ORDER BY id LIMIT 1"
    )
    own.execute(
        "INSERT INTO person_distinct_id2 (team_id, distinct_id, person_id, is_deleted, version, _timestamp) "
        "SELECT (SELECT any(team_id) FROM person), concat('many-', toString(number)), "
        f"toUUID('{person_id}'), 0, 0, now() FROM numbers(1500)"
    )
    copy = Copy(PERSON_DISTINCT_IDS)
    with connected(own.posthog) as client:
        copy.update(client)
    assert_equal(copy, own.posthog)
    assert sum(key.startswith("many-") for key in copy.live) == 1_500


def test_who_does_not_know_the_table_says_that_nothing_is_marked(own: OwnPostHog) -> None:
    copy = Copy(PERSONS, knows=False)
    with connected(own.posthog) as client:
        copy.update(client)
        own.posthog.delete_persons(2)
        reading = copy.update(client)
    assert not any(row["is_deleted"] for row in copy.rows.values())
    assert any("not marked" in note for note in reading.notes)


def test_versions_that_hogql_noted_are_to_be_compared_anew() -> None:
    copy = Copy(PERSONS, state={"done": {"buckets": 256, "sums": "AAAA"}, "started": {"buckets": 1}, "after": "x"})
    with serve(ServedPersons([1])) as server, PostHogClient(KEY, server.url, 1, attempts=1) as client:
        copy.update(client)
    assert copy.state == {"done": {"buckets": 0}}


def test_an_empty_list_without_proof_empties_no_table() -> None:
    served = ServedPersons(list(range(500, 0, -1)))
    with serve(served) as server, PostHogClient(KEY, server.url, 1, attempts=1) as client:
        copy = Copy(PERSONS)
        copy.update(client)
        served.persons, served.cap = [501], 0
        reading = copy.update(client)
    assert len(copy.live) == 500
    assert any("kept" in note for note in reading.notes)
