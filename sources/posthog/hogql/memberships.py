"""Who is in which cohort: all members are read, unless a checksum says that none changed. PostHog keeps no time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from sources.posthog.arrow import empty_table
from sources.posthog.cells import COUNT, HASH, INTEGER, TEXT
from sources.posthog.errors import AnswerMalformed, TableMissing
from sources.posthog.hogql.engine import note
from sources.posthog.hogql.rows import Rows
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run
from sources.posthog.tables.analytics import Memberships

_CHECKSUM = "groupBitXor(cityHash64(concat(toString(cohort_id), ' ', toString(person_id))))"
_MEMBER = "concat(toString(cohort_id), ' ', toString(person_id))"


def read_memberships(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The engine: all members of all cohorts, in as many requests as their numbers need.

    State: `checksums`, by table and cohort, of what was loaded last. Raises TableMissing where neither table is.
    """
    table = reading.table
    if not isinstance(table.reads, Memberships):
        raise TypeError(f"{table.name} does not hold members")
    sources = [Rows(run, table, name) for name in table.reads.tables]
    found = [(rows, cohorts) for rows in sources if (cohorts := _cohorts(run, rows, reading)) is not None]
    if not found:
        raise TableMissing(f"PostHog has none of the tables {', '.join(table.reads.tables)}")
    checksums = [sorted([cohort, count, checksum] for cohort, count, checksum in cohorts) for _, cohorts in found]
    reading.held = sum(count for _, cohorts in found for _, count, _ in cohorts)
    reading.recount = partial(_recount, run, sources, reading)
    if run.dialect.has_hashes and state.get("checksums") == checksums:
        reading.is_unchanged = True
        return
    run.progress.expect(table.name, reading.held)
    for rows, cohorts in found:
        for chunk in _chunks(cohorts, run.settings.leaf_rows):
            conditions = [f"cohort_id IN ({', '.join(map(str, chunk))})"]
            # A static list may hold a person twice.
            for page in rows.by_key(conditions, group_by="cohort_id, person_id"):
                run.progress.fetched(table.name, page.num_rows)
                yield page, partial(note, {})
    yield empty_table(table), partial(note, {"checksums": checksums})


_Cohort = tuple[int, int, str]
"""A cohort's id, how many members it has, and a checksum of them (nothing where the server has no hashes)."""


def _cohorts(run: Run, rows: Rows, reading: TableReading) -> list[_Cohort] | None:
    """What cohorts a table has; None where the server does not have the table."""
    expressions = ["cohort_id", f"uniqExact({_MEMBER})", _CHECKSUM if run.dialect.has_hashes else "''"]
    try:
        kinds = [INTEGER, COUNT, HASH if run.dialect.has_hashes else TEXT]
        found = rows.ask(expressions, kinds, group_by="cohort_id", order_by="cohort_id")
    except TableMissing as missing:
        words = f"this PostHog has not all kinds of cohorts: {missing.message}"
        if words not in reading.notes:
            reading.notes.append(words)
        return None
    if len(found) >= rows.max_rows:
        raise AnswerMalformed(f"PostHog has {rows.max_rows:,} cohorts or more: too many to tell them apart")
    return [(cohort, count, str(checksum)) for cohort, count, checksum in found]


def _recount(run: Run, sources: Sequence[Rows], reading: TableReading) -> int:
    return sum(count for rows in sources for _, count, _ in _cohorts(run, rows, reading) or [])


def _chunks(cohorts: Sequence[_Cohort], most: int) -> Iterator[list[int]]:
    """Cohorts, as many together as fill a request."""
    chunk: list[int] = []
    room = most
    for cohort, count, _ in cohorts:
        if chunk and count > room:
            yield chunk
            chunk, room = [], most
        chunk.append(cohort)
        room -= count
    if chunk:
        yield chunk
