"""How a column of each ClickHouse type is asked for so that nothing is lost, and what it becomes.

PostHog's JSON loses what JSON has no word for: NaN and infinities become null, some servers cut times to milliseconds
and give them in the project's zone, integers of 128 bits cannot be written (posthog-api 6.6, autumn 2026; the cut was
seen on a server of December 2023). So such values are asked for as text.

ClickHouse's names of types are read apart: `Map(String, Array(Nullable(DateTime64(6, 'UTC'))))`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from ...pages.arrow import UTC_MICROS, column_array, json_texts, times, uuids
from ...pages.json_text import parsable
from ...sql.dialect import Dialect
from ...tables.schema import DataType

_MEMBER = re.compile(r"^(?P<name>`(?:[^`\\]|\\.)*`|[A-Za-z_]\w*) +(?P<type>[A-Z].*)$", re.DOTALL)

# ClickHouse's geometry is made of these (its documentation, autumn 2026).
_GEOMETRY = {
    "Point": "Tuple(Float64, Float64)",
    "Ring": "Array(Point)",
    "LineString": "Array(Point)",
    "MultiLineString": "Array(LineString)",
    "Polygon": "Array(Ring)",
    "MultiPolygon": "Array(Polygon)",
}


@dataclass(frozen=True)
class ClickHouseType:
    """A type without what only says how it is stored. `arguments` are its own, as text."""

    name: str
    arguments: tuple[str, ...] = ()
    is_nullable: bool = False

    @property
    def is_nested(self) -> bool:
        """Whether its values are made of others."""
        return self.name in {"Array", "Tuple", "Map", "Nested"}

    @cached_property
    def members(self) -> tuple[tuple[str, ClickHouseType], ...]:
        """The types inside, with their names; names of unnamed ones are empty. None of a type that is not nested."""
        if not self.is_nested:
            return ()
        return tuple(_member(argument) for argument in self.arguments)

    @property
    def inner(self) -> ClickHouseType:
        """What an Array holds; Nested is an Array of named tuples."""
        return self.members[0][1] if self.name == "Array" else ClickHouseType("Tuple", self.arguments)

    @property
    def has_names(self) -> bool:
        """Whether it is a Tuple whose members are named, or has one in it."""
        return any(name for name, _ in self.members) or any(member.has_names for _, member in self.members)


def parse_type(text: str) -> ClickHouseType:
    """The type that `text` names; Nullable, LowCardinality and SimpleAggregateFunction are looked through."""
    name, arguments = _split(text.strip())
    if name in {"Nullable", "LowCardinality", "SimpleAggregateFunction"} and arguments:
        inner = parse_type(arguments[-1])
        return ClickHouseType(inner.name, inner.arguments, inner.is_nullable or name == "Nullable")
    if name in _GEOMETRY:
        return parse_type(_GEOMETRY[name])
    return ClickHouseType(name, arguments, is_nullable=name in {"Nothing", "Dynamic", "Variant"})


def _split(text: str) -> tuple[str, tuple[str, ...]]:
    """`Name(a, b)` as its name and its arguments, whatever quotes and brackets are in these."""
    name, bracket, rest = text.partition("(")
    if not bracket:
        return text, ()
    arguments: list[str] = []
    level, quote, start, skip = 0, "", 0, False
    inner = rest[:-1]
    for place, character in enumerate(inner):
        if skip:
            skip = False
        elif quote:
            skip = character == "\\"
            quote = "" if character == quote else quote
        elif character in "'`\"":
            quote = character
        elif character == "(":
            level += 1
        elif character == ")":
            level -= 1
        elif character == "," and level == 0:
            arguments.append(inner[start:place].strip())
            start = place + 1
    last = inner[start:].strip()
    return name.strip(), (*arguments, last) if last else tuple(arguments)


def _member(text: str) -> tuple[str, ClickHouseType]:
    if match := _MEMBER.match(text):
        name = match["name"]
        if name.startswith("`"):
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        return name, parse_type(match["type"])
    return "", parse_type(text)


_MOST_DIGITS = 38
"""Of a decimal number, in DuckDB and most other destinations; longer ones are kept as text."""

_SMALL_INTEGERS = frozenset({"Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32"})
_FLOATS = {"Float64": pa.float64(), "Float32": pa.float32(), "BFloat16": pa.float32()}
_PLAIN = frozenset({"String", "Enum8", "Enum16", "Enum", "Bool", "Date", "Date32", "UInt64", *_SMALL_INTEGERS})
_TIMES = frozenset({"DateTime", "DateTime64"})
_DECIMALS = frozenset({"Decimal", "Decimal32", "Decimal64", "Decimal128", "Decimal256"})
_DIGITS_OF = {"Decimal32": 9, "Decimal64": 18, "Decimal128": 38, "Decimal256": 76}

# Inside nested values these are already what they should be, in PostHog's own JSON.
_PLAIN_INSIDE = _PLAIN | frozenset({"FixedString", "UUID", "Float64", "Float32", "BFloat16", "Nothing"})


class UnreadableType(ValueError):
    """A type whose values cannot be given out."""


@dataclass(frozen=True)
class Form:
    """What a column of one type becomes."""

    data_type: DataType
    arrow: pa.DataType
    select: Callable[[Dialect, str], str]
    """The HogQL that asks for an expression of the type without loss."""
    read: Callable[[Sequence[Any]], pa.Array]
    """The answer's values as an Arrow array of type `arrow`."""
    is_uuid: bool = False
    precision: tuple[int, int] | None = None
    """Of a decimal number: digits in all, and behind the point."""
    is_unsigned: bool = False

    @property
    def kind(self) -> str:
        """The type of the column in the warehouse, in a word."""
        if self.is_uuid or self.is_unsigned:
            return "uuid" if self.is_uuid else "unsigned"
        return "_".join([self.data_type, *map(str, self.precision or ())])


def _bare(_: Dialect, expression: str) -> str:
    return expression


def _call(function: str) -> Callable[[Dialect, str], str]:
    return lambda _, expression: f"{function}({expression})"


def _reader(wanted: pa.DataType) -> Callable[[Sequence[Any]], pa.Array]:
    if pa.types.is_decimal(wanted):
        return lambda values: pa.array(values, wanted)
    return lambda values: column_array(values, wanted)


def _decimal(kind: ClickHouseType) -> Form:
    if kind.name == "Decimal":
        digits, scale = int(kind.arguments[0]), int(kind.arguments[1])
    else:
        digits, scale = _DIGITS_OF[kind.name], int(kind.arguments[0])
    if digits > _MOST_DIGITS:
        return Form("text", pa.string(), _call("toString"), _reader(pa.string()))
    wanted = pa.decimal128(digits, scale)
    return Form(
        "decimal",
        wanted,
        _call("toString"),
        lambda values: pa.array(values, pa.string()).cast(wanted),
        precision=(digits, scale),
    )


def _times(values: Sequence[Any]) -> pa.Array:
    # Arrow refuses digits beyond microseconds, and destinations would drop them.
    return times([value[:26] if value is not None else None for value in values])


def _floats(exact: pa.DataType) -> Callable[[Sequence[Any]], pa.Array]:
    def read(values: Sequence[Any]) -> pa.Array:
        # The text of a Float32 is the shortest that gives it back as Float32: read as such, then widened.
        return pa.array(values, pa.string()).cast(exact).cast(pa.float64())

    return read


def _whole_numbers(values: Sequence[Any]) -> pa.Array:
    return pa.array(values, pa.string()).cast(pa.int64())


def _nested(kind: ClickHouseType) -> Callable[[Sequence[Any]], pa.Array]:
    def read(values: Sequence[Any]) -> pa.Array:
        if kind.has_names:
            values = [_named(value, kind) for value in values]
        return json_texts(values)

    return read


def _named(value: Any, kind: ClickHouseType) -> Any:
    """A nested value with named tuples as objects: PostHog gives them as lists."""
    if value is None or not kind.has_names:
        return value
    if kind.name == "Map" and isinstance(value, dict):
        return {key: _named(each, kind.members[1][1]) for key, each in value.items()}
    if kind.name == "Tuple" and isinstance(value, list):
        items = [_named(each, member) for each, (_, member) in zip(value, kind.members, strict=True)]
        names = [name for name, _ in kind.members]
        return dict(zip(names, items, strict=True)) if all(names) else items
    if kind.name in {"Array", "Nested"} and isinstance(value, list):
        return [_named(each, kind.inner) for each in value]
    return value


def _plain(dialect: Dialect, expression: str, kind: ClickHouseType, depth: int) -> str | None:
    """HogQL for a value inside a nested one such that JSON keeps it; None where it does already."""
    if kind.name in _PLAIN_INSIDE or kind.name.startswith("Interval"):
        return None
    if kind.name in {"Array", "Nested"}:
        item = f"item_{depth}"
        inner = _plain(dialect, item, kind.inner, depth + 1)
        return f"arrayMap({item} -> {inner}, {expression})" if inner else None
    if kind.name == "Map":
        return _plain_map(dialect, expression, kind, depth)
    if kind.name == "Tuple":
        return _plain_tuple(dialect, expression, kind, depth)
    return dialect.time_text(expression) if kind.name in _TIMES else f"toString({expression})"


def _plain_tuple(dialect: Dialect, expression: str, kind: ClickHouseType, depth: int) -> str | None:
    parts = [f"tupleElement({expression}, {place})" for place in range(1, len(kind.members) + 1)]
    plain = [_plain(dialect, part, member, depth) for part, (_, member) in zip(parts, kind.members, strict=True)]
    if not any(plain):
        return None
    return f"tuple({', '.join(new or old for new, old in zip(plain, parts, strict=True))})"


def _plain_map(dialect: Dialect, expression: str, kind: ClickHouseType, depth: int) -> str | None:
    """Keys of a JSON object are texts, so all others are made so."""
    item = f"item_{depth}"
    (_, key), (_, value) = kind.members
    key_text = None if key.name == "String" else _plain(dialect, item, key, depth + 1) or f"toString({item})"
    value_text = _plain(dialect, item, value, depth + 1)
    if key_text is None and value_text is None:
        return None
    keys, values = f"mapKeys({expression})", f"mapValues({expression})"
    keys = f"arrayMap({item} -> {key_text}, {keys})" if key_text else keys
    values = f"arrayMap({item} -> {value_text}, {values})" if value_text else values
    return f"mapFromArrays({keys}, {values})"


_AS_TEXT = Form("text", pa.string(), _call("toString"), _reader(pa.string()))
_TEXT = Form("text", pa.string(), _bare, _reader(pa.string()))
_INTEGER = Form("bigint", pa.int64(), _bare, _reader(pa.int64()))
_DATE = Form("date", pa.date32(), _bare, _reader(pa.date32()))
_TIME = Form("timestamp", UTC_MICROS, lambda dialect, expression: dialect.time_text(expression), _times)
_JSON = Form("json", pa.string(), _call("toJSONString"), lambda texts: parsable(json_texts(texts)))

_FORMS: Mapping[str, Form] = {
    "Bool": Form("bool", pa.bool_(), _bare, _reader(pa.bool_())),
    "UUID": Form("text", pa.string(), _call("toString"), uuids, is_uuid=True),
    # Arrow's uint64 would become a BIGINT, which ends at 2^63.
    "UInt64": Form(
        "decimal", pa.decimal128(20, 0), _bare, _reader(pa.decimal128(20, 0)), precision=(20, 0), is_unsigned=True
    ),
    **{name: Form("double", pa.float64(), _call("toString"), _floats(exact)) for name, exact in _FLOATS.items()},
    **dict.fromkeys(_SMALL_INTEGERS, _INTEGER),
    **dict.fromkeys(("Date", "Date32"), _DATE),
    **dict.fromkeys(_TIMES, _TIME),
    **dict.fromkeys(("JSON", "Object"), _JSON),
    **dict.fromkeys(("String", "Enum", "Enum8", "Enum16", "Nothing"), _TEXT),
}


def form_of(kind: ClickHouseType) -> Form:
    """How a column of type `kind` is asked for and what it becomes.

    Raises:
        UnreadableType: it holds the inner state of an aggregation.
    """
    if kind.name in {"AggregateFunction", "QBit"}:
        raise UnreadableType(
            f"{kind.name}({', '.join(kind.arguments)}) is an inner state that PostHog cannot give out: finish it in "
            "the query, for instance with sumMerge() or finalizeAggregation()."
        )
    if kind.is_nested:
        return Form("json", pa.string(), lambda dialect, e: _plain(dialect, e, kind, 0) or e, _nested(kind))
    if kind.name in _DECIMALS:
        return _decimal(kind)
    if kind.name.startswith("Interval"):
        return Form("bigint", pa.int64(), _call("toString"), _whole_numbers)
    # Others as text: addresses, times of day, integers of 128 and 256 bits, and types that are yet to come.
    return _FORMS.get(kind.name, _AS_TEXT)
