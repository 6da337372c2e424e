"""Comparisons: PostHog's answer to NULL, and text compared with times."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from posthog_warehouse.sandbox.hogql import literals
from posthog_warehouse.sandbox.hogql.errors import HogQLError
from posthog_warehouse.sandbox.hogql.nodes import Node, error_at
from posthog_warehouse.sandbox.hogql.values import BOOL, Sql

if TYPE_CHECKING:
    from posthog_warehouse.sandbox.hogql.expressions import Expressions

# operator -> (ClickHouse function, the answer where one side is NULL)
_FUNCTIONS: dict[str, tuple[str, int]] = {
    "==": ("equals", 0),
    "!=": ("notEquals", 1),
    "<": ("less", 0),
    ">": ("greater", 0),
    "<=": ("lessOrEquals", 0),
    ">=": ("greaterOrEquals", 0),
    "like": ("like", 0),
    "ilike": ("ilike", 0),
    "not like": ("notLike", 1),
    "not ilike": ("notILike", 1),
    "in": ("in", 0),
    "not in": ("notIn", 1),
    "global in": ("globalIn", 0),
    "global not in": ("globalNotIn", 1),
}
_REGEXPS: dict[str, tuple[str, bool]] = {
    "=~": ("", False),
    "!~": ("", True),
    "=~*": ("(?i)", False),
    "!~*": ("(?i)", True),
}
_FRACTION = re.compile(r":\d{2}\.\d+")
_ISO_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T[\d:.]+(Z|[+-]\d{2}:?\d{2})?\Z")


def print_comparison(printer: Expressions, node: Node) -> Sql:
    """A comparison as a function call; NULL counts as different, so that the result is 0 or 1.

    Source: visit_compare_operation in posthog/hogql/printer, read in autumn 2026.

    Raises:
        HogQLError: a comparison that the sandbox does not have (cohorts).
    """
    op = node["op"]
    left = printer.print(node["left"])
    if op in _REGEXPS:
        return _regexp(printer, node, left)
    if op not in _FUNCTIONS:
        raise error_at(node, f"Comparison '{op}' is not supported here")
    function, when_null = _FUNCTIONS[op]
    if op in ("==", "!="):
        for one, other in ((node["left"], node["right"]), (node["right"], node["left"])):
            if other["node"] == "Constant" and other.get("value") is None:
                test = "isNull" if op == "==" else "isNotNull"
                return Sql(f"{test}({printer.print(one).text})", BOOL)
    if function in ("in", "notIn", "globalIn", "globalNotIn"):
        return _membership(printer, node["right"], left, function, when_null)
    right = printer.print(node["right"])
    _refuse_iso_text(printer, node, left, right)
    return Sql(_with_answer_for_null(printer, op, f"{function}({left.text}, {right.text})", left, right), BOOL)


def _with_answer_for_null(printer: Expressions, op: str, text: str, left: Sql, right: Sql) -> str:
    if printer.in_join or not (left.type.nullable or right.type.nullable):
        return text
    if not (left.type.nullable and right.type.nullable) or op not in ("==", "!="):
        return f"ifNull({text}, {_FUNCTIONS[op][1]})"
    if op == "==":
        return f"ifNull({text}, and(isNull({left.text}), isNull({right.text})))"
    return f"ifNull({text}, or(isNotNull({left.text}), isNotNull({right.text})))"


def _membership(printer: Expressions, right: Node, left: Sql, function: str, when_null: int) -> Sql:
    values = printer.print(right).text
    if right["node"] == "Constant":
        # `IN ('a')` reaches the grammar as the bare constant.
        values = f"tuple({values})"
    text = f"{function}({left.text}, {values})"
    return Sql(f"ifNull({text}, {when_null})" if left.type.nullable else text, BOOL)


def _regexp(printer: Expressions, node: Node, left: Sql) -> Sql:
    prefix, negated = _REGEXPS[node["op"]]
    right = printer.print(node["right"])
    pattern = f"concat({literals.string(prefix)}, {right.text})" if prefix else right.text
    text = f"match({left.text}, {pattern})"
    if negated:
        text = f"not({text})"
    if left.type.nullable or right.type.nullable:
        text = f"ifNull({text}, {int(negated)})"
    return Sql(text, BOOL)


def _refuse_iso_text(printer: Expressions, node: Node, left: Sql, right: Sql) -> None:
    """Say what ClickHouse until 24.8 said to text that is no time to it; today's reads it.

    That is `timestamp > '2026-01-01T00:00:00Z'`, and a fraction where the column has whole seconds.
    """
    behaviour = printer.scope.context.behaviour
    for time, other in ((left, node["right"]), (right, node["left"])):
        value = other.get("value") if other["node"] == "Constant" else None
        if time.type.kind != "datetime" or not isinstance(value, str):
            continue
        is_iso = not behaviour.iso_text_times and _ISO_TIME.match(value)
        is_finer = not behaviour.fractions_for_seconds and time.type.whole_seconds and _FRACTION.search(value)
        if is_iso or is_finer:
            kind = "DateTime('UTC')" if time.type.whole_seconds else "DateTime64(6, 'UTC')"
            raise HogQLError(
                f"Cannot convert string '{value}' to type {kind}. (TYPE_MISMATCH)",
                code="type_mismatch",
            )
