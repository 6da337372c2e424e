"""Persons and distinct_ids by the list of persons: for keys that may not query, and servers without HogQL.

The list says neither when a person changed nor a version, so each run reads it whole, `version` is NULL, and the
`hogql` engine, should it go on with the table, compares everything anew. Persons that the table holds and PostHog has
no more are marked, and their distinct_ids removed, where the run knows what the table holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import duckdb
import pyarrow as pa

from sources.posthog.arrow import ColumnMismatch, declared_table, empty_table
from sources.posthog.errors import ListUnreadable
from sources.posthog.http.decoding import fields_of
from sources.posthog.json_text import json_text
from sources.posthog.listing.person_list import PATH, Person, PersonList
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run
from sources.posthog.tables import PERSON_DISTINCT_IDS, PERSONS, Table

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
    reading.held = people.count if people.count is not None or not people.is_proven else len(people.seen)
    if people.count is not None:
        reading.recount = lambda: _counted(people)
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
    reading.held = len(ids) if people.is_proven else None
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
