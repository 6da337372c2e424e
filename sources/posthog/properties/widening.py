"""What has to happen to columns whose values no longer fit, as data: who does it is another matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sources.posthog.properties.catalogue import Catalogue, Property
from sources.posthog.properties.types import Kind, PropertyType

_FAITHFUL: Mapping[PropertyType, tuple[PropertyType, ...]] = {
    "bigint": ("decimal", "double", "text"),
    "decimal": ("text",),
    "date": ("timestamp", "text"),
    "json": ("text",),
}
"""A cast of what is there gives what the raw JSON would: not so for a double or a moment, whose spelling is lost."""


@dataclass(frozen=True)
class Widening:
    """One column that is to become wider."""

    table: str
    column: str
    key: str
    from_type: PropertyType
    to_type: PropertyType
    needs_refill: bool
    """Rows that are there must be made anew from the raw JSON: values are NULL that fit now, or were spelled otherwise.
    Else a cast of the column is all."""


def plan(catalogue: Catalogue) -> list[Widening]:
    """The widenings that are due, by column name. `Catalogue.widen` notes that one is done."""
    return [
        Widening(catalogue.table, known.name, known.key, known.type, known.wanted, _needs_refill(known))
        for known in sorted(catalogue.properties, key=lambda known: known.name)
        if known.type != known.wanted
    ]


def _needs_refill(known: Property) -> bool:
    if known.conflicts:
        return True
    if (known.type, known.wanted) == ("bigint", "double"):
        return Kind.LONG in known.kinds
    return known.wanted not in _FAITHFUL.get(known.type, ())
