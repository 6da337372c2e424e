"""What names mean inside one SELECT: tables, subqueries, aliases, lambda arguments, WITH."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from posthog_warehouse.sandbox.hogql import lazy, literals
from posthog_warehouse.sandbox.hogql.context import HogQLContext
from posthog_warehouse.sandbox.hogql.errors import HogQLError
from posthog_warehouse.sandbox.hogql.fields import Column, Computed, Field, Join, Table, Virtual
from posthog_warehouse.sandbox.hogql.nodes import Node
from posthog_warehouse.sandbox.hogql.schema import (
    DEFAULT_PERSONS_ON_EVENTS_MODE,
    PERSONS_ON_EVENTS,
    TABLES,
    PersonsOnEvents,
)
from posthog_warehouse.sandbox.hogql.values import UNKNOWN, UUID, Sql, ValueType

Chain = Sequence[str | int]


class Relation(Protocol):
    """Something in FROM whose fields can be named."""

    def has(self, name: str) -> bool:
        """Whether a field of that name exists."""
        ...

    def resolve(self, chain: Chain) -> Sql:
        """The SQL of a field, given by its path inside the relation. Raises HogQLError."""
        ...

    def star(self) -> list[tuple[str, Sql]]:
        """The columns that `*` stands for."""
        ...


def find_table(chain: Chain, context: HogQLContext) -> Table:
    """The table of that name.

    Raises:
        HogQLError: PostHog, or this version of it, has no such table.
    """
    name = ".".join(str(part) for part in chain)
    hidden = context.behaviour.missing_tables
    namespaces = {f"{name[:dot]}.*" for dot, character in enumerate(name) if character == "."}
    if name not in TABLES or name in hidden or namespaces & hidden:
        raise HogQLError(f"Unknown table `{name}`.")
    return TABLES[name]


def _into(base: Sql, rest: Chain, name: str) -> Sql:
    """A field with what follows its name: keys into JSON."""
    if not rest:
        return base
    if base.type.kind not in ("json", "unknown"):
        raise HogQLError(f'Can not access property "{rest[0]}" on field "{name}".')
    return Sql(base.text, base.type, (*base.path, *rest))


class TableRelation:
    """A table of the schema in FROM, with the tables that its fields join when they are used.

    Attributes:
        joins: the JOIN clauses that its fields needed so far, in order.
    """

    def __init__(self, table: Table, alias: str, context: HogQLContext, joins: list[str] | None = None) -> None:
        self.table = table
        self.alias = alias
        self._context = context
        self.joins: list[str] = [] if joins is None else joins
        self._joined: dict[str, TableRelation] = {}

    def has(self, name: str) -> bool:
        """Whether a field of that name exists."""
        return self._field(name) is not None

    def resolve(self, chain: Chain) -> Sql:
        """The SQL of a field, given by its path. Raises HogQLError."""
        name, rest = str(chain[0]), chain[1:]
        found = self._field(name)
        if found is None:
            raise HogQLError(f"Field not found: {name}")
        if isinstance(found, Computed):
            return self.resolve([*found.chain, *rest])
        if isinstance(found, Join):
            if not rest:
                raise HogQLError(f"Can't select a table when a column is expected: {name}")
            return self._join(name, found).resolve(rest)
        if isinstance(found, Virtual):
            inner = found.columns.get(str(rest[0])) if rest else None
            if inner is None:
                raise HogQLError(f"Field not found: {rest[0] if rest else name}")
            return _into(self._column(str(rest[0]), inner), rest[1:], str(rest[0]))
        if name == "person_id" and self._persons_on_events().override and self.table.name == "events":
            return _into(self._overridden_person(), rest, name)
        return _into(self._column(name, found), rest, name)

    def star(self) -> list[tuple[str, Sql]]:
        """The columns that `*` stands for."""
        return [
            (name, self._column(name, found))
            for name, found in self.table.fields.items()
            if isinstance(found, Column) and found.starred and self.has(name)
        ]

    def source(self, condition: str = "", tail: str = "") -> str:
        """The relation as it stands in FROM; `condition` and `tail` are for the scan of a computed table."""
        alias = literals.identifier(self.alias)
        if self.table.lazy is None:
            return f"{literals.column(str(self.table.physical))} AS {alias}"
        scan = lazy.Scan(self._context.team_id, self._context.now, condition, tail)
        return f"({lazy.select_of(self.table.lazy, scan)}) AS {alias}"

    def guarded_source(self) -> str:
        """The same where a condition in WHERE would come too late, after an outer join."""
        if self.table.lazy is not None:
            return self.source()
        name = literals.column(str(self.table.physical))
        rows = f"SELECT * FROM {name} WHERE equals({name}.team_id, {self._context.team_id})"
        return f"({rows}) AS {literals.identifier(self.alias)}"

    def team_condition(self) -> str | None:
        """The condition that keeps other teams' rows out; computed tables have it inside."""
        if self.table.lazy is not None:
            return None
        return f"equals({literals.identifier(self.alias)}.team_id, {self._context.team_id})"

    def _field(self, name: str) -> Field | None:
        if f"{self.table.name}.{name}" in self._context.behaviour.missing_tables:
            return None
        if self.table.name == "events":
            if name == "person_id":
                return self._persons_on_events().person_id
            if name == "person":
                return self._persons_on_events().person
        return self.table.fields.get(name)

    def _persons_on_events(self) -> PersonsOnEvents:
        mode = str(self._context.modifiers.get("personsOnEventsMode") or DEFAULT_PERSONS_ON_EVENTS_MODE)
        return PERSONS_ON_EVENTS.get(mode) or PERSONS_ON_EVENTS[DEFAULT_PERSONS_ON_EVENTS_MODE]

    def _column(self, name: str, found: Field) -> Sql:
        assert isinstance(found, Column)  # noqa: S101  a type narrowing: every caller has looked
        text = f"{literals.identifier(self.alias)}.{literals.column(found.physical or name)}"
        if found.type.kind == "datetime" and self._context.converts_timezone:
            text = f"toTimeZone({text}, {literals.string(self._context.timezone)})"
        return Sql(text, found.type)

    def _overridden_person(self) -> Sql:
        """The person that a merge gave to this distinct_id, else the one stored with the event."""
        override = self._join("override", TABLES["events"].fields["override"])
        stored = f"{literals.identifier(self.alias)}.person_id"
        return Sql(
            f"if(notEmpty({override.resolve(['distinct_id']).text}), {override.resolve(['person_id']).text}, {stored})",
            UUID,
        )

    def _join(self, name: str, join: Field) -> TableRelation:
        assert isinstance(join, Join)  # noqa: S101  a type narrowing: every caller has looked
        if name not in self._joined:
            on = self.resolve(join.on).text
            joined = TableRelation(
                find_table([join.table], self._context), f"{self.alias}__{name}", self._context, self.joins
            )
            condition = f"equals({on}, {joined.resolve([join.to]).text})"
            self.joins.append(f" {join.kind} {joined.guarded_source()} ON {condition}")
            self._joined[name] = joined
        return self._joined[name]


class KeyRelation:
    """The key column of a computed table as its scan sees it: conditions on it can run there."""

    def __init__(self, relation: TableRelation) -> None:
        self._relation = relation

    def has(self, name: str) -> bool:
        """Whether a field of that name exists."""
        return name == self._relation.table.key

    def resolve(self, chain: Chain) -> Sql:
        """The SQL of a field, given by its path. Raises HogQLError."""
        table = self._relation.table
        if len(chain) != 1 or chain[0] != table.key or table.lazy is None:
            raise HogQLError(f"Field not found: {chain[0]}")
        return Sql(lazy.SCAN_KEYS[table.lazy], self._relation.resolve(chain).type)

    def star(self) -> list[tuple[str, Sql]]:
        """The columns that `*` stands for."""
        return []


class QueryRelation:
    """A subquery in FROM, or a WITH name.

    Args:
        renamed: the names given by `AS x (a, b)`, in the order of the columns.
    """

    def __init__(self, alias: str, columns: Sequence[tuple[str, ValueType]], renamed: Sequence[str] = ()) -> None:
        self._alias = alias
        shown = [*renamed, *(name for name, _ in columns[len(renamed) :])]
        self._columns = {name: (real, type_) for name, (real, type_) in zip(shown, columns, strict=True)}

    def has(self, name: str) -> bool:
        """Whether a field of that name exists."""
        return name in self._columns

    def resolve(self, chain: Chain) -> Sql:
        """The SQL of a field, given by its path. Raises HogQLError."""
        name = str(chain[0])
        if name not in self._columns:
            raise HogQLError(f"Field not found: {name}")
        real, type_ = self._columns[name]
        return _into(Sql(f"{literals.identifier(self._alias)}.{literals.column(real)}", type_), chain[1:], name)

    def star(self) -> list[tuple[str, Sql]]:
        """The columns that `*` stands for."""
        return [(name, self.resolve([name])) for name in self._columns]


@dataclass(frozen=True)
class Cte:
    """A WITH name: a query or an expression, and the names that were known before it."""

    node: Node
    is_query: bool
    columns: tuple[str, ...]
    visible: Mapping[str, Cte]


@dataclass
class Scope:
    """The names of one SELECT. Names of an outer SELECT are not known inside: HogQL has no correlated subqueries."""

    context: HogQLContext
    ctes: Mapping[str, Cte] = field(default_factory=dict)
    relations: dict[str, Relation] = field(default_factory=dict)
    aliases: dict[str, ValueType] = field(default_factory=dict)
    # Columns of USING: found in two tables, and the same in both.
    merged: set[str] = field(default_factory=set)
    _lambdas: list[frozenset[str]] = field(default_factory=list)

    def add(self, name: str, relation: Relation) -> None:
        """Put a relation under a name.

        Raises:
            HogQLError: the name is taken.
        """
        if name in self.relations:
            raise HogQLError(f'Already have joined a table called "{name}". Can\'t redefine.')
        self.relations[name] = relation

    @contextmanager
    def lambda_arguments(self, names: Sequence[str]) -> Iterator[None]:
        """Inside, these names are the arguments of a lambda."""
        self._lambdas.append(frozenset(names))
        try:
            yield
        finally:
            self._lambdas.pop()

    def resolve(self, chain: Chain) -> Sql | Cte:
        """What a dotted name stands for; an expression of WITH is returned unprinted.

        Raises:
            HogQLError: nothing has that name, or two tables have it.
        """
        name, rest = str(chain[0]), chain[1:]
        if any(name in names for names in self._lambdas):
            return _into(Sql(literals.identifier(name), UNKNOWN), rest, name)
        if rest and name in self.relations:
            return self.relations[name].resolve(rest)
        if name in self.aliases:
            return _into(Sql(literals.identifier(name), self.aliases[name]), rest, name)
        found = [relation for relation in self.relations.values() if relation.has(name)]
        if len(found) > 1 and name not in self.merged:
            raise HogQLError(f"Ambiguous query. Found multiple sources for field: {name}")
        if found:
            return found[0].resolve(chain)
        cte = self.ctes.get(name)
        if cte is not None and not cte.is_query and not rest:
            return cte
        raise HogQLError(f"Unable to resolve field: {name}")
