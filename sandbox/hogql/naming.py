"""HogQL text of expressions: what PostHog calls a column that has no alias."""

from __future__ import annotations

from posthog_warehouse.sandbox.hogql import literals
from posthog_warehouse.sandbox.hogql.nodes import QUERIES, Node

_ARITHMETIC = {"+": "plus", "-": "minus", "*": "multiply", "/": "divide", "%": "modulo"}

COMPARISON_NAMES = {
    "==": "equals",
    "!=": "notEquals",
    "<": "less",
    ">": "greater",
    "<=": "lessOrEquals",
    ">=": "greaterOrEquals",
    "like": "like",
    "ilike": "ilike",
    "not like": "notLike",
    "not ilike": "notILike",
    "in": "in",
    "global in": "globalIn",
    "not in": "notIn",
    "global not in": "globalNotIn",
    "=~": "match",
    "!~": "notMatch",
    "=~*": "imatch",
    "!~*": "notIMatch",
}

ARITHMETIC_NAMES = _ARITHMETIC


def column_name(node: Node, source: str) -> str:
    """The name of a column of SELECT: its alias, the name of a plain field, else its text as PostHog prints it."""
    if node["node"] == "Alias":
        return str(node["alias"])
    path = _path(node)
    if path is not None:
        for place, part in enumerate(path):
            # A property is named by its keys: `properties.a.b` is `a__b`.
            if part == "properties" and place + 1 < len(path):
                return "__".join(str(key) for key in path[place + 1 :])
        return str(path[-1])
    return text_of(node, source)


def _path(node: Node) -> list[str | int] | None:
    """The keys from a field on: `properties['a'].b` as `properties`, `a`, `b`."""
    if node["node"] == "Field":
        return list(node["chain"])
    if node["node"] == "ArrayAccess" and node["property"]["node"] == "Constant":
        base = _path(node["array"])
        return None if base is None or "properties" not in base else [*base, node["property"]["value"]]
    if node["node"] == "TupleAccess":
        base = _path(node["tuple"])
        return None if base is None or "properties" not in base else [*base, node["index"]]
    return None


def text_of(node: Node, source: str) -> str:  # noqa: PLR0911  one return for each kind of node
    """An expression as PostHog prints it back; parts that are rare in SELECT as they stand in the source."""

    def several(nodes: list[Node] | None) -> str:
        return ", ".join(text_of(item, source) for item in nodes or [])

    kind = node["node"]
    if kind == "Field":
        return ".".join("*" if part == "*" else literals.hogql_identifier(str(part)) for part in node["chain"])
    if kind == "Constant":
        return literals.scalar(node.get("value"), numeric=node.get("value_type") == "number")
    if kind == "Call":
        parameters = f"({several(node['params'])})" if node.get("params") else ""
        distinct = "DISTINCT " if node.get("distinct") else ""
        return f"{node['name']}{parameters}({distinct}{several(node['args'])})"
    if kind == "ArithmeticOperation":
        return f"{_ARITHMETIC[node['op']]}({several([node['left'], node['right']])})"
    if kind == "CompareOperation" and node["op"] in COMPARISON_NAMES:
        return f"{COMPARISON_NAMES[node['op']]}({several([node['left'], node['right']])})"
    if kind in ("And", "Or"):
        return f"{kind.lower()}({several(node['exprs'])})"
    if kind == "Not":
        return f"not({text_of(node['expr'], source)})"
    if kind == "Array":
        return f"[{several(node['exprs'])}]"
    if kind == "Tuple":
        return f"tuple({several(node['exprs'])})"
    if kind == "Lambda":
        names = [literals.hogql_identifier(str(name)) for name in node["args"]]
        listed = names[0] if len(names) == 1 else f"({', '.join(names)})"
        return f"{listed} -> {text_of(node['expr'], source)}"
    if kind in QUERIES:
        return f"({_source_text(node, source)})"
    return _source_text(node, source)


def _source_text(node: Node, source: str) -> str:
    start, end = node.get("start"), node.get("end")
    if isinstance(start, dict) and isinstance(end, dict):
        return source[start["offset"] : end["offset"]].strip() or str(node["node"])
    return str(node["node"])
