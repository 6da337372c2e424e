"""Property filters of insights as HogQL conditions.

Source: posthog/hogql/property.py, autumn 2026: which operators there are, and that a missing property is "not equal"
to everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from posthog_warehouse.sandbox.api.envelope import invalid
from posthog_warehouse.sandbox.store import quoted

_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def identifier(name: object) -> str:
    """A name in backticks, whatever it holds."""
    return "`" + str(name).replace("\\", "\\\\").replace("`", "\\`") + "`"


def field(kind: str, key: object) -> str:
    """The HogQL for a property.

    Args:
        kind: event, person, feature (a flag's value on the event) or event_metadata (a column).
        key: its name.

    Raises:
        ApiError: 400, a kind of property that this server does not have.
    """
    if kind == "event":
        return f"properties.{identifier(key)}"
    if kind == "feature":
        return f"properties.{identifier(f'$feature/{key}')}"
    if kind == "person":
        return f"person.properties.{identifier(key)}"
    if kind == "event_metadata":
        return identifier(key)
    raise invalid(f"This local PostHog does not know properties of type {kind!r} in insights.")


def conditions(properties: object) -> list[str]:
    """The HogQL conditions of ``properties``: a list of filters, or a group with AND or OR.

    Raises:
        ApiError: 400, a filter that this server does not know.
    """
    if not properties:
        return []
    if isinstance(properties, Mapping):
        return [_group(properties)]
    if isinstance(properties, list):
        return [_filter(item) for item in properties]
    raise invalid("Properties must be a list of filters or a group of them.")


def _group(group: Mapping[str, Any]) -> str:
    values = [_group(value) if "values" in value else _filter(value) for value in group.get("values") or []]
    word = " OR " if group.get("type") == "OR" else " AND "
    return f"({word.join(values)})" if values else "true"


def _filter(item: object) -> str:
    if not isinstance(item, Mapping):
        raise invalid("Each property filter must be an object.")
    kind = str(item.get("type") or "event")
    if kind == "hogql":
        return f"({item.get('key')})"
    what = field(kind, item.get("key"))
    operator = str(item.get("operator") or "exact")
    if operator in ("is_set", "is_not_set"):
        return f"({what} IS {'NOT ' if operator == 'is_set' else ''}NULL)"
    values = item.get("value")
    wanted = [_text(value) for value in (values if isinstance(values, list) else [values])]
    return _compared(what, operator, wanted)


def _compared(what: str, operator: str, wanted: Sequence[str]) -> str:
    if operator in ("exact", "is_not"):
        among = " OR ".join(f"{what} = {text}" for text in wanted) or "false"
        return f"({among})" if operator == "exact" else f"(NOT ifNull(({among}), false))"
    if operator in _COMPARISONS:
        return f"(toFloat({what}) {_COMPARISONS[operator]} toFloat({wanted[0]}))"
    if operator in ("icontains", "not_icontains"):
        among = " OR ".join(f"position(lower(ifNull(toString({what}), '')), lower({text})) > 0" for text in wanted)
        return f"({among})" if operator == "icontains" else f"(NOT ({among}))"
    if operator in ("regex", "not_regex"):
        found = f"ifNull(match(toString({what}), {wanted[0]}), false)"
        return found if operator == "regex" else f"(NOT {found})"
    raise invalid(f"This local PostHog does not know the operator {operator!r} in insights.")


def _text(value: object) -> str:
    # Properties are compared as the text of their JSON.
    return quoted("true" if value is True else "false" if value is False else str(value))
