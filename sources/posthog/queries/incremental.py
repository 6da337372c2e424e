"""What is new of a query since the last run: merged on its key, or appended by its cursor."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from sources.posthog.errors import OwnQueryRefused
from sources.posthog.hogql.engine import note
from sources.posthog.listing.canonical import canonical
from sources.posthog.queries.describing import Described, QueryColumn
from sources.posthog.queries.ordering import Order, Values, growing, order_of
from sources.posthog.queries.paging import Pager, RowPage
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run

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
class Window:
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
    work.reading.recount = recount
    work.reading.held = rows if start is None and after is None else recount()
    reached = {"cursor": _listed(upto or start), "held": work.reading.held, "upto": None, "after": None}
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
    work.reading.held = held
    work.reading.recount = partial(pager.count, window.everything)
    yield pager.empty(), partial(note, {**work.done, "held": held})


def _window(work: Work, cursor: QueryColumn, start: Values | None, upto: Values | None) -> Window:
    order = growing(work.run.dialect, cursor)
    is_null = f"isNull({cursor.ref})" if cursor.kind.is_nullable else ""
    since = [order.from_(start)] if start is not None else []
    upto = upto or work.pager.greatest(order, [*([f"NOT {is_null}"] if is_null else []), *since])
    if upto is None:
        return Window(order, [is_null or "1 = 0"], None, [])
    bound = order.upto(upto)
    inside = " AND ".join(f"({condition})" for condition in [*since, bound])
    either = f"{is_null} OR " if is_null else ""
    return Window(order, [f"{either}{inside}"], upto, [f"{either}({bound})"])


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
