"""Tables of REST lists that are read whole, and replaced when anything in them has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from sources.posthog.errors import AccessDenied, EndpointNotFound, NotFound
from sources.posthog.listing.asking import Asking, askings
from sources.posthog.listing.canonical import canonical
from sources.posthog.listing.missing import asked_once
from sources.posthog.listing.passes import Whole, read_whole
from sources.posthog.listing.rows import Shape
from sources.posthog.reading import Noted, State, TableReading
from sources.posthog.run import Run
from sources.posthog.tables import Table
from sources.posthog.tables.listed import Listing

Row = dict[str, Any]

PAGE_ROWS = 5_000
"""Rows handed to dlt at once."""


def read_listing(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """All rows of a table's lists, or nothing if they are what was loaded last (`reading.is_unchanged`)."""
    table = reading.table
    shape = Shape(table, dict(state.get("types", {})))
    lists = _Lists(run, table, shape)
    rows = lists.read()
    reading.notes += [*lists.notes, *shape.notes]
    reading.columns = shape.more_columns
    reading.held = lists.held
    reading.recount = lambda: _recount(run, table)

    run.progress.fetched(table.name, len(rows))
    mark = fingerprint(table, rows)
    if state.get("fingerprint") == mark:
        reading.is_unchanged = True
        return

    def noted(state: State) -> None:
        state["fingerprint"] = mark
        state["types"] = shape.types

    batches = [rows[start : start + PAGE_ROWS] for start in range(0, len(rows), PAGE_ROWS)] or [[]]
    for number, batch in enumerate(batches, 1):
        yield batch, noted if number == len(batches) else nothing


def fingerprint(table: Table, rows: list[Row]) -> str:
    """The same for the same rows in any order, as long as the table is declared alike."""
    digest = hashlib.sha256(repr((table.keys, table.columns, table.max_nesting)).encode())
    for text in sorted(canonical(row) for row in rows):
        digest.update(text)
    return digest.hexdigest()


def nothing(_: State) -> None:
    """Nothing to note."""


class _Lists:
    """The lists of one table, one after another."""

    def __init__(self, run: Run, table: Table, shape: Shape) -> None:
        if not isinstance(table.reads, Listing):
            raise TypeError(f"{table.name} is not read from a list")
        self._run = run
        self._reads = table.reads
        self._shape = shape
        self.held: int | None = None
        """How many rows PostHog holds; None: they changed all the time."""
        self.notes: list[str] = []

    def read(self) -> list[Row]:
        """All rows, one of each key."""
        rows: dict[tuple[str, ...], Row] = {}
        hidden = 0
        is_settled = True
        for asking in askings(self._run, self._reads):
            whole = self._whole(asking)
            if whole is None:
                self.notes.append(f"PostHog has nothing at {asking.path}")
                continue
            for raw in whole.rows.values():
                rows[self._shape.key(raw, asking.values)] = self._shape.row(raw, asking.values)
            is_settled &= whole.is_settled
            hidden += max(0, (whole.count or 0) - len(whole.rows))
        if hidden:
            self.notes.append(f"PostHog counts {hidden:,} rows more than it lists")
        if not is_settled:
            self.notes.append("it changed during every one of several readings: the next run may bring more")
        self.held = len(rows) + hidden if is_settled else None
        return list(rows.values())

    def _whole(self, asking: Asking) -> Whole | None:
        def key_of(raw: Any) -> tuple[str, ...]:
            return self._shape.key(raw, asking.values)

        try:
            client, rows_in = self._run.client, self._reads.rows_in
            with asked_once(self._run.lacking, asking.path, names_thing=asking.path != self._reads.path):
                return read_whole(client, asking.path, asking.params, key_of=key_of, rows_in=rows_in, exact=True)
        except (AccessDenied, NotFound) as error:
            if self._reads.instead is not None:
                raw = self._run.client.get(self._reads.instead, exact=True)
                return Whole({key_of(raw): raw}, passes=1)
            is_one_of_many = bool(asking.values) and isinstance(error, NotFound)
            if not is_one_of_many or isinstance(error, EndpointNotFound):
                raise
        return None


def _recount(run: Run, table: Table) -> int:
    lists = _Lists(run, table, Shape(table, {}))
    rows = lists.read()
    return len(rows) if lists.held is None else lists.held
