"""How ClickHouse values become PostHog's JSON: expressions that make ClickHouse itself write them that way.

PostHog renders query results with orjson over Python values (posthog/renderers.py, autumn 2026). Doing the
same here, row by row in Python, would take seconds for a page of 40,000 events, so each column is wrapped in
the SQL expression that gives the same text, and ClickHouse's JSON writer does the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_DATETIME = re.compile(r"^DateTime(?:64\(\d+(?:, '(?P<zone64>[^']+)')?\)|\('(?P<zone>[^']+)'\))?$")
_UTC_ZONES = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu"})

# With these, ClickHouse's CustomSeparated format is an array of arrays: nothing to cut out afterwards.
JSON_SETTINGS: dict[str, object] = {
    "format_custom_escaping_rule": "JSON",
    "format_custom_result_before_delimiter": "[",
    "format_custom_result_after_delimiter": "]",
    "format_custom_row_before_delimiter": "[",
    "format_custom_row_after_delimiter": "]",
    "format_custom_row_between_delimiter": ",",
    "format_custom_field_delimiter": ",",
    "output_format_json_escape_forward_slashes": 0,
    "output_format_json_quote_64bit_integers": 0,
    "output_format_json_quote_denormals": 0,
    "output_format_json_named_tuples_as_objects": 0,
    "date_time_output_format": "iso",
}


@dataclass(frozen=True)
class Rendering:
    """What differs between PostHog servers in how values are written."""

    # Datetimes whose type names no zone. ClickHouse Cloud and PostHog's own servers run in UTC.
    timezone: str = "UTC"
    # A server of December 2023 cut datetimes to milliseconds; newer ones keep six digits.
    milliseconds_only: bool = False


def render(expression: str, clickhouse_type: str, rendering: Rendering) -> str:
    """Return an SQL expression whose JSON is what PostHog writes for `expression` of `clickhouse_type`.

    Datetimes become ISO-8601 text in their own zone (`Z` for UTC, else the offset; the fraction only when it
    is not zero), Decimals text, strings valid UTF-8. Arrays and tuples are followed into; a Map's values are
    left to ClickHouse, which writes datetimes in it as ISO text in UTC.
    """
    return _render(expression, clickhouse_type, rendering, depth=0) or expression


def _render(expression: str, type_: str, rendering: Rendering, depth: int) -> str | None:
    """Return the wrapped expression, or None where ClickHouse's own JSON is already right."""
    match = _DATETIME.match(type_)
    if match:
        return _datetime(expression, match["zone64"] or match["zone"] or rendering.timezone, rendering)
    name, arguments = _split(type_)
    if name in {"Nullable", "LowCardinality", "SimpleAggregateFunction"}:
        return _render(expression, arguments[-1], rendering, depth)
    if name == "Tuple":
        return _tuple(expression, arguments, rendering, depth)
    if name == "Array":
        item = f"item_{depth}"
        inner = _render(item, arguments[0], rendering, depth + 1)
        return f"arrayMap({item} -> {inner}, {expression})" if inner else None
    plain: dict[str, str | None] = {
        "String": f"toValidUTF8({expression})",
        "FixedString": f"toValidUTF8(toString({expression}))",
        "Decimal": f"toDecimalString({expression}, {arguments[-1]})" if arguments else None,
    }
    return plain.get(name)


def _tuple(expression: str, members: list[str], rendering: Rendering, depth: int) -> str | None:
    parts = [f"tupleElement({expression}, {number})" for number in range(1, len(members) + 1)]
    rendered = [
        _render(part, _member_type(member), rendering, depth) for part, member in zip(parts, members, strict=True)
    ]
    if not any(rendered):
        return None
    return "tuple(" + ", ".join(new or old for new, old in zip(rendered, parts, strict=True)) + ")"


def _datetime(expression: str, zone: str, rendering: Rendering) -> str:
    text = f"formatDateTime({expression}, '%Y-%m-%dT%H:%i:%S.%f', '{zone}')"
    if rendering.milliseconds_only:
        text = f"left({text}, if(endsWith({text}, '.000000'), 19, 23))"
    else:
        text = f"replaceOne(left({text}, 26), '.000000', '')"
    if zone in _UTC_ZONES:
        return f"concat({text}, 'Z')"
    offset = f"formatDateTime({expression}, '%z', '{zone}')"
    # orjson writes Z for any zone whose offset is zero at that moment.
    return f"concat({text}, if({offset} = '+0000', 'Z', concat(left({offset}, 3), ':', right({offset}, 2))))"


def _split(type_: str) -> tuple[str, list[str]]:
    """Split `Name(a, b)` into its name and its top-level arguments."""
    name, bracket, rest = type_.partition("(")
    if not bracket:
        return name, []
    arguments, level, start, quoted = [], 0, 0, False
    inner = rest[:-1]
    for position, character in enumerate(inner):
        if character in "'`":
            quoted = not quoted
        elif quoted:
            continue
        elif character == "(":
            level += 1
        elif character == ")":
            level -= 1
        elif character == "," and level == 0:
            arguments.append(inner[start:position].strip())
            start = position + 1
    arguments.append(inner[start:].strip())
    return name, arguments


def _member_type(member: str) -> str:
    """Drop the name of a named tuple's member: `x DateTime` is `DateTime`."""
    named = re.match(r"^(?:`[^`]*`|\w+) (?=[A-Z])", member)
    return member[named.end() :] if named else member
