"""Tables that whoever loads cannot take in a run, and what is to be asked for again after it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..clock import DAY, MAX, MIN, to_micros
from ..planning.intervals import Region, Window
from ..planning.list_ledger import forget_listed
from ..tables import EVENTS, Table
from ..tables.own_query import Query

_KEPT = ("property_columns", "types")
"""What the state says of columns, which stay as they are."""


@dataclass(frozen=True)
class Withheld:
    """A table of which nothing is read in this run, for its rows could not be taken."""

    reason: str
    lost: Collection[str] | None = ()
    """UTC days (YYYY-MM-DD) of events whose rows the table may have lost; None: rows of any time, in any table."""

    def note(self, table: Table, state: dict[str, Any]) -> None:
        """Makes what may be lost count as never read. Rows that are there after all are merged on their keys."""
        if isinstance(table.reads, Query) and table.reads.write == "append":
            return  # its rows have no key: those that are there would stand there twice
        if table.name == EVENTS.name and self.lost is not None:
            for day in self.lost:
                start = to_micros(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=timezone.utc))
                _forget_day(state, Window(start, start + DAY, MIN, MAX))
        elif self.lost is None or self.lost:
            for name in [name for name in state if name not in _KEPT]:
                del state[name]


def _forget_day(state: dict[str, Any], day: Window) -> None:
    if "covered" in state:
        kept = Region(part for window in Region.from_state(state["covered"]) for part in window.minus(day))
        state["covered"] = kept.to_state()
    forget_listed(state, day.ts_from, day.ts_to)
