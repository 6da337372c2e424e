"""Conditions, order and limit on the key of a computed table, brought to its scan.

`persons` is a select over all versions of all persons. A query by `id` has to read its own persons only, as PostHog
does for a direct select: keyset paging by id would otherwise read the whole table for each page.
"""

from __future__ import annotations

from posthog_warehouse.sandbox.hogql.expressions import Expressions
from posthog_warehouse.sandbox.hogql.nodes import QUERIES, Node, conjuncts, walk
from posthog_warehouse.sandbox.hogql.scope import KeyRelation, Scope, TableRelation
from posthog_warehouse.sandbox.hogql.sources import Sources

# Clauses after which one row of the table is no longer one row of the answer.
_RESHAPING = ("distinct", "prewhere", "group_by", "group_by_mode", "having", "qualify", "limit_by", "array_join_op")


# A bound, as it is put on the time in a session's id.
_BOUNDS = {">": (">=", "plus"), ">=": (">=", "plus"), "<": ("<=", "minus"), "<=": ("<=", "minus")}
_MADE = (
    "if(substring(raw_sessions.session_id, 15, 1) = '7', "
    "UUIDv7ToDateTime(toUUIDOrZero(raw_sessions.session_id), 'UTC'), NULL)"
)


def push(node: Node, sources: Sources, expressions: Expressions, limit: str) -> None:
    """Give the scan of the only table, if it is a computed one, what it can use.

    Args:
        limit: the printed LIMIT and OFFSET of the query.
    """
    if sources.only_table is None:
        return
    name, relation = sources.only_table
    if relation.table.lazy is None or relation.table.key is None:
        return
    shadowed = relation.table.key in expressions.scope.aliases
    scope = Scope(expressions.scope.context, expressions.scope.ctes, {name: KeyRelation(relation)})
    inner = Expressions(scope, expressions.subquery)
    wanted = conjuncts(node.get("where"))
    pushed = [part for part in wanted if _on_key(part, name, relation, shadowed=shadowed)]
    texts = [inner.print(part).text for part in pushed]
    if relation.table.name == "sessions":
        texts += [text for part in wanted if (text := _session_bound(part, expressions))]
    if texts:
        sources.condition = texts[0] if len(texts) == 1 else f"and({', '.join(texts)})"
    if len(pushed) == len(wanted) and _keeps_rows(node, relation, expressions):
        order = node.get("order_by") or []
        if all(_on_key(item["expr"], name, relation, shadowed=shadowed) for item in order):
            by = f" ORDER BY {', '.join(inner.order(item) for item in order)}" if order else ""
            sources.tail = f"{by}{_first_rows(node, limit)}"


def _session_bound(node: Node, expressions: Expressions) -> str:
    """What a bound on `$start_timestamp` leaves out of the scan: sessions whose id was made three days further off.

    An id holds the time at which it was made. A session with one event of years ago began then, by its column, and is
    not found by it: so it is at PostHog (schema/util/where_clause_extractor.py, autumn 2026).
    """
    if node["node"] != "CompareOperation" or node["op"] not in _BOUNDS:
        return ""
    left, right = node["left"], node["right"]
    if left["node"] != "Field" or left["chain"][-1] != "$start_timestamp":
        return ""
    if any(part["node"] in ("Field", *QUERIES) for part in walk(right)):
        return ""
    sign, shift = _BOUNDS[node["op"]]
    return f"ifNull({shift}({_MADE}, toIntervalDay(3)) {sign} {expressions.print(right).text}, 1)"


def _on_key(node: Node, name: str, relation: TableRelation, *, shadowed: bool) -> bool:
    """Whether an expression is about the key and nothing else of the table."""
    key = relation.table.key
    for part in walk(node, into_queries=False):
        if part["node"] in ("WindowFunction", "Lambda", "Alias"):
            return False
        if part["node"] == "Field" and part["chain"] != [name, key] and (part["chain"] != [key] or shadowed):
            return False
    return True


def _keeps_rows(node: Node, relation: TableRelation, expressions: Expressions) -> bool:
    if relation.joins or any(node.get(clause) for clause in _RESHAPING):
        return False
    for part in walk([node["select"], node.get("order_by")], into_queries=False):
        if part["node"] == "WindowFunction" or part.get("with_fill"):
            return False
        if part["node"] == "Call" and (
            part["name"] in ("arrayJoin", "untuple") or expressions.catalogue.aggregation(part["name"])
        ):
            return False
    return True


def _first_rows(node: Node, limit: str) -> str:
    """LIMIT for the scan: rows asked for and rows skipped; empty when they are not plain numbers."""
    words = limit.split()
    offset = node.get("offset")
    if len(words) not in (2, 4) or not words[1].isdigit() or node.get("limit_with_ties"):
        return ""
    if offset is None:
        return f" LIMIT {words[1]}"
    skipped = offset.get("value") if offset["node"] == "Constant" else None
    return f" LIMIT {int(words[1]) + skipped}" if isinstance(skipped, int) else ""
