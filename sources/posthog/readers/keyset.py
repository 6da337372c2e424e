"""Rows of one HogQL table: asked for by conditions, typed, and paged by the key where one answer is too small.

Servers differ in what they have. A table that this one lacks is `TableMissing`; a column that it lacks is NULL here,
and that is said.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from ..errors import AnswerMalformed, ColumnMissing, Narrow, QueryRefused, TableMissing
from ..http.answers import QueryAnswer
from ..http.unsupported import refused_as
from ..pages.arrow import COUNT, Kind, cells, declared_table
from ..sql.capabilities import faults
from ..sql.dialect import value_literal
from ..sql.select import select
from ..tables import Column, Table
from .run import Run

logger = logging.getLogger(__name__)

T = TypeVar("T")

_MOST_REFUSALS = 8
"""Of one table's questions in a run: more columns than that are not found out by being refused."""

# As HogQL words it (hogql/database/database.py and hogql/resolver.py, autumn 2026; a server of December 2023).
_NO_TABLE = re.compile(r"unknown table|table\b.{0,80}\bnot found|unknown_table|no such table", re.IGNORECASE)
_NO_FIELD = re.compile(
    r"(?:unable to resolve field|field not found|unknown (?:column|field|identifier))[\s:`'\"]+([\w$.]+)", re.IGNORECASE
)


class Rows:
    """Asks for rows of `table`, which is called `source` in HogQL. Safe to use from several threads.

    Every method raises TableMissing where the server has no such table, ColumnMissing where the table lacks a column
    that conditions name, and what the client raises. What was refused once is not asked for again (`Run.lacking`).
    """

    def __init__(self, run: Run, table: Table, source: str, *, needs: Sequence[str] = ()) -> None:
        """`needs` are columns that conditions name: lacking one of them is ColumnMissing."""
        self._run = run
        self._table = table
        self._source = source
        self._needs = frozenset(needs)
        self._lock = threading.Lock()
        self._refusals = 0

    @property
    def max_rows(self) -> int:
        """Rows in one answer: a shorter one is not cut."""
        return self._run.dialect.max_rows

    @property
    def notes(self) -> list[str]:
        """What people should know of the columns."""
        names = {column.hogql for column in self._table.columns} & self._run.lacking.columns(self._source)
        if not names:
            return []
        return [f"this PostHog has no {', '.join(sorted(names))}: NULL in the warehouse"]

    def fetch(
        self,
        conditions: Sequence[str],
        *,
        order_by: str = "",
        group_by: str = "",
        long: bool | type[Narrow] = False,
    ) -> pa.Table:
        """The rows that meet `conditions`, as many as one answer has: `max_rows` of them may not be all."""
        columns = self._table.columns
        read = partial(_read, columns=columns)

        def ask() -> pa.Table:
            sql = select(
                [self._cell(column) for column in columns],
                self._source,
                list(conditions),
                group_by=group_by,
                order_by=order_by,
                limit=self.max_rows,
            )
            return self._run.client.query(
                sql, modifiers=self._run.dialect.modifiers, name=self._name, long=long, read=read
            )

        return self._translated(ask)

    def by_key(self, conditions: Sequence[str], *, group_by: str = "") -> Iterator[pa.Table]:
        """All rows that meet `conditions`, page by page in the order of the key; the server does the comparing."""
        keys = [column for column in self._table.columns if column.name in self._table.keys]
        order = ", ".join(column.hogql for column in keys)
        beyond: list[str] = []
        while True:
            page = self.fetch([*conditions, *beyond], order_by=order, group_by=group_by, long=Narrow)
            if page.num_rows:
                yield page
            if page.num_rows < self.max_rows:
                return
            last = [page.column(column.name)[-1].as_py() for column in keys]
            following = [self._after(keys, last)]
            if following == beyond:
                raise AnswerMalformed(f"PostHog's answers to {self._source} do not get beyond one key")
            beyond = following

    def count(self, conditions: Sequence[str], counted: str = "count()") -> int:
        """How many rows meet `conditions`."""
        [(count,)] = self.ask([counted], [COUNT], conditions, limit=1, is_one=True)
        return int(count)

    def ask(
        self,
        expressions: Sequence[str],
        kinds: Sequence[Kind],
        conditions: Sequence[str] = (),
        *,
        group_by: str = "",
        order_by: str = "",
        limit: int | None = None,
        is_one: bool = False,
    ) -> list[tuple[Any, ...]]:
        """A small answer over many rows, by the kinds of its columns: asked again as a long query if it takes too long.

        `is_one`: it has one row whatever there is.
        """
        sql = select(
            expressions,
            self._source,
            list(conditions),
            group_by=group_by,
            order_by=order_by,
            limit=limit or self.max_rows,
        )
        read = partial(cells, kinds=kinds, is_one=is_one)
        modifiers = self._run.dialect.modifiers
        return self._translated(
            lambda: self._run.client.query(sql, modifiers=modifiers, name=self._name, long=Narrow, read=read)
        )

    @property
    def _name(self) -> str:
        return f"posthog-warehouse {self._table.name}"

    def _cell(self, column: Column) -> str:
        is_lacking = column.hogql in self._run.lacking.columns(self._source)
        return "NULL" if is_lacking else self._run.dialect.cell(column, column.hogql)

    def _after(self, keys: Sequence[Column], last: Sequence[object]) -> str:
        """The condition for rows behind the key `last`, in the order of `keys`."""
        names = [self._run.dialect.time_text(key.hogql) if key.data_type == "timestamp" else key.hogql for key in keys]
        cases = []
        for place, (name, column) in enumerate(zip(names, keys, strict=True)):
            same = [f"{names[before]} = {value_literal(keys[before], last[before])}" for before in range(place)]
            cases.append(" AND ".join([*same, f"{name} > {value_literal(column, last[place])}"]))
        return "(" + " OR ".join(f"({case})" for case in cases) + ")"

    def _translated(self, ask: Callable[[], T]) -> T:
        """What `ask` gives; asked again without the columns that the server does not have."""
        if (missing := self._run.lacking.error(self._source)) is not None:
            raise missing
        self._check_needs()
        while True:
            known = self._run.lacking.columns(self._source)
            try:
                return ask()
            except QueryRefused as refused:
                self._do_without(refused, known)

    def _check_needs(self) -> None:
        for name in sorted(self._needs & self._run.lacking.columns(self._source)):
            error = ColumnMissing(f"This PostHog has no {name} in {self._source}")
            error.name = name
            raise error

    def _do_without(self, refused: QueryRefused, known: frozenset[str]) -> None:
        """Notes what is lacking; raises what that makes impossible, or `refused` where nothing is lacking.

        `known` are the columns that the refused question was already asked without.
        """
        if _NO_TABLE.search(f"{refused.code} {refused.message}"):
            missing = refused_as(TableMissing, refused)
            if refused.code != "table_access_denied":
                self._run.lacking.add(self._source, missing)
            raise missing from None
        with self._lock:
            self._refusals += 1
            name = self._unknown_column(refused.message)
            if name is None or name in known or self._refusals > _MOST_REFUSALS:
                raise refused
            if name not in self._run.lacking.columns(self._source):
                self._note(name)
                self._look_for_more()
        self._check_needs()

    def _unknown_column(self, message: str) -> str | None:
        """The column that a refusal names, if the table can be read without it, or says that it cannot."""
        found = _NO_FIELD.search(message)
        name = found[1].rstrip(".") if found else ""
        dispensable = {column.hogql for column in self._table.columns if column.nullable}
        return name if name in dispensable | self._needs else None

    def _note(self, name: str) -> None:
        self._run.lacking.add_column(self._source, name)
        logger.info("This PostHog has no %s in %s.", name, self._source)

    def _look_for_more(self) -> None:
        """Finds what else is lacking by asking what is wrong with the rest, which is no refusal each time."""
        lacking = self._run.lacking
        while lacking.has_metadata:
            gone = lacking.columns(self._source)
            wanted = [column.hogql for column in self._table.columns if column.hogql not in gone]
            found = faults(self._run.client, f"SELECT {', '.join(wanted)} FROM {self._source} LIMIT 1")
            if found is None:
                lacking.has_metadata = False
                return
            names = {self._unknown_column(str(fault.get("message", ""))) for fault in found} - {None, *gone}
            if not names:
                return
            for name in names:
                self._note(str(name))


def _read(answer: QueryAnswer, columns: Sequence[Column]) -> pa.Table:
    return declared_table(answer.types, answer.rows, columns, answer.path)
