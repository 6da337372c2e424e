"""Reads a user's query as a table.

State of a table: `definition`, what it was read by; `columns` with their types; `asked_at`, the server's clock at the
start of the last finished run; `held`, rows that are loaded as far as PostHog has them; `cursor`, the greatest value
that is loaded. Of an appended table also `seen`: how many rows of that value are loaded, by their content, so that
those which come later with the same value are told from those which are there. Of a merged table whose reading is under
way: `upto` and `after`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import orjson

from sources.posthog.errors import OwnQueryRefused, PostHogError
from sources.posthog.hogql.clock import TOLERANCE
from sources.posthog.hogql.engine import note
from sources.posthog.queries.describing import Described, beside, describe
from sources.posthog.queries.incremental import Work, read_appended, read_merged
from sources.posthog.queries.ordering import growing, order_of
from sources.posthog.queries.paging import Pager, RowPage
from sources.posthog.queries.spool import spooled
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run
from sources.posthog.tables import Table
from sources.posthog.tables.queries import Query

_EARLY = 60_000_000
"""Microseconds: a schedule that starts a run a little early, hour by hour or day by day, means that run."""


def described(run: Run, query: Query) -> Described:
    """What `query` answers, asked once in a run.

    Raises:
        OwnQueryRefused: PostHog does not accept it, or it does not have a column that its declaration names.
        PostHogError: PostHog could not be asked.
    """

    def make() -> Described:
        about = describe(run, query)
        if about.cursor is not None:
            growing(run.dialect, about.cursor)
        return about

    return run.shared(f"own queries: {query.name}", make)


def refuse_bad_queries(run: Run, tables: Iterable[Table]) -> None:
    """Looks at all queries among `tables` before any row of them is asked for.

    Raises:
        OwnQueryRefused: PostHog does not accept one of them, or it does not have a column that its declaration names.
    """
    for table in tables:
        if isinstance(table.reads, Query):
            try:
                described(run, table.reads)
            except OwnQueryRefused:
                raise
            except PostHogError:
                # The key may not, or PostHog fails: that is no fault of the query, and told when it is read.
                return


def read_query(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Rows of the query that `reading.table` is declared by.

    Raises:
        OwnQueryRefused: PostHog does not accept it, or it cannot be read as it is declared.
        PostHogError: PostHog failed.
    """
    query = reading.table.reads
    assert isinstance(query, Query)  # noqa: S101 - the engines are registered by it
    definition = _definition(query)
    if not _is_due(query, state, definition, run.now, min(run.now, reading.known_until) + TOLERANCE):
        reading.is_unchanged = True
        reading.held = state.get("held")
        reading.notes.append("not asked again: refresh is set, and that time has not passed yet")
        return
    before: dict[str, str] = state.get("columns") or {}
    about, notes = beside(described(run, query), before)
    reading.notes.extend(notes)
    reading.columns = tuple(column.column() for column in about.columns)
    reading.key = tuple(column.name for column in about.key) if query.write == "merge" else ()
    work = Work(run, reading, about, Pager(run, about), state, {"definition": definition, "asked_at": run.now})
    # Makes the table where there is no row, and its columns the same whatever the first page holds.
    columns = {**before, **{column.name: column.form.kind for column in about.columns}}
    yield work.pager.empty(), partial(note, {"columns": columns})
    if query.write == "merge":
        yield from read_merged(work)
    elif query.write == "append" and query.cursor is not None:
        yield from read_appended(work)
    else:
        yield from _read_all(work)


def _read_all(work: Work) -> Iterator[Noted]:
    """Every row there is: instead of those before, or after them."""
    appends = work.about.query.write == "append"
    held = int(work.state.get("held") or 0) if appends else 0
    work.reading.recount = None if appends else work.pager.count
    for page in _all(work):
        held += page.table.num_rows
        work.progress(page)
        yield page.table if appends else spooled(page.table), partial(note, {"held": held})
    work.reading.held = held
    yield work.pager.empty(), partial(note, {**work.done, "held": held})


def _all(work: Work) -> Iterator[RowPage]:
    if not work.about.key:
        return work.pager.whole()
    return work.pager.keyed(order_of(work.run.dialect, work.about.key))


def _definition(query: Query) -> str:
    """What makes it another query: its text, the values in it, and what tells its rows apart."""
    parts = [query.sql, orjson.dumps(query.variables, option=orjson.OPT_SORT_KEYS, default=str).decode()]
    parts += [*query.key, query.cursor or "", query.write]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _is_due(query: Query, state: Mapping[str, Any], definition: str, now: int, known_until: int) -> bool:
    """Times are microseconds UTC; a reading that is noted as later than `known_until` went by a wrong clock."""
    asked_at = state.get("asked_at")
    if not query.refresh or asked_at is None or state.get("definition") != definition or "after" in state:
        return True
    return bool(now - asked_at >= query.refresh - min(_EARLY, query.refresh // 10)) or bool(asked_at > known_until)
