"""The check by counts: is what was loaded what PostHog holds?

Events are compared by UTC day and name, as numbers of distinct uuids; all other tables as numbers of keys. In each
table that is merged the rows here are counted against the keys here, too: one key in two rows makes every other number
wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from posthog_warehouse.destinations.destination import Bounds, Cell
from posthog_warehouse.sources.posthog import PostHogError, Run, TableReading
from posthog_warehouse.sources.posthog.clock import MAX, MIN, to_datetime
from posthog_warehouse.sources.posthog.planning.histogram import EventCounter
from posthog_warehouse.sources.posthog.planning.intervals import Window
from posthog_warehouse.sources.posthog.readers.base import EventCount

Status = Literal["complete", "short", "unknown", "skipped", "not due"]


class Counting(Protocol):
    """What the check asks of a destination."""

    def count_events(self, bounds: Bounds) -> dict[Cell, int]:
        """Rows of `events` within bounds, by UTC day and name."""

    def count_keys(self, table: str, *, has_tombstones: bool) -> int:
        """Rows of a keyed table; tombstones, where it has them, left out."""

    def count_repeated(self, table: str, keys: Sequence[str]) -> int:
        """Rows of a table besides the first of each key."""


@dataclass(frozen=True)
class TableCheck:
    """What the check of one table found."""

    table: str
    status: Status
    posthog_rows: int | None = None
    warehouse_rows: int | None = None
    missing: int = 0
    extra: int = 0
    cells: int = 0
    reason: str = ""
    repeated: int = 0
    """Rows here besides the first of each key."""

    def __str__(self) -> str:
        """`complete`, `short by N`, `unknown`, `skipped` or `not due`, as people are told."""
        return f"short by {self.missing:,}" if self.status == "short" else self.status


def check(run: Run, reading: TableReading, destination: Counting) -> TableCheck:
    """Compares one table with PostHog. What cannot be found out is `unknown`.

    Raises:
        PostHogError: PostHog could not be asked, and no other table's check could ask it either (`is_shared`).
    """
    if (unread := _unread(reading)) is not None:
        return unread
    try:
        if reading.evidence.plan is not None:
            found = _check_events(run, reading, destination)
        elif reading.evidence.counted is not None:
            found = _check_counted(reading, reading.evidence.counted, destination)
        else:
            found = _check_keys(reading, destination)
        found = _with_repeated(found, reading, destination)
    except PostHogError as error:
        if error.is_shared:
            raise
        return TableCheck(reading.table.name, "unknown", reason=f"PostHog could not be asked: {error.message}")
    if reading.evidence.doubt and found.status == "complete":
        # The numbers are equal up to the time that was taken for the present; of later rows nothing is known.
        reason = f"The clock cannot be relied on: {reading.evidence.doubt}"
        return replace(found, status="unknown", reason="; ".join(filter(None, (reason, found.reason))))
    return found


def _with_repeated(found: TableCheck, reading: TableReading, destination: Counting) -> TableCheck:
    """`found`, unless two rows here have the same key: then their number proves nothing."""
    table = reading.table
    is_keyed = table.loads == "merge" and reading.keys
    repeated = destination.count_repeated(table.name, reading.keys) if is_keyed else 0
    if not repeated:
        return found
    reason = (
        f"{repeated:,} rows here have the {' and '.join(reading.keys)} of another row, so that counts prove nothing: "
        "two programs wrote at once, or a file or rows were copied in. Remove them, and run the same command again"
    )
    status: Status = "short" if found.status == "short" else "unknown"
    return replace(found, status=status, reason=reason, repeated=repeated)


def _unread(reading: TableReading) -> TableCheck | None:
    """What is to be said of a table of which this run has nothing to prove; None: it was read."""
    name = reading.table.name
    if reading.outcome.next_due is not None:
        due = to_datetime(reading.outcome.next_due).strftime("%Y-%m-%d %H:%M")
        return TableCheck(name, "not due", reason=f"Read again from {due} UTC on, or when it is named.")
    if reading.withheld is not None:
        return TableCheck(name, "unknown", reason=reading.withheld.reason)
    if reading.outcome.skipped is not None:
        # Who may not read a main table has proven nothing; a table that is not there for this key, plan or server is
        # no part of what was to be proven.
        status: Status = "skipped" if reading.table.is_optional else "unknown"
        return TableCheck(name, status, reason=str(reading.outcome.skipped))
    if reading.outcome.failed is not None:
        return TableCheck(name, "unknown", reason=str(reading.outcome.failed))
    return None


def _check_events(run: Run, reading: TableReading, destination: Counting) -> TableCheck:
    plan = reading.evidence.plan
    assert plan is not None  # noqa: S101 - the caller looked
    # What came in during the last minutes may not be visible yet on either side.
    window = Window(plan.ts_from, plan.ts_to, MIN, min(plan.created_to, run.now - run.settings.safety_lag))
    if window.is_empty and reading.evidence.ahead is None:
        return TableCheck(reading.table.name, "complete", 0, 0)
    windows = [window] if reading.evidence.ahead is None else [window, reading.evidence.ahead]
    counter = EventCounter(run.client, run.dialect)
    there: Counter[Cell] = Counter()
    here: Counter[Cell] = Counter()
    for each in windows:
        for cell in counter.histogram(each, distinct=True):
            there[to_datetime(cell.day).strftime("%Y-%m-%d"), cell.event] += cell.rows
        bounds = (None if bound in {MIN, MAX} else to_datetime(bound) for bound in each)
        here.update(destination.count_events(Bounds(*bounds)))
    missing, extra = _differences(there, here)
    reasons = []
    if missing:
        # The same uuid sent again with another time or name stands in two cells there, and in one here.
        doubled = min(missing, sum(there.values()) - sum(map(counter.distinct_count, windows)))
        missing -= doubled
        if doubled > 0:
            reasons.append(f"{doubled:,} uuids stand in more than one day or under more than one name in PostHog")
    if extra:
        reasons.append(f"{extra:,} rows are no longer in PostHog")
    return TableCheck(
        reading.table.name,
        "short" if missing else "complete",
        sum(there.values()),
        sum(here.values()),
        missing,
        extra,
        len(there.keys() | here.keys()),
        "; ".join(reasons),
    )


def _check_counted(reading: TableReading, counted: EventCount, destination: Counting) -> TableCheck:
    """Events of a server that cannot count them: what two readings agreed on stands for its count."""
    here: Counter[Cell] = Counter()
    for start, end in counted.spans:
        here.update(destination.count_events(Bounds(to_datetime(start), to_datetime(end))))
    missing, extra = _differences(counted.cells, here)
    reasons = [f"{extra:,} rows are no longer in PostHog"] if extra else []
    status: Status = "short" if missing else "complete"
    if counted.unproven:
        first = to_datetime(min(counted.unproven)[0])
        reasons.append(
            f"{len(counted.unproven):,} spans of time, the first from {first:%Y-%m-%d %H:%M} UTC on, were never the "
            "same in two readings, and PostHog cannot be asked for counts"
        )
        status = "short" if missing else "unknown"
    return TableCheck(
        reading.table.name,
        status,
        sum(counted.cells.values()),
        sum(here.values()),
        missing,
        extra,
        len(counted.cells.keys() | here.keys()),
        "; ".join(reasons),
    )


def _check_keys(reading: TableReading, destination: Counting) -> TableCheck:
    table = reading.table
    has_tombstones = table.hard_delete is None and any(column.name == "is_deleted" for column in table.columns)
    here = destination.count_keys(table.name, has_tombstones=has_tombstones)
    there = reading.evidence.held
    if there != here and reading.evidence.recount is not None:
        # Rows come and go while they are read: the number may lie anywhere between then and now.
        now = reading.evidence.recount()
        low, high = min(now, there if there is not None else now), max(now, there if there is not None else now)
        there = min(max(here, low), high)
    if there is None:
        return TableCheck(table.name, "unknown", None, here, reason="PostHog does not say how many there are")
    return TableCheck(
        table.name,
        "short" if here < there else "complete",
        there,
        here,
        max(0, there - here),
        max(0, here - there),
        1,
        f"{here - there:,} rows are no longer in PostHog" if here > there else "",
    )


def _differences(there: Mapping[Cell, int], here: Mapping[Cell, int]) -> tuple[int, int]:
    """Rows missing here, and rows too many here, summed over all cells."""
    missing = extra = 0
    for cell in there.keys() | here.keys():
        difference = there.get(cell, 0) - here.get(cell, 0)
        missing += max(0, difference)
        extra += max(0, -difference)
    return missing, extra
