"""Which type holds a property's values: decided by what PostHog declares, else by the kinds of values seen.

Kinds are only ever added, and the type is a function of them: so the join of what any pages hold is commutative,
associative and idempotent, and the type comes out the same in whatever order pages arrive.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Literal

PropertyType = Literal["bool", "bigint", "decimal", "double", "date", "timestamp", "json", "text"]
"""dlt's names. A decimal is a whole number of up to 38 digits, a timestamp is UTC with microseconds."""

Declared = Literal["String", "Numeric", "Boolean", "DateTime", "Duration"]
"""What PostHog says a property holds (PropertyType in posthog/models/property_definition.py, autumn 2026)."""

DECLARED: tuple[Declared, ...] = ("String", "Numeric", "Boolean", "DateTime", "Duration")


class Kind(IntFlag):
    """What values are, each by itself."""

    BOOL = 1
    INTEGER = 2
    """Below 2^53 either way: a double holds it exactly."""
    LONG = 4
    """A whole number beyond that, of 64 bits."""
    HUGE = 8
    """A whole number beyond 64 bits, of 38 digits at most."""
    FLOAT = 16
    DATE = 32
    TIME = 64
    """A date with a time and an offset from UTC, to the microsecond."""
    TEXT = 128
    """Any other text, and numbers that no type of number holds."""
    NESTED = 256


_TYPES: tuple[tuple[Kind, PropertyType], ...] = (
    (Kind.BOOL, "bool"),
    (Kind.INTEGER | Kind.LONG, "bigint"),
    (Kind.INTEGER | Kind.LONG | Kind.HUGE, "decimal"),
    (Kind.INTEGER | Kind.FLOAT, "double"),
    (Kind.DATE, "date"),
    (Kind.DATE | Kind.TIME, "timestamp"),
    (Kind.NESTED, "json"),
)

_WIDER: dict[PropertyType, frozenset[PropertyType]] = {
    "bool": frozenset({"text"}),
    "bigint": frozenset({"decimal", "double", "text"}),
    "decimal": frozenset({"double", "text"}),
    "double": frozenset({"text"}),
    "date": frozenset({"timestamp", "text"}),
    "timestamp": frozenset({"text"}),
    "json": frozenset({"text"}),
    "text": frozenset(),
}


def type_of(kinds: Kind, declared: Declared | None = None) -> PropertyType | None:
    """The narrowest type for values of these kinds; None where neither they nor PostHog say anything.

    What PostHog declares goes first, also where no value fits it: there only whole and broken numbers are told apart.
    """
    if declared in {"Numeric", "Duration"}:
        return "double" if kinds & Kind.FLOAT else "decimal" if kinds & Kind.HUGE else "bigint"
    if declared == "Boolean":
        return "bool"
    if declared == "DateTime":
        return "timestamp"
    if declared is None and not kinds:
        return None
    if declared is None:
        for held, name in _TYPES:
            if not kinds & ~held:
                return name
    return "text"


def is_wider(narrow: PropertyType, wide: PropertyType) -> bool:
    """Whether a column of type `narrow` may become one of type `wide`."""
    return wide in _WIDER[narrow]


def widened(held: PropertyType, wanted: PropertyType) -> PropertyType:
    """What a column of type `held` becomes for values of type `wanted`: never narrower, text if nothing else does."""
    if held == wanted or is_wider(wanted, held):
        return held
    return wanted if is_wider(held, wanted) else "text"


def declared_type(name: object) -> Declared | None:
    """PostHog's word as one that is known here; None for any other."""
    return next((declared for declared in DECLARED if declared == name), None)
