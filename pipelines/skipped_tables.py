"""Tables that a run leaves out, for the destination cannot take their rows as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from posthog_warehouse.destinations.errors import TableUnusable
from posthog_warehouse.pipelines.records import RECORD_TABLES
from posthog_warehouse.sources.posthog import Table
from posthog_warehouse.sources.posthog.readers.skipped_tables import Withheld
from posthog_warehouse.sources.posthog.tables import EVENT_ELEMENTS, EVENTS, PROPERTY_COLUMNS

Unusable = Mapping[str, Sequence[TableUnusable]]
"""Errors by the table that is left out for them."""

_NESTED = "__"
"""Between the names of a table and of one that dlt makes of its lists."""
_ALONE = {PROPERTY_COLUMNS.name, *(table.name for table in RECORD_TABLES)}
"""Tables that say something of others: those are loaded without."""


def left_out(errors: Iterable[TableUnusable], tables: Iterable[Table]) -> dict[str, list[TableUnusable]]:
    """Which of `tables`, and of those that say something of them, are left out: child tables are loaded with theirs."""
    names = {table.name for table in tables} | _ALONE
    found: dict[str, list[TableUnusable]] = {}
    for error in errors:
        name = EVENTS.name if error.table == EVENT_ELEMENTS.name else error.table
        while name not in names and _NESTED in name:
            name = name.rpartition(_NESTED)[0]
        if name in names:
            found.setdefault(name, []).append(error)
    return found


def withheld(unusable: Unusable) -> dict[str, Withheld]:
    """The same, as those who read PostHog are told."""
    return {
        table: Withheld(" ".join(each.message for each in errors), _lost(table, errors))
        for table, errors in unusable.items()
    }


def _lost(table: str, errors: Sequence[TableUnusable]) -> list[str] | None:
    # What lies in another table's folder is of rows of any time.
    if any(each.lost is None or (each.lost and each.table != table) for each in errors):
        return None
    return sorted({day for each in errors for day in each.lost or ()})
