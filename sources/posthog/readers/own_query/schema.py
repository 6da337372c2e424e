"""What a query will answer, found out before any of its rows is asked for: its columns, their types, its faults.

Columns have a name that PostHog gives them, and one in the warehouse.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from itertools import count
from typing import Any

from ...dlt_internals import snake_case
from ...errors import (
    AnswerMalformed,
    OwnQueryRefused,
    QueryRefused,
    QueryTimedOut,
    RequestRefused,
    ServerFault,
)
from ...http.answers import QueryAnswer
from ...pages.arrow import TEXT, cells
from ...sql.capabilities import faults
from ...sql.dialect import identifier
from ...tables.own_query import Query
from ...tables.schema import Column
from ..run import Run
from .type_conversion import ClickHouseType, Form, UnreadableType, form_of, parse_type

MOST_CHARACTERS = 63
"""Names longer than this are cut by PostgreSQL; unnamed expressions are easily longer."""

_OTHERS = re.compile(r"\W+", re.ASCII)


def column_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names for the warehouse, all different: snake_case as dlt makes it, without the brackets of functions.

    `count()` becomes `count`, `properties.$browser` `properties_browser`; a name that is taken gets `_2`. The same
    names in the same order always become the same.
    """
    taken: set[str] = set()
    found: list[str] = []
    for place, name in enumerate(names, start=1):
        plain = snake_case(_OTHERS.sub("_", name).strip("_") or f"column_{place}")
        plain = plain[:MOST_CHARACTERS].rstrip("_")
        if plain.startswith("_dlt"):
            plain = plain.lstrip("_")
        unique, number = plain, 1
        while unique in taken:
            number += 1
            ending = f"_{number}"
            unique = plain[: MOST_CHARACTERS - len(ending)] + ending
        taken.add(unique)
        found.append(unique)
    return tuple(found)


def find_column(wanted: str, hogql: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    """The place of the column that is called `wanted`, in the query or in the warehouse; None where there is none."""
    for candidates in (hogql, names):
        if candidates.count(wanted) == 1:
            return candidates.index(wanted)
    plain = column_names([wanted])[0]
    return names.index(plain) if plain in names else None


def nearest(wanted: str, names: Iterable[str]) -> str | None:
    """The name that was perhaps meant."""
    near = get_close_matches(wanted, list(names), n=1, cutoff=0.5)
    return near[0] if near else None


_LIMIT_BEHIND = "LIMIT behind brackets"
_ALIAS = "pw_column_"
"""Begins the names that columns get inside of our questions: not likely to be in a user's query."""


@dataclass(frozen=True)
class QueryColumn:
    """A column of the answer."""

    hogql: str
    """What PostHog calls it."""
    name: str
    """What it is called in the warehouse."""
    clickhouse_type: str
    ref: str
    """What it is called in questions around the query."""
    label: str
    """What people call it: `name`, unless the warehouse has that one with another type."""

    @property
    def kind(self) -> ClickHouseType:
        """Its type, read apart."""
        return parse_type(self.clickhouse_type)

    @property
    def form(self) -> Form:
        """How it is asked for, and what it becomes."""
        return form_of(self.kind)

    def column(self) -> Column:
        """The column of the warehouse."""
        form = self.form
        return Column(
            self.name,
            form.data_type,
            self.hogql,
            f"Your query's {self.hogql}, in PostHog {self.clickhouse_type}.",
            is_uuid=form.is_uuid,
            precision=form.precision,
            is_unsigned=form.is_unsigned,
        )


@dataclass(frozen=True)
class Described:
    """A query that PostHog understands."""

    query: Query
    columns: tuple[QueryColumn, ...]
    source: str
    """The query as it stands in FROM."""

    @property
    def key(self) -> tuple[QueryColumn, ...]:
        """The columns of its key."""
        return tuple(self.column(name) for name in self.query.key)

    @property
    def cursor(self) -> QueryColumn | None:
        """The column of its cursor."""
        return self.column(self.query.cursor) if self.query.cursor is not None else None

    def column(self, wanted: str) -> QueryColumn:
        """The column that is called so, in the query or in the warehouse. Raises OwnQueryRefused."""
        names = tuple(column.label for column in self.columns)
        place = find_column(wanted, tuple(column.hogql for column in self.columns), names)
        if place is None:
            near = nearest(wanted, names)
            raise OwnQueryRefused(
                f"The query {self.query.name} has no column {wanted}",
                meaning="",
                advice=(f"Did you mean {near}? " if near else "") + f"Its columns are: {', '.join(names)}.",
            )
        return self.columns[place]


@dataclass(frozen=True)
class Abilities:
    """What a server's grammar knows, besides its dialect."""

    has_column_lists: bool
    """`FROM (...) AS q (a, b)`, which names columns by their place."""
    has_offset: bool
    """OFFSET: refused on PostHog Cloud for keys (hogql/user_query_validator.py, autumn 2026)."""


def beside(about: Described, before: Mapping[str, str]) -> tuple[Described, list[str]]:
    """The query with names for columns that the warehouse has with another type, and a word about each.

    `before`: the columns there were in earlier runs and their types, as `Form.kind` has them. A column keeps the type
    it was made with; values of another type land in one beside it.
    """
    used = {column.name for column in about.columns}
    columns, notes = [], []
    for column in about.columns:
        name, kind = column.name, column.form.kind
        if before.get(name, kind) != kind:
            variants = _variants(f"{column.name}_{kind}")
            name = next(free for free in variants if free not in used and before.get(free, kind) == kind)
            used.add(name)
            if name not in before:
                notes.append(f"{column.hogql} is no longer {before[column.name]} but {kind}: it is in {name} now")
        columns.append(replace(column, name=name))
    return replace(about, columns=tuple(columns)), notes


def _variants(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}_{number}" for number in count(2))


def abilities(run: Run) -> Abilities:
    """What the server of this run knows, asked once."""
    if run.abilities is None:
        run.abilities = Abilities(
            has_column_lists=_knows(run, "column lists", "SELECT a FROM (SELECT 1, 2) AS q (a, b) LIMIT 1"),
            has_offset=_knows(run, "OFFSET", "SELECT 1 LIMIT 1 OFFSET 0"),
        )
    return run.abilities


def describe(run: Run, query: Query) -> Described:
    """What `query` answers; none of its rows is read.

    Raises:
        OwnQueryRefused: PostHog does not accept it, or it does not have a column that its declaration names.
        PostHogError: PostHog could not be asked.
    """
    ask = partial(ask_for, run, query)
    try:
        hogql, types = _columns(run, ask, query)
    except QueryRefused as refused:
        raise explained(run, query, refused) from None
    names = column_names(hogql)
    if abilities(run).has_column_lists:
        refs = [f"{_ALIAS}{place}" for place in range(1, len(hogql) + 1)]
        source = f"({query.sql}\n) AS pw_query ({', '.join(refs)})"
    else:
        refs, source = _refs_by_name(run, query, hogql), f"({query.sql}\n) AS pw_query"
    columns = tuple(QueryColumn(*each) for each in zip(hogql, names, types, refs, names, strict=True))
    described = Described(query, columns, source)
    try:
        selected = ", ".join(column.form.select(run.dialect, column.ref) for column in columns)
    except UnreadableType as error:
        raise OwnQueryRefused(f"A column of the query {query.name} has the type {error}", meaning="") from None
    for name in (*query.key, *filter(None, [query.cursor])):
        described.column(name)
    try:
        # The question as it will be asked, for no row.
        ask(f"SELECT {selected} FROM {source} LIMIT 0")
    except QueryRefused as refused:
        raise explained(run, query, refused) from None
    return described


def ask_for(run: Run, query: Query, sql: str, **more: Any) -> Any:
    """Asks something about `query`; in the background if that once took too long otherwise.

    A user's query cannot be cut into smaller ones: it gets 10 minutes then instead of 10 to 60 s (posthog-api 6.3).
    """
    values: Mapping[str, Any] = query.variables
    asked = partial(
        run.client.query,
        sql,
        modifiers=run.dialect.modifiers,
        values=values,
        name=f"posthog-warehouse query {query.name}",
        **more,
    )
    if query.name not in run.slow_queries:
        try:
            return asked()
        except QueryTimedOut:
            run.slow_queries.add(query.name)
    return asked(long=True)


def _columns(run: Run, ask: Any, query: Query) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The columns of the answer as PostHog names them, also those that the query does not name, and their types."""
    answer = _answered(run, ask, query)
    if answer.columns and not answer.types:
        # Some servers tell the types with rows only, and a query may have none: an aggregation over it always has one.
        refs = [f"{_ALIAS}{place}" for place in range(1, len(answer.columns) + 1)]
        told = ", ".join(f"toTypeName(any({ref}))" for ref in refs)
        kinds = [TEXT] * len(refs)
        sql = f"SELECT {told} FROM ({query.sql}\n) AS pw_query ({', '.join(refs)}) LIMIT 1"
        [types] = ask(sql, read=partial(cells, kinds=kinds, is_one=True))
        return answer.columns, types
    if not answer.columns or len(answer.columns) != len(answer.types):
        raise AnswerMalformed(f"PostHog does not tell the columns of the query {query.name}", path=answer.path)
    return answer.columns, answer.types


def _answered(run: Run, ask: Any, query: Query) -> QueryAnswer:
    """An answer of the query, without rows where the server can be asked for that."""
    answer: QueryAnswer
    if not run.lacking.lacks(_LIMIT_BEHIND):
        try:
            # Today's grammar takes a LIMIT behind brackets, which goes before the query's own.
            answer = ask(f"({query.sql}\n)\nLIMIT 0")
        except QueryRefused:
            pass
        else:
            return answer
    # Servers of 2023 refuse that. There the query is run as it is: a subquery would not tell columns without a name.
    answer = ask(query.sql)
    # The query itself was accepted, so what was refused before was the LIMIT.
    run.lacking.add_way(_LIMIT_BEHIND)
    return answer


def _refs_by_name(run: Run, query: Query, hogql: tuple[str, ...]) -> list[str]:
    """The columns by their names, where each has one of its own."""
    answer: QueryAnswer = ask_for(run, query, f"SELECT * FROM ({query.sql}\n) AS pw_query LIMIT 0")
    if not answer.columns:
        raise AnswerMalformed(f"PostHog does not tell the columns of the query {query.name}", path=answer.path)
    if answer.columns != hogql:
        nameless = [name for name in hogql if hogql.count(name) > 1 or name not in answer.columns]
        raise OwnQueryRefused(
            f"Columns of the query {query.name} have no name of their own: {', '.join(dict.fromkeys(nameless))}",
            meaning="This server tells the columns of a subquery by their names only.",
            advice="Give each a name: SELECT count() AS events.",
        )
    return [identifier(name) for name in hogql]


def explained(run: Run, query: Query, refused: QueryRefused) -> OwnQueryRefused:
    """PostHog's refusal with the place of the fault in the user's text, which its query API does not tell."""
    position = refused.position
    for fault in faults(run.client, query.sql) or []:
        start, end = fault.get("start"), fault.get("end")
        if isinstance(start, int) and isinstance(end, int) and str(fault.get("message", "")) in refused.message:
            position = (start, end)
            break
    else:
        position = None
    place, shown = _place(query.sql, position) if position is not None else ("", "")
    # ClickHouse repeats the whole query, which is ours around the user's.
    said = refused.message.removeprefix("PostHog says: ").partition(": In scope ")[0]
    return OwnQueryRefused(
        f"The query {query.name}{place} is refused: {said}",
        position=position,
        meaning=f"PostHog does not accept it{shown}.",
        advice="Mend its sql; nothing was loaded.",
        status=refused.status,
        code=refused.code,
        path=refused.path,
    )


def _place(sql: str, position: tuple[int, int]) -> tuple[str, str]:
    """`, line 2, column 8,`, and what stands there."""
    start, end = position
    before = sql[:start]
    line, column = before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1
    piece = " ".join(sql[start : max(end, start + 1)].split())[:60]
    return f", line {line}, column {column},", f": the fault is at {piece!r}" if piece else ""


def _knows(run: Run, way: str, sql: str) -> bool:
    """Whether the server takes a way to write HogQL; what it refused lately it is not asked again."""
    if run.lacking.lacks(way):
        return False
    try:
        run.client.query(sql, modifiers=run.dialect.modifiers, name="posthog-warehouse probe")
    except RequestRefused:
        run.lacking.add_way(way)
        return False
    except ServerFault:
        return False
    return True
