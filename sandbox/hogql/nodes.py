"""The syntax tree as the grammar returns it: JSON objects with a `node` field naming their kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from posthog_warehouse.sandbox.hogql.errors import HogQLError

#: One node of the tree.
Node = dict[str, Any]

QUERIES = frozenset({"SelectQuery", "SelectSetQuery"})


def walk(tree: object, *, into_queries: bool = True) -> Iterator[Node]:
    """Every node of a tree, itself first; subqueries can be left closed (they are still yielded)."""
    if isinstance(tree, list):
        for item in tree:
            yield from walk(item, into_queries=into_queries)
    elif isinstance(tree, dict):
        if "node" in tree:
            yield tree
            if not into_queries and tree["node"] in QUERIES:
                return
        for value in tree.values():
            yield from walk(value, into_queries=into_queries)


def conjuncts(condition: Node | None) -> list[Node]:
    """The conditions that must all hold, flattened."""
    if condition is None:
        return []
    if condition["node"] == "And":
        return [part for expression in condition["exprs"] for part in conjuncts(expression)]
    return [condition]


def constant(value: object) -> Node:
    """A literal of a Python value: scalar, list or tuple.

    Raises:
        HogQLError: a value that HogQL has no literal for.
    """
    if isinstance(value, (list, tuple)):
        return {"node": "Array" if isinstance(value, list) else "Tuple", "exprs": [constant(item) for item in value]}
    if value is None or isinstance(value, (str, bool, int, float)):
        return {"node": "Constant", "value": value}
    raise HogQLError(f"Unsupported value for a placeholder: {type(value).__name__}")


def call(name: str, *args: Node) -> Node:
    """A function call."""
    return {"node": "Call", "name": name, "args": list(args), "params": None, "distinct": False}


def error_at(node: Node, detail: str) -> HogQLError:
    """An error that points at a node."""
    start, end = node.get("start"), node.get("end")
    return HogQLError(
        detail,
        start=start["offset"] if isinstance(start, dict) else None,
        end=end["offset"] if isinstance(end, dict) else None,
    )
