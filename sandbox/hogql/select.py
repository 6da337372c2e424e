"""SELECT and its set operations as ClickHouse SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from posthog_warehouse.sandbox.hogql import literals, pushdown
from posthog_warehouse.sandbox.hogql.context import HogQLContext
from posthog_warehouse.sandbox.hogql.errors import HogQLError
from posthog_warehouse.sandbox.hogql.expressions import Expressions
from posthog_warehouse.sandbox.hogql.naming import column_name
from posthog_warehouse.sandbox.hogql.nodes import QUERIES, Node, error_at
from posthog_warehouse.sandbox.hogql.scope import Cte, QueryRelation, Scope
from posthog_warehouse.sandbox.hogql.sources import Sources
from posthog_warehouse.sandbox.hogql.values import UNKNOWN, Sql, ValueType

_SET_OPERATORS = frozenset(
    {"UNION ALL", "UNION DISTINCT", "INTERSECT", "INTERSECT DISTINCT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"}
)
_GROUPINGS = {"rollup": "ROLLUP", "cube": "CUBE"}

Columns = Sequence[tuple[str, ValueType]]


@dataclass(frozen=True)
class Limits:
    """What happens to LIMIT at the top: what is read without one, and the most that is read with one."""

    default: int
    most: int


class Queries:
    """Prints the queries of one text.

    Args:
        source: the text, from which names of columns are taken.
    """

    def __init__(self, context: HogQLContext, source: str) -> None:
        self._context = context
        self._source = source

    def query(self, node: Node, ctes: Mapping[str, Cte], limits: Limits | None = None) -> tuple[str, Columns]:
        """A SELECT or a set of them as SQL, with its columns.

        Args:
            ctes: the WITH names known outside.
            limits: at the top of the text only; subqueries are not limited.

        Raises:
            HogQLError: PostHog refuses the query.
        """
        if node["node"] == "SelectSetQuery":
            return self._set(node, ctes, limits)
        if node["node"] != "SelectQuery":
            raise error_at(node, "Only SELECT queries are supported")
        return self._select(node, ctes, limits)

    def _set(self, node: Node, ctes: Mapping[str, Cte], limits: Limits | None) -> tuple[str, Columns]:
        first = node["initial_select_query"]
        known = self._with(node, ctes)
        sql, columns = self.query(first, known, limits)
        parts = [f"({sql})"]
        # WITH before the first branch holds for all of them.
        shared = self._with(first, known)
        for branch in node["subsequent_select_queries"]:
            operator = branch["set_operator"]
            if operator not in _SET_OPERATORS:
                raise error_at(branch, f"Unsupported set operator: {operator}")
            parts.append(f"{operator} ({self.query(branch['select_query'], shared, limits)[0]})")
        text = " ".join(parts)
        if not any(node.get(key) for key in ("order_by", "limit", "offset", "limit_by")):
            return text, columns
        alias = "__set"
        scope = Scope(self._context, shared, {alias: QueryRelation(alias, columns)})
        expressions = self._expressions(scope)
        tail = self._order(node, expressions) + self._limit_by(node, expressions)
        tail += self._limit(node, expressions, limits if node.get("limit") else None)
        return f"SELECT * FROM ({text}) AS {literals.identifier(alias)}{tail}", columns

    def _select(self, node: Node, ctes: Mapping[str, Cte], limits: Limits | None) -> tuple[str, Columns]:
        scope = Scope(self._context, self._with(node, ctes))
        expressions = self._expressions(scope)
        sources = Sources(scope, self.query)
        sources.read(node.get("select_from"), expressions)
        array_join = self._array_join(node, expressions)
        texts, columns = self._columns(node, expressions)
        prewhere = expressions.print(node["prewhere"]).text if node.get("prewhere") else None
        where = [expressions.print(node["where"]).text] if node.get("where") else []
        team = sources.team_condition()
        if team is not None:
            where.insert(0, team)
        tail = self._grouping(node, expressions)
        tail += self._windows(node, expressions)
        if node.get("qualify"):
            tail += f" QUALIFY {expressions.print(node['qualify']).text}"
        tail += self._order(node, expressions)
        tail += self._limit_by(node, expressions)
        limit = self._limit(node, expressions, limits)
        pushdown.push(node, sources, expressions, limit)
        text = f"SELECT {'DISTINCT ' if node.get('distinct') else ''}{', '.join(texts)}{sources.sql()}{array_join}"
        if prewhere is not None:
            text += f" PREWHERE {prewhere}"
        if where:
            text += f" WHERE {where[0] if len(where) == 1 else f'and({where[0]}, {where[1]})'}"
        return text + tail + limit, columns

    def _expressions(self, scope: Scope) -> Expressions:
        return Expressions(scope, lambda node, around: self.query(node, around.ctes)[0])

    def _with(self, node: Node, ctes: Mapping[str, Cte]) -> Mapping[str, Cte]:
        known = dict(ctes)
        for item in node.get("ctes") or []:
            if item.get("recursive"):
                raise error_at(item, "WITH RECURSIVE is not supported here")
            is_query = item.get("cte_type") == "subquery"
            known[item["name"]] = Cte(item["expr"], is_query, tuple(item.get("columns") or ()), dict(known))
        return known

    def _array_join(self, node: Node, expressions: Expressions) -> str:
        operator = node.get("array_join_op")
        if not operator:
            return ""
        if operator not in ("ARRAY JOIN", "LEFT ARRAY JOIN", "INNER ARRAY JOIN"):
            raise error_at(node, f"Unsupported: {operator}")
        items = []
        for item in node["array_join_list"]:
            inner = expressions.print(item["expr"])
            items.append(f"{inner.text} AS {literals.identifier(item['alias'])}")
            expressions.scope.aliases[item["alias"]] = UNKNOWN
        # INNER is what ClickHouse does without the word, which it does not know.
        return f" {operator.removeprefix('INNER ')} {', '.join(items)}"

    def _columns(self, node: Node, expressions: Expressions) -> tuple[list[str], Columns]:
        texts: list[str] = []
        columns: list[tuple[str, ValueType]] = []
        taken = {item["alias"] for item in node["select"] if item["node"] == "Alias"}
        for item in node["select"]:
            if item["node"] == "Alias":
                inner = expressions.print(item["expr"])
                expressions.scope.aliases[item["alias"]] = inner.type
                texts.append(f"{inner.text} AS {literals.identifier(item['alias'])}")
                columns.append((item["alias"], inner.type))
                continue
            for name, printed in self._unnamed(item, expressions):
                # The second column of one name keeps ClickHouse's own: an alias stands for one expression.
                texts.append(printed.text if name in taken else f"{printed.text} AS {literals.column(name)}")
                taken.add(name)
                columns.append((name, printed.type))
        return texts, columns

    def _unnamed(self, node: Node, expressions: Expressions) -> list[tuple[str, Sql]]:
        relations = expressions.scope.relations
        if node["node"] == "Field" and node["chain"][-1] == "*":
            if len(node["chain"]) == 1:
                if len(relations) > 1:
                    raise error_at(
                        node, "Cannot use '*' without table name when there are multiple tables in the query"
                    )
                if not relations:
                    raise error_at(node, "Cannot use '*' when there are no tables in the query")
                return next(iter(relations.values())).star()
            name = str(node["chain"][0])
            if len(node["chain"]) != 2 or name not in relations:
                raise error_at(node, f"Unable to resolve field: {'.'.join(map(str, node['chain'][:-1]))}")
            return relations[name].star()
        if node["node"] == "ColumnsExpr":
            return _matching(node, [column for relation in relations.values() for column in relation.star()])
        return [(column_name(node, self._source), expressions.print(node))]

    def _grouping(self, node: Node, expressions: Expressions) -> str:
        text = ""
        mode = node.get("group_by_mode")
        if mode == "all":
            text = " GROUP BY ALL"
        elif mode == "grouping_sets":
            sets = ", ".join(f"({expressions.several(item['exprs'])})" for item in node["group_by"])
            text = f" GROUP BY GROUPING SETS ({sets})"
        elif mode in _GROUPINGS:
            text = f" GROUP BY {_GROUPINGS[mode]}({expressions.several(node['group_by'])})"
        elif mode:
            raise error_at(node, f"GROUP BY {mode} is not supported here")
        elif node.get("group_by"):
            text = f" GROUP BY {expressions.several(node['group_by'])}"
        if node.get("having"):
            text += f" HAVING {expressions.print(node['having']).text}"
        return text

    def _windows(self, node: Node, expressions: Expressions) -> str:
        windows = node.get("window_exprs") or {}
        if not windows:
            return ""
        named = (f"{literals.identifier(name)} AS ({expressions.window(item)})" for name, item in windows.items())
        return f" WINDOW {', '.join(named)}"

    def _order(self, node: Node, expressions: Expressions) -> str:
        if not node.get("order_by"):
            return ""
        text = f" ORDER BY {', '.join(expressions.order(item) for item in node['order_by'])}"
        filled = node.get("interpolate") or []
        if filled:
            pairs = (
                f"{literals.identifier(str(item['expr']['chain'][-1]))} AS {expressions.print(item['value']).text}"
                for item in filled
            )
            text += f" INTERPOLATE ({', '.join(pairs)})"
        return text

    def _limit_by(self, node: Node, expressions: Expressions) -> str:
        item = node.get("limit_by")
        if not item:
            return ""
        offset = f" OFFSET {expressions.print(item['offset_value']).text}" if item.get("offset_value") else ""
        return f" LIMIT {expressions.print(item['n']).text}{offset} BY {expressions.several(item['exprs'])}"

    def _limit(self, node: Node, expressions: Expressions, limits: Limits | None) -> str:
        limit = node.get("limit")
        text = ""
        if limit is None:
            if limits is not None:
                text = f" LIMIT {limits.default}"
        elif limit["node"] == "Constant" and isinstance(limit.get("value"), int):
            value = limit["value"] if limits is None else min(limit["value"], limits.most)
            text = f" LIMIT {value}"
        else:
            value = expressions.print(limit).text
            text = f" LIMIT {value if limits is None else f'min2({limits.most}, {value})'}"
        if limit is not None and node.get("limit_with_ties"):
            text += " WITH TIES"
        if node.get("offset") is not None:
            text += f" OFFSET {expressions.print(node['offset']).text}"
        return text


def _matching(node: Node, columns: list[tuple[str, Sql]]) -> list[tuple[str, Sql]]:
    """COLUMNS('regexp') and `* EXCLUDE (...)`."""
    excluded = set(node.get("exclude") or [])
    if node.get("all_columns"):
        return [column for column in columns if column[0] not in excluded]
    if not isinstance(node.get("regex"), str):
        raise error_at(node, "COLUMNS takes a regular expression here")
    try:
        pattern = re.compile(node["regex"])
    except re.error as error:
        raise HogQLError(f"Invalid regular expression in COLUMNS: {error}") from None
    return [column for column in columns if pattern.search(column[0])]


def has_own_limit(node: Node) -> bool:
    """Whether a query says itself how many rows it wants."""
    return node["node"] in QUERIES and node.get("limit") is not None
