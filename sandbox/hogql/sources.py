"""FROM and its joins: tables, subqueries and WITH names as ClickHouse SQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from posthog_warehouse.sandbox.hogql import literals
from posthog_warehouse.sandbox.hogql.errors import HogQLError
from posthog_warehouse.sandbox.hogql.expressions import Expressions
from posthog_warehouse.sandbox.hogql.nodes import QUERIES, Node, error_at
from posthog_warehouse.sandbox.hogql.scope import Cte, QueryRelation, Relation, Scope, TableRelation, find_table
from posthog_warehouse.sandbox.hogql.values import INT, ValueType

_JOIN_WORDS = re.compile(r"(?:(?:INNER|LEFT|RIGHT|FULL|OUTER|CROSS|ANY|ALL|ASOF|SEMI|ANTI|GLOBAL|JOIN) ?)+\Z")
_ROW_MAKING = ("RIGHT", "FULL")

#: Prints a query: the names of WITH around it in, SQL and columns out.
PrintQuery = Callable[[Node, Mapping[str, Cte]], tuple[str, Sequence[tuple[str, ValueType]]]]


@dataclass
class _Item:
    """One entry of FROM: what stands before it, the relation, what stands after."""

    join: str
    relation: Relation
    source: Callable[[], str]
    suffix: str = ""
    constraint: str = ""


@dataclass
class Sources:
    """FROM of one SELECT. It is written out last: fields used elsewhere add joins, conditions add to scans.

    Attributes:
        only_table: the one table of FROM when there is nothing else in it.
        condition: SQL for the scan of that table when it is a computed one.
        tail: ORDER BY and LIMIT for it.
    """

    scope: Scope
    print_query: PrintQuery
    condition: str = ""
    tail: str = ""
    only_table: tuple[str, TableRelation] | None = None
    _items: list[_Item] = field(default_factory=list)

    def read(self, node: Node | None, expressions: Expressions) -> None:
        """Take in the chain of joins. Raises HogQLError for unknown tables and taken names."""
        first = node
        while node is not None:
            self._item(node, expressions, is_first=node is first)
            node = node.get("next_join")
        if len(self._items) == 1 and isinstance(self._items[0].relation, TableRelation):
            self.only_table = (next(iter(self.scope.relations)), self._items[0].relation)

    def sql(self) -> str:
        """FROM with everything that was joined on the way; empty without FROM."""
        if not self._items:
            return ""
        parts = []
        outer = any(word in item.join for item in self._items for word in _ROW_MAKING)
        for place, item in enumerate(self._items):
            relation = item.relation
            if isinstance(relation, TableRelation):
                if self.only_table is not None:
                    text = relation.source(self.condition, self.tail)
                elif place == 0 and not outer:
                    text = relation.source()
                else:
                    text = relation.guarded_source()
            else:
                text = item.source()
            parts.append(f"{item.join}{text}{item.suffix}{item.constraint}")
            if isinstance(relation, TableRelation):
                parts.extend(relation.joins)
        return f" FROM {''.join(parts)}"

    def team_condition(self) -> str | None:
        """The condition for WHERE that keeps other teams' rows out of the first table."""
        if not self._items or not isinstance(self._items[0].relation, TableRelation):
            return None
        if any(word in item.join for item in self._items for word in _ROW_MAKING):
            return None
        return self._items[0].relation.team_condition()

    def _item(self, node: Node, expressions: Expressions, *, is_first: bool) -> None:
        name, relation, source = self._relation(node)
        suffix = self._suffix(node, relation)
        join = ""
        if not is_first:
            join = f" {node.get('join_type') or 'JOIN'} "
            if not _JOIN_WORDS.match(join.strip()):
                raise error_at(node, f"Unsupported join type: {join.strip()}")
        earlier = list(self.scope.relations.values())
        self.scope.add(name, relation)
        item = _Item(join, relation, source, suffix)
        constraint = node.get("constraint")
        if constraint is not None:
            expressions.in_join = True
            if constraint.get("constraint_type") == "USING":
                item.constraint = f" ON {self._using(constraint['expr'], earlier, relation)}"
            else:
                item.constraint = f" ON {expressions.print(constraint['expr']).text}"
            expressions.in_join = False
        self._items.append(item)

    def _using(self, node: Node, earlier: list[Relation], relation: Relation) -> str:
        nodes = node["exprs"] if node["node"] in ("Tuple", "And") else [node]
        conditions = []
        for column in nodes:
            name = column["chain"][-1] if column["node"] == "Field" else ""
            left = next((candidate for candidate in earlier if candidate.has(name)), None)
            if left is None or not relation.has(name):
                raise error_at(column, f"Unable to resolve field: {name}")
            self.scope.merged.add(name)
            conditions.append(f"equals({left.resolve([name]).text}, {relation.resolve([name]).text})")
        return conditions[0] if len(conditions) == 1 else f"and({', '.join(conditions)})"

    def _relation(self, node: Node) -> tuple[str, Relation, Callable[[], str]]:
        table = node["table"]
        renamed = [str(name) for name in node.get("column_aliases") or []]
        if table["node"] in QUERIES:
            sql, columns = self.print_query(table, self.scope.ctes)
            # A subquery without a name still needs one, so that its columns can be told from others.
            alias = node.get("alias") or f"__subquery_{len(self.scope.relations)}"
            if renamed:
                return self._renamed(node, alias, sql, columns, renamed)
            return self._query_relation(alias, sql, columns, renamed)
        if table["node"] != "Field":
            raise error_at(node, f"{table['node']} is not supported in FROM")
        name = table["chain"][-1]
        alias = str(node.get("alias") or "__".join(str(part) for part in table["chain"]))
        if node.get("table_args") is not None:
            return self._numbers(node, name, alias)
        cte = self.scope.ctes.get(name) if len(table["chain"]) == 1 else None
        if cte is not None and cte.is_query:
            sql, columns = self.print_query(cte.node, cte.visible)
            return self._query_relation(alias, sql, columns, renamed or list(cte.columns))
        relation = TableRelation(find_table(table["chain"], self.scope.context), alias, self.scope.context)
        return alias, relation, relation.source

    def _renamed(
        self, node: Node, alias: str, sql: str, columns: Sequence[tuple[str, ValueType]], names: list[str]
    ) -> tuple[str, Relation, Callable[[], str]]:
        """A subquery whose columns are named by their place, also those that have no name or share one.

        Source: visit_join_expr in posthog/hogql/resolver.py, read in autumn 2026; not in December 2023.
        """
        if not self.scope.context.behaviour.column_lists:
            raise HogQLError("mismatched input '(' expecting <EOF>", code="hogql_syntax_error")
        if len(names) != len(columns):
            raise error_at(node, f"Subquery has {len(columns)} column(s) but {len(names)} column name(s) were provided")
        relation = QueryRelation(alias, [(name, kind) for name, (_, kind) in zip(names, columns, strict=True)])
        listed = ", ".join(literals.identifier(name) for name in names)
        text = f"({sql}) AS {literals.identifier(alias)} ({listed})"
        return alias, relation, lambda: text

    def _query_relation(
        self, alias: str, sql: str, columns: Sequence[tuple[str, ValueType]], renamed: list[str]
    ) -> tuple[str, Relation, Callable[[], str]]:
        relation = QueryRelation(alias, columns, renamed[: len(columns)])
        text = f"({sql}) AS {literals.identifier(alias)}"
        return alias, relation, lambda: text

    def _numbers(self, node: Node, name: str, alias: str) -> tuple[str, Relation, Callable[[], str]]:
        args = node["table_args"]
        whole = all(arg["node"] == "Constant" and isinstance(arg.get("value"), int) for arg in args)
        if name != "numbers" or not whole or not 1 <= len(args) <= 2:
            raise error_at(node, f"Unknown table `{name}`.")
        text = f"numbers({', '.join(str(arg['value']) for arg in args)}) AS {literals.identifier(alias)}"
        return alias, QueryRelation(alias, [("number", INT)]), lambda: text

    def _suffix(self, node: Node, relation: Relation) -> str:
        stored = isinstance(relation, TableRelation) and relation.table.lazy is None
        text = ""
        if node.get("table_final"):
            if not stored:
                raise error_at(node, "FINAL is only possible on a table")
            text += " FINAL"
        sample = node.get("sample")
        if sample and stored:
            text += f" SAMPLE {_ratio(sample['sample_value'])}"
            if sample.get("offset_value"):
                text += f" OFFSET {_ratio(sample['offset_value'])}"
        return text


def _ratio(node: Node) -> str:
    left = literals.scalar(node["left"].get("value"), numeric=True)
    right = node.get("right")
    return f"{left}/{literals.scalar(right.get('value'), numeric=True)}" if right else left
