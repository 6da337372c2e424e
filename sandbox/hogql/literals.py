"""Values and names as ClickHouse SQL. Everything that a user wrote passes through here on its way to ClickHouse."""

from __future__ import annotations

import math
import re

from posthog_warehouse.sandbox.hogql.errors import HogQLError

_ESCAPES = str.maketrans(
    {
        "\\": "\\\\",
        "'": "\\'",
        "`": "\\`",
        "\b": "\\b",
        "\f": "\\f",
        "\r": "\\r",
        "\n": "\\n",
        "\t": "\\t",
        "\0": "\\0",
        "\a": "\\a",
        "\v": "\\v",
    }
)

_PLAIN_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_PLAIN_HOGQL_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z")
_DIGITS = re.compile(r"-?[0-9]+\Z")


def string(text: str) -> str:
    """A string literal: the one way for text from outside into SQL."""
    return f"'{text.translate(_ESCAPES)}'"


def identifier(name: str) -> str:
    """A name chosen by the user, in backquotes.

    Raises:
        HogQLError: PostHog does not take `%` in names.
    """
    if "%" in name:
        raise HogQLError(f'The HogQL identifier "{name}" is not permitted as it contains the "%" character')
    return f"`{name.translate(_ESCAPES)}`"


def column(name: str) -> str:
    """The name of a column of ours: in backquotes only where it has to be."""
    return name if _PLAIN_IDENTIFIER.match(name) else f"`{name.translate(_ESCAPES)}`"


def hogql_identifier(name: str) -> str:
    """A name as HogQL text."""
    return name if _PLAIN_HOGQL_IDENTIFIER.match(name) else f"`{name.translate(_ESCAPES)}`"


def number(value: float | str) -> str:
    """A number literal. The grammar gives integers beyond 64 bits, infinities and NaN as text.

    Raises:
        HogQLError: text that is no number.
    """
    if isinstance(value, str):
        if _DIGITS.match(value):
            return value
        try:
            value = float(value)
        except ValueError:
            raise HogQLError(f"Not a number: {value}") from None
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "Inf" if value > 0 else "-Inf"
    return repr(value)


def scalar(value: object, *, numeric: bool = False) -> str:
    """A literal of a scalar: None, bool, number or text (`numeric`: text that stands for a number)."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number(value)
    text = str(value)
    return number(text) if numeric else string(text)
