"""All rows of a query, one answer's worth at a time: none lost to ties or to the server's silent cap, none twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from ...errors import Narrow, OwnQueryRefused, QueryRefused
from ...http.answers import QueryAnswer
from ...http.json_values import plain
from ...pages.arrow import COUNT, HASH, MISFITS, ColumnMismatch, cells, cells_from, odd_value
from ...planning.row_limit import RowCap
from ..run import Run
from .ordering import Order, Part, Values, order_of
from .schema import Described, abilities, ask_for, explained

_FEWEST_ROWS = 500
"""Pages are not made smaller than this where PostHog cannot answer larger ones."""
_READS = 3
"""How often rows that change while they are read by offset are read anew."""


@dataclass(frozen=True)
class RowPage:
    """Some rows."""

    table: pa.Table
    last: Values
    """Where the last one stands in the order that was asked for."""
    positions: list[Values]
    """Where each stands."""
    cells: list[list[Any]]
    """The rows as PostHog answered them."""
    is_whole: bool
    """Whether these are all there are: the answer was neither filled nor, as far as was ever seen, cut short."""


class Pager:
    """Asks for the rows of one query."""

    def __init__(self, run: Run, described: Described) -> None:
        self._run = run
        self.described = described
        self._selected = [column.form.select(run.dialect, column.ref) for column in described.columns]
        self._cap = RowCap(run.dialect)
        self._rows = min(run.settings.leaf_rows, run.dialect.max_rows)

    def empty(self) -> pa.Table:
        """No rows, with the columns of the query."""
        return self._table([])

    def count(self, conditions: Sequence[str] = (), *, distinct: Order | None = None) -> int:
        """How many rows there are, or how many different places in an order."""
        source = self.described.source
        if distinct is not None:
            source = f"(SELECT {distinct.by} FROM {source}{_where(conditions)} GROUP BY {distinct.by})"
            conditions = ()
        read = partial(cells, kinds=[COUNT], is_one=True)
        [(count,)] = self._ask(f"SELECT count() FROM {source}{_where(conditions)} LIMIT 1", read=read)
        return int(count)

    def greatest(self, order: Order, conditions: Sequence[str] = ()) -> Values | None:
        """Where the last row in `order` stands; None where there is no row."""
        sql = f"SELECT {', '.join(order.exact)} FROM {self.described.source}{_where(conditions)}"
        rows: list[Values] = self._ask(
            f"{sql} ORDER BY {order.latest_first} LIMIT 1", read=partial(cells, kinds=order.kinds)
        )
        return rows[0] if rows else None

    def first(self, rows: int) -> tuple[pa.Table, bool]:
        """So many rows, or as many as one answer holds, and whether there are more."""
        most = min(rows, self._run.dialect.max_rows - 1)
        table = self._page(Order(()), [], most + 1).table
        return table.slice(0, most), table.num_rows > most

    # Without a key

    def whole(self) -> Iterator[RowPage]:
        """All rows of a query that declares nothing to page by.

        Raises:
            OwnQueryRefused: there are more than one answer holds, and this server does not allow OFFSET.
        """
        page = self._page(Order(()), [], self._run.dialect.max_rows)
        rows = page.table.num_rows
        held = rows if page.is_whole else self.count()
        if held <= rows:
            yield page
            return
        if not abilities(self._run).has_offset:
            raise OwnQueryRefused(
                f"The query {self.described.query.name} has {held:,} rows, and PostHog answers {rows:,} at most",
                meaning="Without a key it cannot be read page by page: this PostHog allows no OFFSET. None was loaded.",
                advice=(
                    'Name columns that tell its rows apart, key = "..." (--key), and it is read page by page; or ask '
                    "for less with WHERE, GROUP BY or a LIMIT."
                ),
            )
        del page
        yield from self._by_offset(held)

    def _by_offset(self, held: int) -> Iterator[RowPage]:
        """Pages by OFFSET in an order over all columns. Rows that come or go meanwhile shift the rest: then anew."""
        order = self._order_of_all()
        for _ in range(_READS):
            pages: list[RowPage] = []
            read = 0
            while read < held:
                page = self._page(order, [], self._rows, offset=read)
                pages.append(page)
                read += page.table.num_rows
                if not page.table.num_rows:
                    break
            now = self.count()
            if read == held == now:
                yield from pages
                return
            held = now
        raise OwnQueryRefused(
            f"The query {self.described.query.name} has another number of rows each time it is asked",
            meaning="Rows come or go while they are read, and would be lost or doubled between two pages.",
            advice='Name columns that tell its rows apart: key = "..." (--key).',
        )

    def _order_of_all(self) -> Order:
        return order_of(self._run.dialect, self.described.columns)

    # By a key

    def keyed(self, order: Order, conditions: Sequence[str] = (), after: Values | None = None) -> Iterator[RowPage]:
        """All rows that meet `conditions` in order of their key, behind `after`; rows may share a key.

        Rows of one key come on one page unless they are more than fit.
        """
        while True:
            beyond = [*conditions, *([order.after(after)] if after is not None else [])]
            page = self._page(order, beyond, self._rows)
            if page.is_whole:
                if page.table.num_rows:
                    yield page
                return
            # More rows of the last key may follow: it is left to the next page, which begins with it.
            whole = next((place for place, at in enumerate(page.positions) if at == page.last), 0)
            if whole:
                yield _first(page, whole)
                after = page.positions[whole - 1]
                continue
            yield from self._of_one_key(order, page, conditions)
            after = page.last

    def latest(
        self, order: Order, newest: Order | None, conditions: Sequence[str] = (), after: Values | None = None
    ) -> Iterator[RowPage]:
        """One row of each key, the last in the order `newest`, behind `after`."""
        by = ", ".join([order.by, *([newest.latest_first] if newest else [])])
        tail = f" ORDER BY {by} LIMIT 1 BY {order.by}"
        while True:
            beyond = [*conditions, *([order.after(after)] if after is not None else [])]
            page = self._page(order, beyond, self._rows, tail=tail)
            if page.table.num_rows:
                yield page
                after = page.last
            if page.is_whole:
                return

    def _of_one_key(self, order: Order, page: RowPage, conditions: Sequence[str]) -> Iterator[RowPage]:
        """The rows of one key, which fill a page and more: told apart by all their columns together."""
        at = [*conditions, order.at(page.last)]
        apart = self._apart()
        for inner in self._split(apart, at):
            yield _placed(inner.table, page.last, inner.cells)

    def _split(self, order: Order, conditions: Sequence[str], after: Values | None = None) -> Iterator[RowPage]:
        while True:
            beyond = [*conditions, *([order.after(after)] if after is not None else [])]
            page = self._page(order, beyond, self._rows)
            if page.is_whole:
                if page.table.num_rows:
                    yield page
                return
            whole = next((place for place, at in enumerate(page.positions) if at == page.last), 0)
            if whole:
                yield _first(page, whole)
                after = page.positions[whole - 1]
                continue
            same = [*conditions, order.at(page.last)]
            if all(cells == page.cells[0] for cells in page.cells):
                # As good as certainly all rows of this hash are this one: they are counted.
                yield from self._repeated(page, self.count(same))
            else:
                yield from self._split(self._order_of_all(), same)
            after = page.last

    def _apart(self) -> Order:
        """An order in which only rows that are the same in all columns stand in one place."""
        if not self._run.dialect.has_hashes:
            return self._order_of_all()
        texts = ", ".join(f"ifNull(toString({column.ref}), 'NULL')" for column in self.described.columns)
        # HogQL's cityHash64 takes one argument (hogql/functions/mapping.py, autumn 2026).
        row = f"cityHash64(toString(tuple({texts})))"
        return Order((Part(row, row, lambda value: str(int(value)), HASH),))

    def _repeated(self, page: RowPage, rows: int) -> Iterator[RowPage]:
        one = page.table.slice(0, 1)
        while rows > 0:
            now = min(rows, self._rows)
            yield _placed(one.take(pa.array([0] * now)), page.last, [page.cells[0]] * now)
            rows -= now

    # Asking

    def _page(
        self, order: Order, conditions: Sequence[str], limit: int, *, offset: int = 0, tail: str | None = None
    ) -> RowPage:
        if tail is None:
            tail = f" ORDER BY {order.by}" if order.parts else ""
        columns = ", ".join([*self._selected, *order.exact])
        sql = f"SELECT {columns} FROM {self.described.source}{_where(conditions)}{tail} LIMIT "
        read = partial(self._read, order, limit)
        try:
            page: RowPage = self._ask(f"{sql}{limit}" + (f" OFFSET {offset}" if offset else ""), read=read)
        except Narrow:
            # Fewer rows help where they are wide; the page tells whether it is whole.
            if limit <= _FEWEST_ROWS or limit != self._rows:
                raise
            self._rows = max(_FEWEST_ROWS, limit // 4)
            return self._page(order, conditions, self._rows, offset=offset, tail=tail)
        return page

    def _read(self, order: Order, limit: int, answer: QueryAnswer) -> RowPage:
        width = len(self._selected)
        if answer.rows and len(answer.columns) != width + len(order.parts):
            raise ColumnMismatch(
                f"PostHog answered {len(answer.columns)} columns where {width + len(order.parts)} were asked for",
                path=answer.path,
            )
        own = [row[:width] for row in answer.rows] if order.parts else answer.rows
        positions = cells_from(answer, order.kinds, width) if order.parts else []
        is_whole = self._cap.is_whole(len(own)) and len(own) < limit
        return RowPage(self._table(own), positions[-1] if positions else (), positions, own, is_whole)

    def _table(self, rows: Sequence[Sequence[Any]]) -> pa.Table:
        columns = self.described.columns
        by_column = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
        arrays, fields = [], []
        for column, values in zip(columns, by_column, strict=True):
            form = column.form
            try:
                array = form.read(values)
            except MISFITS:
                raise ColumnMismatch(
                    f"PostHog answered {odd_value(form.read, values)} in the column {plain(column.hogql, 80)}, where "
                    f"{form.data_type} was due (it calls it {plain(column.clickhouse_type, 80)})"
                ) from None
            arrays.append(array)
            fields.append(pa.field(column.name, form.arrow))
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

    def _ask(self, sql: str, **more: Any) -> Any:
        try:
            return ask_for(self._run, self.described.query, sql, **more)
        except QueryRefused as refused:
            raise explained(self._run, self.described.query, refused) from None


def _first(page: RowPage, rows: int) -> RowPage:
    positions, cells = page.positions[:rows], page.cells[:rows]
    return RowPage(page.table.slice(0, rows), positions[-1], positions, cells, is_whole=False)


def _placed(table: pa.Table, at: Values, cells: list[list[Any]]) -> RowPage:
    return RowPage(table, at, [at] * table.num_rows, cells, is_whole=False)


def _where(conditions: Sequence[str]) -> str:
    return f" WHERE {' AND '.join(f'({condition})' for condition in conditions)}" if conditions else ""
