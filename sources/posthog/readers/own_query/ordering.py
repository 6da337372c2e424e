"""An order over the rows of a query by some of its columns, which HogQL can compare exactly.

Each column becomes one or two parts that are never NULL. A part knows how it is sorted by, how its exact value is asked
for, and how that value is written back into a condition. All comparing is done by the server: what sorts where differs
between ClickHouse and Python (UUIDs, texts that are no UTF-8), so here values are only ever compared for being equal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import OwnQueryRefused
from ...pages.arrow import FLAG, INTEGER, TEXT, Kind
from ...sql.dialect import Dialect, text_literal
from .schema import QueryColumn
from .type_conversion import ClickHouseType

Values = tuple[Any, ...]
"""Exact values of all parts of an order, in their order."""

_INTEGERS = frozenset({f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)})
_TIMES = frozenset({"DateTime", "DateTime64"})
_INSTEAD = {
    "String": "''",
    "Date": "toDate('1970-01-01')",
    "UUID": "toUUID('00000000-0000-0000-0000-000000000000')",
    **dict.fromkeys(_INTEGERS, "0"),
    **dict.fromkeys(_TIMES, "toDateTime64('1970-01-01 00:00:00', 0, 'UTC')"),
}
"""What stands for NULL."""
_GROWING = frozenset({"String", "FixedString", "Date", "Date32", *_TIMES, *_INTEGERS})
"""Types whose values, or the texts of them, are in the order that people mean."""


@dataclass(frozen=True)
class Part:
    """One piece of an order."""

    order: str
    """What is sorted by and compared."""
    exact: str
    """What gives the value so that JSON keeps it."""
    literal: Callable[[Any], str]
    """HogQL for a value."""
    kind: Kind = TEXT
    """What the exact value is in JSON."""
    is_flag: bool = False
    """Whether it only tells NULL, which is neither the first nor the last of anything, from the rest."""


@dataclass(frozen=True)
class Order:
    """Rows in the order of `parts`."""

    parts: tuple[Part, ...]

    @property
    def by(self) -> str:
        """For ORDER BY."""
        return ", ".join(part.order for part in self.parts)

    @property
    def latest_first(self) -> str:
        """For ORDER BY, the other way round; NULL stays behind."""
        return ", ".join(part.order if part.is_flag else f"{part.order} DESC" for part in self.parts)

    @property
    def kinds(self) -> list[Kind]:
        """What the exact values are in JSON."""
        return [part.kind for part in self.parts]

    @property
    def exact(self) -> list[str]:
        """What to select to know where a row stands."""
        return [part.exact for part in self.parts]

    def after(self, values: Values) -> str:
        """The condition for rows behind `values`."""
        return self._beyond(values, ">", strict=True)

    def from_(self, values: Values) -> str:
        """The condition for rows at or behind `values`."""
        return self._beyond(values, ">", strict=False)

    def upto(self, values: Values) -> str:
        """The condition for rows before or at `values`."""
        return self._beyond(values, "<", strict=False)

    def at(self, values: Values) -> str:
        """The condition for rows at `values`."""
        return " AND ".join(
            f"{part.order} = {part.literal(value)}" for part, value in zip(self.parts, values, strict=True)
        )

    def _beyond(self, values: Values, sign: str, *, strict: bool) -> str:
        """Compared part by part: a comparison of tuples would not be used to skip what need not be read."""
        *before, (last, value) = zip(self.parts, values, strict=True)
        condition = f"{last.order} {sign if strict else sign + '='} {last.literal(value)}"
        for part, value in reversed(before):
            literal = part.literal(value)
            beyond = f"{part.order} {sign} {literal} OR {part.order} = {literal} AND ({condition})"
            condition = f"{part.order} {sign}= {literal} AND ({beyond})"
        return condition


def order_of(dialect: Dialect, columns: Sequence[QueryColumn]) -> Order:
    """An order by these columns, any that suits: it need not be the one that people have in mind."""
    return Order(tuple(part for column in columns for part in _parts(dialect, column)))


def growing(dialect: Dialect, column: QueryColumn) -> Order:
    """The order of a column's own values, NULL behind all others.

    Raises:
        OwnQueryRefused: values of its type cannot be compared exactly.
    """
    if column.kind.name not in _GROWING:
        raise OwnQueryRefused(
            f"{column.hogql} has the type {column.clickhouse_type}, and cannot be a cursor",
            meaning="A cursor is a time, a date, a whole number of up to 64 bits, or a text.",
            advice="Take another column, or make one of it in the query: toInt(...), toDateTime(...), toString(...).",
        )
    return order_of(dialect, [column])


def _parts(dialect: Dialect, column: QueryColumn) -> tuple[Part, ...]:
    ref, kind = column.ref, column.kind
    if not kind.is_nullable:
        return (_part(dialect, kind, ref),)
    # NULL compares to nothing: whether there is one comes first, and some value stands for it.
    flag = Part(f"isNull({ref})", f"isNull({ref})", lambda value: str(int(value)), FLAG, is_flag=True)
    if kind.name in _INSTEAD and (kind.name not in _TIMES or dialect.has_typed_times):
        return flag, _part(dialect, kind, f"ifNull({ref}, {_INSTEAD[kind.name]})")
    text = _text(dialect, kind, ref)
    return flag, Part(f"ifNull({text.order}, '')", f"ifNull({text.exact}, '')", text.literal, text.kind)


def _part(dialect: Dialect, kind: ClickHouseType, ref: str) -> Part:
    """A value in its own order, which the server can use to read less, where a literal can say it exactly."""
    if kind.name in _INTEGERS:
        return Part(ref, ref, lambda value: str(int(value)), INTEGER)
    if kind.name == "Date":
        return Part(ref, ref, lambda value: f"toDate({text_literal(str(value))})")
    if kind.name == "UUID":
        return Part(ref, f"toString({ref})", lambda value: f"toUUID({text_literal(str(value))})")
    if kind.name in _TIMES and dialect.has_typed_times:
        digits = int(kind.arguments[0]) if kind.name == "DateTime64" else 0
        return Part(
            ref, dialect.time_text(ref), lambda value: f"toDateTime64({text_literal(str(value))}, {digits}, 'UTC')"
        )
    return _text(dialect, kind, ref)


def _text(dialect: Dialect, kind: ClickHouseType, ref: str) -> Part:
    """A value by its text, which for times and days has their own order."""
    if kind.name in _TIMES:
        text = dialect.time_text(ref)
        return Part(text, text, text_literal)
    text = ref if kind.name == "String" else f"toString({ref})"
    if not dialect.has_hashes:
        return Part(text, text, lambda value: text_literal(str(value)))
    # In hex, for an answer cannot hold text that is no UTF-8. Servers that know no hashes know no hex() either.
    return Part(text, f"hex({text})", lambda value: f"unhex({text_literal(str(value))})")
