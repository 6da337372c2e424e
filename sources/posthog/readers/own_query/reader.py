"""Reads a user's query as a table.

State of a table: `definition`, what it was read by; `columns` with their types; `asked_at`, the server's clock at the
start of the last finished run; `held`, rows that are loaded as far as PostHog has them; `cursor`, the greatest value
that is loaded. Of an appended table also `seen`: how many rows of that value are loaded, by their content, so that
those which come later with the same value are told from those which are there. Of a merged table whose reading is under
way: `upto` and `after`.

What is new of a query since the last run is merged on its key, or appended by its cursor.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
import pyarrow as pa

from ...clock import TOLERANCE
from ...errors import OwnQueryRefused, PostHogError
from ...http.json_values import canonical
from ...pages.spool import mapped
from ...tables import Table
from ...tables.own_query import Query
from ..base import Noted, State, TableReading, note
from ..run import Run
from .ordering import Order, Values, growing, order_of
from .paging import Pager, RowPage
from .schema import Described, QueryColumn, beside, describe

MOST_SEEN = 200_000
"""Rows of one cursor value that the state can tell apart."""


@dataclass(frozen=True)
class Work:
    """The reading of one query in one run."""

    run: Run
    reading: TableReading
    about: Described
    pager: Pager
    state: State
    """As the last run left it."""
    done: State
    """What is noted when the reading has come to its end."""

    @property
    def is_same(self) -> bool:
        """Whether the query is the one that the state is of."""
        return self.state.get("definition") in {None, self.done["definition"]}

    def progress(self, page: RowPage) -> None:
        """Tells of a page."""
        self.run.progress.fetched(self.about.query.name, page.table.num_rows)


@dataclass(frozen=True)
class CursorRange:
    """Rows from the greatest cursor that is loaded up to the greatest there is now.

    The upper bound keeps rows out that arrive while pages are read: the next run has them.
    """

    order: Order
    conditions: list[str]
    upto: Values | None
    """None: there is no row with a cursor."""
    everything: list[str]
    """The condition for all rows that are loaded when `upto` is reached."""


def read_merged(work: Work) -> Iterator[Noted]:
    """One row of each key, the latest by the cursor; rows without a cursor are read by every run."""
    about, pager, state = work.about, work.pager, work.state
    order = order_of(work.run.dialect, about.key)
    _refuse_missing(about, about.key, pager, "merged on that key, and NULL is equal to nothing", "name another key")
    start, after, window = None, None, None
    if work.is_same:
        # Another query may have answered other rows before: it is read from the beginning.
        start, after = _values(state.get("cursor")), _values(state.get("after"))
    if about.cursor is not None:
        under_way = _values(state.get("upto")) if after is not None else None
        window = _window(work, about.cursor, start, under_way)
    upto = window.upto if window else None
    rows = 0
    for page in pager.latest(order, window.order if window else None, window.conditions if window else [], after):
        rows += page.table.num_rows
        work.progress(page)
        place = {"definition": work.done["definition"], "upto": _listed(upto), "after": _listed(page.last)}
        yield page.table, partial(note, place)
    recount = partial(pager.count, window.everything if window else [], distinct=order)
    work.reading.evidence.recount = recount
    work.reading.evidence.held = rows if start is None and after is None else recount()
    reached = {"cursor": _listed(upto or start), "held": work.reading.evidence.held, "upto": None, "after": None}
    yield pager.empty(), partial(note, {**work.done, **reached})


def read_appended(work: Work) -> Iterator[Noted]:
    """Rows at and behind the greatest cursor that is loaded, without those at it that are loaded already.

    The state goes on with each page, in order of the cursor: a run that ends early has lost and doubled nothing.
    """
    about, pager, state = work.about, work.pager, work.state
    assert about.cursor is not None  # noqa: S101 - the caller looked
    _refuse_missing(
        about, [about.cursor], pager, "appended by that cursor, and could not be told from those loaded before", "merge"
    )
    at, seen = _values(state.get("cursor")), Counter[str](state.get("seen") or {})
    held = int(state.get("held") or 0)
    window = _window(work, about.cursor, at, None)
    known = Counter(seen)
    for page in pager.keyed(window.order, window.conditions):
        new = _unseen(page, at, known)
        at, seen = page.last, _seen_at(new, page.last, seen if page.last == at else Counter())
        if len(seen) > MOST_SEEN:
            raise OwnQueryRefused(
                f"More than {MOST_SEEN:,} rows of the query {about.query.name} have the same {about.cursor.hogql}",
                meaning="Which of them are loaded cannot be remembered.",
                advice='Use a finer cursor, or name a key and merge: key = "...", write = "merge".',
            )
        held += new.table.num_rows
        work.progress(new)
        yield new.table, partial(note, {"cursor": _listed(at), "seen": dict(seen), "held": held})
    work.reading.evidence.held = held
    work.reading.evidence.recount = partial(pager.count, window.everything)
    yield pager.empty(), partial(note, {**work.done, "held": held})


def _window(work: Work, cursor: QueryColumn, start: Values | None, upto: Values | None) -> CursorRange:
    order = growing(work.run.dialect, cursor)
    is_null = f"isNull({cursor.ref})" if cursor.kind.is_nullable else ""
    since = [order.from_(start)] if start is not None else []
    upto = upto or work.pager.greatest(order, [*([f"NOT {is_null}"] if is_null else []), *since])
    if upto is None:
        return CursorRange(order, [is_null or "1 = 0"], None, [])
    bound = order.upto(upto)
    inside = " AND ".join(f"({condition})" for condition in [*since, bound])
    either = f"{is_null} OR " if is_null else ""
    return CursorRange(order, [f"{either}{inside}"], upto, [f"{either}({bound})"])


def _unseen(page: RowPage, at: Values | None, known: Counter[str]) -> RowPage:
    """The page without the rows at `at` that are loaded already; takes them off `known`."""
    if at is None or not known.total():
        return page
    keep: list[int] = []
    for place, (position, cells) in enumerate(zip(page.positions, page.cells, strict=True)):
        if position == at and known[content := _content(cells)] > 0:
            known[content] -= 1
        else:
            keep.append(place)
    if len(keep) == len(page.positions):
        return page
    table = page.table.take(pa.array(keep, pa.int64()))
    positions, cells = [page.positions[place] for place in keep], [page.cells[place] for place in keep]
    return RowPage(table, page.last, positions, cells, page.is_whole)


def _seen_at(page: RowPage, at: Values, before: Counter[str]) -> Counter[str]:
    """What is loaded at `at` with this page."""
    rows = zip(page.positions, page.cells, strict=True)
    return before + Counter(_content(cells) for position, cells in rows if position == at)


def _refuse_missing(
    about: Described, columns: Sequence[QueryColumn], pager: Pager, reason: str, alternative: str
) -> None:
    """Raises OwnQueryRefused where a row has none of what tells it from others."""
    nullable = [column for column in columns if column.kind.is_nullable]
    if not nullable:
        return
    without = pager.count([" OR ".join(f"isNull({column.ref})" for column in nullable)])
    if without:
        raise OwnQueryRefused(
            f"{without:,} rows of the query {about.query.name} have no {' or '.join(c.hogql for c in nullable)}",
            meaning=f"Its rows are {reason}.",
            advice=f"Leave them out with WHERE, give them a value with ifNull(), or {alternative}.",
        )


def _content(cells: Sequence[Any]) -> str:
    return hashlib.blake2b(canonical(cells), digest_size=8).hexdigest()


def _listed(values: Values | None) -> list[Any] | None:
    return None if values is None else list(values)


def _values(listed: Any) -> Values | None:
    return None if listed is None else tuple(listed)


_EARLY = 60_000_000
"""Microseconds: a schedule that starts a run a little early, hour by hour or day by day, means that run."""


def described(run: Run, query: Query) -> Described:
    """What `query` answers, asked once in a run.

    Raises:
        OwnQueryRefused: PostHog does not accept it, or it does not have a column that its declaration names.
        PostHogError: PostHog could not be asked.
    """
    if query.name not in run.own_queries:
        about = describe(run, query)
        if about.cursor is not None:
            growing(run.dialect, about.cursor)
        run.own_queries[query.name] = about
    return run.own_queries[query.name]


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
    if not _is_due(query, state, definition, run.now, min(run.now, reading.given.known_until) + TOLERANCE):
        reading.evidence.is_unchanged = True
        reading.evidence.held = state.get("held")
        reading.notes.append("not asked again: refresh is set, and that time has not passed yet")
        return
    before: dict[str, str] = state.get("columns") or {}
    about, notes = beside(described(run, query), before)
    reading.notes.extend(notes)
    reading.answered.columns = tuple(column.column() for column in about.columns)
    reading.answered.key = tuple(column.name for column in about.key) if query.write == "merge" else ()
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
    work.reading.evidence.recount = None if appends else work.pager.count
    for page in _all(work):
        held += page.table.num_rows
        work.progress(page)
        yield page.table if appends else mapped(page.table), partial(note, {"held": held})
    work.reading.evidence.held = held
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
