"""Formulas over series: ``A / B * 100``. Source: posthog/hogql_queries/utils/formula_ast.py, autumn 2026."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence

from posthog_warehouse.sandbox.api.envelope import invalid

_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def apply(formula: str, series: Sequence[Sequence[float]]) -> list[float]:
    """The formula at each point; the letters stand for the series in their order. A division by zero gives 0.

    Raises:
        ApiError: 400, it is no formula over these series.
    """
    try:
        tree = ast.parse(formula.strip(), mode="eval").body
    except SyntaxError:
        raise invalid(f"Invalid formula: {formula}") from None
    return [_value(tree, point, formula) for point in zip(*series, strict=True)]


def _value(node: ast.expr, point: Sequence[float], formula: str) -> float:
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return node.value
    if (
        isinstance(node, ast.Name)
        and len(node.id) == 1
        and 0 <= (place := ord(node.id.upper()) - ord("A")) < len(point)
    ):
        return point[place]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, point, formula)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        left, right = _value(node.left, point, formula), _value(node.right, point, formula)
        try:
            return _BINARY[type(node.op)](left, right)
        except ZeroDivisionError:
            return 0
    raise invalid(f"Invalid formula: {formula}")
