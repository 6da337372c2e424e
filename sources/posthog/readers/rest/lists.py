"""Tables of REST lists that are read whole, and replaced when anything in them has changed.

What a list is asked with, once or once for each of its values, is `askings`. Files that PostHog keeps come as rows with
their bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import AccessDenied, EndpointNotFound, NotFound, NothingRequested, PaymentRequired
from ...http.json_values import canonical
from ...http.unsupported import asked_once
from ...tables import Table
from ...tables.rest import Contents, Each, EachRow, Listing, Values, Wanted, filled
from ..base import Noted, State, TableReading, nothing
from ..run import Run
from .consistent_read import Whole, read_whole
from .pages import pages
from .rows import Shape


@dataclass(frozen=True, eq=False)
class Asking:
    """One list to be read: where, with which parameters, and the values that its rows are given."""

    path: str
    others: Mapping[str, Any]
    """Parameters but for the page's size."""
    size: Mapping[str, Any]
    values: Mapping[str, Any]

    @property
    def params(self) -> Mapping[str, Any]:
        """All parameters of the first page."""
        return {**self.size, **self.others}

    @property
    def name(self) -> str:
        """What tells it from the others of its table."""
        return canonical(dict(self.values)).decode() if self.values else ""


def askings(run: Run, reads: Listing | Contents) -> Iterator[Asking]:
    """Every list that a table is made of.

    Raises NothingRequested where none of what the table needs is wanted, and what `pages` raises for lists on which
    others depend.
    """
    size = {reads.size_param: reads.page_size} if isinstance(reads, Listing) and reads.page_size else {}
    params = reads.params if isinstance(reads, Listing) else {}
    if isinstance(reads, Listing) and reads.unchosen is not None and not _is_chosen(run, reads.each):
        yield Asking(reads.unchosen, params, size, {})
        return
    for values in _values(run, reads.each):
        yield Asking(
            reads.path.format(**values),
            filled(params, values),
            size,
            values,
        )


def _is_chosen(run: Run, every: tuple[Each, ...]) -> bool:
    return any(isinstance(each, Wanted) and getattr(run.requests, each.request) for each in every)


def _values(run: Run, every: tuple[Each, ...]) -> Iterator[Mapping[str, Any]]:
    if not every:
        yield {}
    for each in every:
        if isinstance(each, Values):
            yield from each.values
        elif isinstance(each, EachRow):
            yield from _of_rows(run, each)
        else:
            yield from _wanted(run, each)


def _of_rows(run: Run, each: EachRow) -> Iterator[Mapping[str, Any]]:
    seen = set()
    for row in _rows_at(run, each):
        if not isinstance(row, dict) or (each.only is not None and not row.get(each.only)):
            continue
        values = {name: row.get(field) for name, field in each.values.items()}
        text = canonical(values)
        if text not in seen and None not in values.values():
            seen.add(text)
            yield {**values, **each.also}


def _rows_at(run: Run, each: EachRow) -> Iterator[Any]:
    try:
        with asked_once(run.lacking, each.path):
            rows = [row for page in pages(run.client, each.path) for row in page.rows]
        yield from rows
    except (AccessDenied, NotFound, PaymentRequired):
        if not each.is_extra:
            raise


def _wanted(run: Run, each: Wanted) -> Iterator[Mapping[str, Any]]:
    items = getattr(run.requests, each.request)
    if not items:
        raise NothingRequested(
            f"It is not said which {each.request.replace('_', ' ')} are wanted",
            advice=f"Set {each.request} under [sources.posthog.requests].",
        )
    for item in items:
        parts = str(item).rsplit(":", len(each.names) - 1)
        if len(parts) < len(each.names):
            raise NothingRequested(
                f"{item!r} in {each.request} is not of the form {':'.join(each.names)}",
                advice=f"Mend {each.request} under [sources.posthog.requests].",
            )
        # Some lists show only such properties of persons as their filters speak of.
        filters = [{"key": key, "type": "person"} for key in run.requests.person_properties]
        yield {**dict(zip(each.names, parts, strict=True)), "person_filters": canonical(filters).decode()}


Row = dict[str, Any]

PAGE_ROWS = 5_000
"""Rows handed to dlt at once."""


def read_listing(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """All rows of a table's lists, or nothing if they are what was loaded last (`reading.evidence.is_unchanged`)."""
    table = reading.table
    shape = Shape(table, dict(state.get("types", {})))
    lists = _Lists(run, table, shape)
    rows = lists.read()
    reading.notes += [*lists.notes, *shape.notes]
    reading.answered.columns = shape.more_columns
    reading.evidence.held = lists.held
    reading.evidence.recount = lambda: _recount(run, table)

    run.progress.fetched(table.name, len(rows))
    mark = fingerprint(table, rows)
    if state.get("fingerprint") == mark:
        reading.evidence.is_unchanged = True
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


def read_contents(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The files that were not loaded yet, each a page of its own: they may be large."""
    table, reads = reading.table, reading.table.reads
    if not isinstance(reads, Contents):
        raise TypeError(f"{table.name} holds no files")
    loaded = set(state.get("loaded", []))
    chosen = {str(item) for item in getattr(run.requests, reads.chosen)}
    found = {str(asking.values[table.key]): asking for asking in askings(run, reads)}
    for name, asking in found.items():
        if name in loaded or (chosen and name not in chosen):
            continue
        try:
            content_type, content = run.client.get_bytes(asking.path)
        except NotFound as error:
            if isinstance(error, EndpointNotFound):
                raise
            reading.notes.append(f"PostHog has no file at {asking.path}")
            continue
        run.progress.fetched(table.name, 1)
        loaded.add(name)
        row = {
            table.key: asking.values[table.key],
            "content_type": content_type.split(";")[0].strip() or None,
            "size_bytes": len(content),
            "content": content,
        }
        yield [row], _noted(loaded)
    missing = sorted(chosen - found.keys() - loaded)
    if missing:
        reading.notes.append(f"PostHog has no such files: {', '.join(missing)}")
    reading.evidence.held = len(loaded)


def _noted(loaded: set[str]) -> Callable[[State], None]:
    now = sorted(loaded)

    def noted(state: State) -> None:
        state["loaded"] = now

    return noted
