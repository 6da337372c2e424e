"""Persons and distinct_ids by the list of persons: for keys that may not query, and servers without HogQL.

The list moves while it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import duckdb
import pyarrow as pa

from ...errors import ListUnreadable, Narrow, NotFound
from ...http.client import PostHogClient
from ...http.json_values import json_text, shown
from ...http.response_body import fields_of
from ...pages.arrow import ColumnMismatch, declared_table, empty_table
from ...tables import PERSON_DISTINCT_IDS, PERSONS, Table
from ..base import Noted, State, TableReading
from ..run import Run

PATH = "persons"
MOST_DISTINCT_IDS = 1_000
"""So many a person shows in the list (autumn 2026); the whole person has all."""
READINGS = 6
"""At most."""
_SIZES = (2_000, 1_400)
"""Rows of a page, in turn: bounds of pages fall on other rows in each reading."""
_SMALLEST = 50
_PAGES_WITHOUT_NEWS = 50


@dataclass(frozen=True)
class Person:
    """A person as the list shows it."""

    uuid: str
    distinct_ids: Sequence[str]
    row: dict[str, Any]


@dataclass(frozen=True)
class _Answer:
    rows: list[Any]
    count: int | None
    has_next: bool
    next_offset: int | None


class PersonList:
    """One table's reading of the list. `seen` holds the persons that were shown so far, as the bytes of their UUIDs."""

    def __init__(self, client: PostHogClient) -> None:
        self._client = client
        self._limit = max(_SIZES)
        self.seen: set[bytes] = set()
        self.count: int | None = None
        """How many PostHog says that there are, as of the latest reading; None: it does not say."""
        self.is_settled = False
        """Whether the latest reading brought no person that was not known."""
        self.is_proven = False
        """Whether it brought all that were known, too, or as many were seen as PostHog counts."""

    def persons(self) -> Iterator[list[Person]]:
        """All persons, each once, a page at a time."""
        for number in range(READINGS):
            known, shown = len(self.seen), 0
            for rows in self._reading(_SIZES[number % len(_SIZES)]):
                new: list[Person] = []
                for person in map(_person, rows):
                    key = UUID(person.uuid).bytes
                    shown += 1
                    if key not in self.seen:
                        self.seen.add(key)
                        new.append(self._with_all_ids(person))
                if new:
                    yield new
            self.is_settled = number > 0 and len(self.seen) == known
            if self.is_settled:
                self.is_proven = len(self.seen) == (shown if self.count is None else self.count)
                return

    def find(self, uuid: str) -> Person | None:
        """The person, asked for alone; None: PostHog does not have it."""
        try:
            return _person(self._client.get(f"{PATH}/{uuid}"))
        except NotFound:
            return None

    def ask_count(self) -> int | None:
        """How many persons PostHog says that there are now; None: it does not say."""
        return self._page(0, 1, with_count=True).count

    def _reading(self, size: int) -> Iterator[list[Any]]:
        """The pages of one reading from the first to the last, without the rows that the page before has too."""
        offset = without_news = 0
        before: set[str] = set()
        while True:
            limit = min(size, self._limit)
            try:
                page = self._page(offset, limit, with_count=offset == 0)
            except Narrow:
                if limit <= _SMALLEST:
                    raise
                self._limit = max(_SMALLEST, limit // 2)
                continue
            if offset == 0:
                self.count = page.count
            keys = [str(row.get("uuid") or row.get("id")) if isinstance(row, dict) else "" for row in page.rows]
            new = [row for row, key in zip(page.rows, keys, strict=True) if key not in before]
            yield new
            if not new and not page.has_next:
                return
            without_news = 0 if new else without_news + 1
            if without_news >= _PAGES_WITHOUT_NEWS:
                if self.count is not None and len(self.seen) >= self.count:
                    return
                raise ListUnreadable(
                    f"PostHog's list of persons has no end: {without_news} pages brought nothing new", path=PATH
                )
            before = set(keys)
            # Where `next` is as it should be, a page is over after `limit` places, however few of them it shows.
            # Where it is not, or says that there is none, only what was shown is surely behind us.
            offset += limit if page.next_offset == offset + limit else len(page.rows) or limit

    def _page(self, offset: int, limit: int, *, with_count: bool) -> _Answer:
        params: dict[str, Any] = {"limit": limit, "offset": offset}
        if with_count:
            params["include_total"] = "true"
        answer = self._client.get(PATH, params)
        rows = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise ListUnreadable("PostHog's list of persons is no list", path=PATH)
        count, following = answer.get("count"), answer.get("next")
        return _Answer(
            rows,
            count if isinstance(count, int) and not isinstance(count, bool) else None,
            bool(following),
            _offset(following) if isinstance(following, str) else None,
        )

    def _with_all_ids(self, person: Person) -> Person:
        if len(person.distinct_ids) < MOST_DISTINCT_IDS:
            return person
        whole = self.find(person.uuid)
        return Person(person.uuid, whole.distinct_ids, person.row) if whole is not None else person


def _offset(address: str) -> int | None:
    given = parse_qs(urlsplit(address).query).get("offset", [""])[0]
    return int(given) if given.isdigit() else None


def _person(row: Any) -> Person:
    """Raises ListUnreadable."""
    try:
        # The list has the UUID in both fields, the whole person a number in `id`; older servers have one of them.
        uuid, distinct_ids = str(UUID(str(row.get("uuid") or row["id"]))), row.get("distinct_ids") or []
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ListUnreadable(
            f"A person in PostHog's list is not what is known of persons: {type(error).__name__}: {error}", path=PATH
        ) from None
    if not isinstance(distinct_ids, list) or not all(isinstance(each, str) for each in distinct_ids):
        raise ListUnreadable(f"A person in PostHog's list has {shown(distinct_ids)} as distinct_ids", path=PATH)
    return Person(uuid, distinct_ids, row)


_FEW = 200
"""So many persons that the list did not show are asked for one by one; for more, readings and counts have to agree."""
_ROWS = 5_000
"""Of a page of rows that say that something is gone."""
_DOUBTFUL = "PostHog's list lacks {:,} that are here, and is not proven whole: they are kept until it is"
_NOT_MARKED = "what PostHog no longer has is not marked: only the program knows what the table holds"


def read_listed_persons(run: Run, reading: TableReading, _: State) -> Iterator[Noted]:
    """All persons, and of those that are gone that they are."""
    people = PersonList(run.client)
    for page in people.persons():
        _expect(run, reading, people)
        yield _persons(page), _forget_versions
    if run.known is None:
        reading.notes.append(_NOT_MARKED)
    else:
        seen = pa.array(sorted(people.seen), pa.binary(16))
        gone = _missing(run.known(PERSONS), seen, "unhex(replace(key, '-', ''))")
        found: list[Person] = []
        if len(gone) <= _FEW:
            found = [person for uuid in gone if (person := people.find(uuid)) is not None]
            there = {person.uuid for person in found}
            gone = [uuid for uuid in gone if uuid not in there]
        elif not (people.is_settled and people.is_proven):
            reading.notes.append(_DOUBTFUL.format(len(gone)))
            gone = []
        yield _persons(found), _forget_versions
        for chunk in _chunks(gone):
            yield _table(PERSONS, [[uuid, None, None, None, None, True] for uuid in chunk]), _forget_versions
    reading.evidence.held = people.count if people.count is not None or not people.is_proven else len(people.seen)
    if people.count is not None:
        reading.evidence.recount = lambda: _counted(people)
    _say_unsettled(reading, people)
    yield empty_table(PERSONS), _forget_versions


def read_listed_distinct_ids(run: Run, reading: TableReading, _: State) -> Iterator[Noted]:
    """The distinct_ids of all persons, and of those that are gone that they are."""
    people = PersonList(run.client)
    seen: list[pa.Array] = []
    for page in people.persons():
        rows = [[distinct_id, person.uuid, None, False] for person in page for distinct_id in person.distinct_ids]
        table = _table(PERSON_DISTINCT_IDS, rows)
        seen.append(table.column("distinct_id").combine_chunks())
        run.progress.fetched(PERSON_DISTINCT_IDS.name, table.num_rows)
        yield table, _forget_versions
    ids = (pa.concat_arrays(seen) if seen else pa.array([], pa.string())).unique()
    if run.known is None:
        reading.notes.append(_NOT_MARKED)
    else:
        gone = _missing(run.known(PERSON_DISTINCT_IDS), ids, "key")
        if not people.is_settled or (len(gone) > _FEW and not people.is_proven):
            reading.notes.append(_DOUBTFUL.format(len(gone)))
            gone = []
        for chunk in _chunks(gone):
            yield _table(PERSON_DISTINCT_IDS, [[key, None, None, True] for key in chunk]), _forget_versions
    # All ids of all persons: as many as there are, if the persons are as many as PostHog says.
    reading.evidence.held = len(ids) if people.is_proven else None
    _say_unsettled(reading, people)
    yield empty_table(PERSON_DISTINCT_IDS), _forget_versions


def _expect(run: Run, reading: TableReading, people: PersonList) -> None:
    if not reading.rows and people.count:
        run.progress.expect(PERSONS.name, people.count)


def _persons(page: list[Person]) -> pa.Table:
    return _table(
        PERSONS,
        [
            [
                person.uuid,
                person.row.get("created_at"),
                person.row.get("is_identified"),
                json_text(fields_of(person.row.get("properties"), PATH) or {}),
                None,
                False,
            ]
            for person in page
        ],
    )


def _table(table: Table, rows: list[Any]) -> pa.Table:
    try:
        return declared_table([""] * len(table.columns), rows, table.columns)
    except ColumnMismatch as error:
        raise ListUnreadable(
            f"A person in PostHog's list is not what is known of persons: {error}", path=PATH
        ) from None


def _missing(known: Iterable[pa.Table], seen: pa.Array, key: str) -> list[str]:
    """Keys of rows that the warehouse holds, not as deleted, and that are not among `seen`."""
    with duckdb.connect(":memory:", config={"threads": 2}) as con:
        con.register("seen_keys", pa.table({"seen_key": seen}))
        missing: list[str] = []
        for chunk in known:
            con.register("chunk", chunk.rename_columns(["key_", "version", "is_deleted"]))
            rows = con.execute(
                "SELECT key FROM (SELECT key_::VARCHAR AS key FROM chunk WHERE NOT is_deleted) "
                f"WHERE {key} NOT IN (SELECT seen_key FROM seen_keys)"
            ).fetchall()
            missing += [row[0] for row in rows]
    return missing


def _chunks(keys: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _ROWS):
        yield keys[start : start + _ROWS]


def _counted(people: PersonList) -> int:
    count = people.ask_count()
    return len(people.seen) if count is None else count


def _say_unsettled(reading: TableReading, people: PersonList) -> None:
    if people.seen and not people.is_settled:
        reading.notes.append("persons came in during every reading of the list: the next run has what is missing")


def _forget_versions(state: State) -> None:
    """The versions that the hogql engine noted are no longer in the table: it is to compare everything anew."""
    for name in ("started", "after"):
        state.pop(name, None)
    if state.get("done"):
        state["done"] = {"buckets": 0}
