"""ClickHouse's names of types, read apart: `Map(String, Array(Nullable(DateTime64(6, 'UTC'))))`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

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
