"""`{name}`, `{variables.code}` and `{filters}` in a query, replaced before anything else is looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any, cast

from posthog_warehouse.sandbox.hogql.context import HogQLContext
from posthog_warehouse.sandbox.hogql.errors import HogQLError
from posthog_warehouse.sandbox.hogql.nodes import Node, call, constant, error_at

_RELATIVE = re.compile(r"-(\d+)([hdwm])\Z")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1), "m": timedelta(days=30)}


def replace_placeholders(tree: Node, context: HogQLContext) -> Node:
    """A copy of the tree with every placeholder that the request has a value for replaced by a constant.

    Raises:
        HogQLError: a variable or a filter that cannot be filled in. An unknown `{name}` stays, and is refused when
            it is printed.
    """
    return cast("Node", _replace(tree, context))


def _replace(part: Any, context: HogQLContext) -> Any:
    if isinstance(part, list):
        return [_replace(item, context) for item in part]
    if not isinstance(part, dict):
        return part
    if part.get("node") == "Placeholder":
        return _value(part, context)
    return {key: _replace(value, context) for key, value in part.items()}


def _value(node: Node, context: HogQLContext) -> Node:
    chain = node["expr"].get("chain") if node["expr"]["node"] == "Field" else None
    if chain is None:
        return node
    if chain[0] == "filters" and len(chain) == 1 and "filters" not in context.values:
        return _filters(node, context)
    if chain[0] == "variables" and len(chain) == 2:
        if chain[1] not in context.variables:
            raise error_at(node, f"Variable {chain[1]} is missing from query")
        return constant(context.variables[chain[1]])
    value: object = context.values
    for name in chain:
        if not isinstance(value, Mapping) or name not in value:
            return node
        value = value[name]
    return constant(value)


def _filters(node: Node, context: HogQLContext) -> Node:
    """The date range of `filters` as conditions on `timestamp`; without any, a condition that always holds."""
    filters = context.filters or {}
    unknown = [name for name, value in filters.items() if value and name != "dateRange"]
    if unknown:
        raise error_at(node, f"Filters other than dateRange are not supported here: {', '.join(unknown)}")
    dates = filters.get("dateRange") or {}
    if not isinstance(dates, Mapping):
        raise error_at(node, "dateRange is an object with date_from and date_to")
    conditions: list[Node] = []
    for key, op in (("date_from", ">="), ("date_to", "<")):
        value = dates.get(key)
        if value and value != "all":
            moment = call("toDateTime64", constant(_moment(str(value), context)), constant(6), constant("UTC"))
            field = {"node": "Field", "chain": ["timestamp"]}
            conditions.append({"node": "CompareOperation", "op": op, "left": field, "right": moment})
    if not conditions:
        return constant(value=True)
    return {"node": "And", "exprs": conditions}


def _moment(text: str, context: HogQLContext) -> str:
    """An ISO date or time, or `-7d` and its like, as ClickHouse text in UTC."""
    relative = _RELATIVE.match(text)
    if relative:
        moment = context.now - int(relative[1]) * _UNITS[relative[2]]
    else:
        try:
            # Python 3.10 does not read "Z".
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            raise HogQLError(f"Not a date: {text}") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
