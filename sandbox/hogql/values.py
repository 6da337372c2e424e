"""Printed expressions and what is known about their values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "string", "int", "float", "bool", "datetime", "date", "uuid", "json", "array", "tuple", "null", "unknown"
]


@dataclass(frozen=True)
class ValueType:
    """As much of a type as printing needs: which conversion fits, and whether NULL can occur."""

    kind: Kind
    nullable: bool = False
    whole_seconds: bool = False
    """Of a datetime: DateTime, where the others are DateTime64."""


@dataclass(frozen=True)
class Sql:
    """An expression as ClickHouse SQL, with its type.

    Attributes:
        path: keys into a JSON text; `text` is then the JSON itself, and the keys are still to be applied.
    """

    text: str
    type: ValueType
    path: tuple[str | int, ...] = field(default=())


def words(text: str) -> frozenset[str]:
    """The words of a text: how the lists of names here are written."""
    return frozenset(text.split())


UNKNOWN = ValueType("unknown", nullable=True)
STRING = ValueType("string")
INT = ValueType("int")
FLOAT = ValueType("float")
BOOL = ValueType("bool")
DATETIME = ValueType("datetime")
SECONDS = ValueType("datetime", whole_seconds=True)
DATE = ValueType("date")
UUID = ValueType("uuid")
JSON = ValueType("json")
ARRAY = ValueType("array")
