"""The tables as dlt resources: pages with their hints, keys that come once, and what is kept in dlt's state.

Tables that are made of the pages of another table, such as the elements of events, are loaded with them: for dlt, pages
under another name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from typing import Any, TypeAlias

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt.sources import DltResource

from .dlt_internals import current_resource, emptied_tables, give_hints
from .pages.dedup import Deduplicator, OnceARun
from .pages.elements_chain import elements_of
from .pages.spool import SpooledPage
from .properties.shred import PropertyColumns, facts_of, held_types
from .readers.base import Page, State, TableReading
from .readers.extraction import CLAIM, Extraction
from .stored_schema import StoredSchema
from .tables import EVENT_ELEMENTS, EVENTS, PROPERTY_COLUMNS, Column, Table


class ChildPages:
    """Hands pages of `table` to dlt while the resource of another table is read."""

    def __init__(self, table: Table, *, is_unique: bool, disposition: str = "merge") -> None:
        """To be made while that resource is read. `is_unique`: no key comes twice in a load package."""
        self._name = table.name
        columns: Any = table.column_hints()
        merge: Any = {"disposition": "merge", "strategy": "delete-insert", "deduplicated": is_unique}
        loads: Any = merge if disposition == "merge" else disposition
        give_hints(
            table.name,
            write_disposition=loads,
            columns=columns,
            primary_key=table.keys,
            merge_key=table.merge_key,
            file_format="parquet",
        )

    def __call__(self, rows: pa.Table) -> Any:
        """`rows`, with the hints of their table."""
        return dlt.mark.with_table_name(rows, self._name)


_UNREADABLE = "elements could not be read: event_elements.attributes has their text as $elements_chain"


class ElementPages:
    """Makes them for one load package, and tells the reading of events what could not be read."""

    def __init__(self, reading: TableReading, *, is_unique: bool, disposition: str = "merge") -> None:
        """To be made while the resource of events is read. `is_unique`: no event comes twice. `disposition`: what dlt
        does with the events, and then with these."""
        self._reading = reading
        self._child = ChildPages(EVENT_ELEMENTS, is_unique=is_unique, disposition=disposition)

    def __call__(self, events: pa.Table) -> Any:
        """The elements of `events`, with the hints of their table; an empty page where there are none."""
        found = elements_of(events.column("uuid"), events.column("elements_chain"))
        if found.broken:
            self._reading.notes.add_to(found.broken, _UNREADABLE)
        return self._child(found.table)


Unique: TypeAlias = "Deduplicator | OnceARun"
"""Lets each key pass once."""


def resources_of(extraction: Extraction, has_room: Callable[[int], bool] | None = None) -> list[DltResource]:
    """dlt resources that read `extraction` for one load package: until `has_room` says that the package is full.

    Without `has_room` each evaluation of a resource is a run of its own, as with any dlt source that is run twice; and
    tables that are read on request only are there, but not selected.
    """
    readings = extraction.readings.values()
    stored = StoredSchema()
    return [
        _resource(extraction, reading.table, has_room, stored)
        for reading in readings
        if has_room is None or not reading.is_over
    ]


def _resource(
    extraction: Extraction, table: Table, has_room: Callable[[int], bool] | None, stored: StoredSchema
) -> DltResource:
    is_unique = has_room is not None and table.reads.copies_come_together
    keys = table.hints.get("primary_key", table.primary_key)
    has_elements = extraction.settings.elements and table.name == EVENTS.name

    def pages() -> Iterator[Any]:
        if has_room is None and extraction.readings[table.name].is_begun:
            extraction.renew()
        is_script = has_room is None
        # The program has looked into its dataset before.
        claim = extraction.claim(dlt.current.source_state(), stored.take_over() if is_script else None)
        if claim:
            current_resource().apply_hints(additional_table_hints={CLAIM: claim})
        has_pages = False
        told = _Told()
        disposition = _disposition()
        state = _state_of(table, is_script=is_script)
        columns = extraction.property_columns(
            table.name, state, held_types(dlt.current.source_schema().tables.get(table.name, {}), table)
        )
        with ExitStack() as opened:
            # The keys of a package of the program fit into memory, and it is never taken up again half loaded. Those of
            # a script's run may not; where dlt merges it sees to it itself that no key comes twice.
            unique: Unique | None = Deduplicator(table.key) if is_unique else None
            if table.loads == "merge" and disposition != "merge" and keys:
                names = [keys] if isinstance(keys, str) else list(keys)
                unique = opened.enter_context(closing(OnceARun(names, table.newest_by or "created_at")))
            elements = (
                ElementPages(extraction.readings[table.name], is_unique=is_unique, disposition=disposition)
                if has_elements
                else None
            )
            for page in extraction.pages(table.name, state, has_room or (lambda _: True)):
                has_pages = True
                told.answered(extraction.readings[table.name])
                if columns is not None:
                    told.properties(columns)
                    state["property_columns"] = columns.catalogue.state()
                left = _without_removed(page, table) if disposition == "replace" else page
                yield from _items(left, unique, elements)
                if isinstance(page, SpooledPage):
                    page.path.unlink()
        extraction.note_read(table.name, state)
        extraction.remember(dlt.current.source_state())
        if columns is not None and has_pages:
            # What the last page completed is counted only after it was passed on.
            state["property_columns"] = columns.catalogue.state()
        if columns is not None and has_pages and PROPERTY_COLUMNS.name not in extraction.withheld:
            yield ChildPages(PROPERTY_COLUMNS, is_unique=True)(facts_of(columns.catalogue))
        reading = extraction.readings[table.name]
        if (
            disposition == "replace"
            and not has_pages
            and (table.loads == "replace" or reading.outcome.skipped is not None)
        ):
            # dlt would take it for a table that is empty now. This one was not read, or has not changed.
            current_resource().apply_hints(write_disposition="append")

    hints: dict[str, Any] = {
        "name": table.name,
        "primary_key": table.primary_key,
        "merge_key": table.merge_key,
        "write_disposition": "replace"
        if table.loads == "replace"
        # dlt need not look for duplicates where there are none, which takes it several times the memory.
        else {"disposition": "merge", "strategy": "delete-insert", **({"deduplicated": True} if is_unique else {})},
        "columns": table.column_hints(is_unique=is_unique),
        "max_table_nesting": table.max_nesting,
        "file_format": "parquet" if table.reads.engine == "hogql" else None,
        "selected": has_room is not None or not table.is_on_request,
        **table.hints,
    }
    resource: DltResource = dlt.resource(**hints)(pages)()
    return resource


def _disposition() -> str:
    """What dlt does with the rows of the resource that is being read: what we ask for, unless a script says otherwise
    (`pipeline.run(..., write_disposition="replace")`)."""
    given: Any = current_resource().write_disposition
    return str(given["disposition"] if isinstance(given, dict) else given)


def _without_removed(page: Page, table: Table) -> Page:
    """`page` without the rows that only say that a row is to be removed: unless it merges, dlt would load them."""
    removes = table.hard_delete
    if removes is None or isinstance(page, SpooledPage):
        return page
    if isinstance(page, pa.Table):
        return page.filter(pc.invert(pc.fill_null(page.column(removes), fill_value=False)))
    return [row for row in page if not row.get(removes)]


def _items(page: Page, unique: Unique | None, elements: ElementPages | None) -> list[Any]:
    """What dlt is given for a page: its rows of keys that it does not have yet, and their elements."""
    if isinstance(page, SpooledPage):
        if unique is None or (isinstance(unique, Deduplicator) and unique.passes(page.kept)):
            # dlt links to the file or copies it; the schema is that of a table without rows.
            empty = page.schema.empty_table()
            imported = dlt.mark.with_file_import(str(page.path), "parquet", page.num_rows, hints=empty)
            return [imported] if elements is None else [imported, elements(page.kept)]
        page = page.table()
    if isinstance(page, list):
        rows = unique(page) if isinstance(unique, OnceARun) else page
        # An empty list alone makes no table, and leaves one that is to be replaced as it is (dlt 1.31).
        return [rows or dlt.mark.materialize_table_schema()]
    page = page if unique is None else unique(page)
    return [page] if elements is None else [page, elements(page)]


def _state_of(table: Table, *, is_script: bool) -> State:
    """What dlt keeps for a table from run to run."""
    if table.loads == "replace":
        # dlt empties the state of a resource that is replaced before it is read.
        replaced: State = dlt.current.source_state().setdefault("replaced", {})
        if _is_emptied(table) or (is_script and table.name not in dlt.current.source_schema().tables):
            replaced.pop(table.name, None)
        found: State = replaced.setdefault(table.name, {})
        return found
    return dlt.current.resource_state()


def _is_emptied(table: Table) -> bool:
    """Whether dlt drops or empties the table ahead of this load (`refresh`): what was loaded is not there any more.

    After `dlt pipeline drop` it is not in the schema, which a script's pipeline keeps from run to run.
    """
    return any(each["name"] == table.name for each in emptied_tables())


class _Told:
    """What one resource, of one load package, has told dlt of columns that the table does not declare.

    Each package tells all of them again: for a column without a hint dlt would take the type of the page, in which JSON
    is text, and a column of an earlier package would change its type in dlt's schema while it keeps it in the
    destination.
    """

    def __init__(self) -> None:
        self._columns: dict[str, Column] = {}
        self._key: tuple[str, ...] = ()

    def properties(self, columns: PropertyColumns) -> None:
        """Tells of the property columns that are new."""
        if new := self._new(known.column for known in columns.catalogue.properties):
            current_resource().apply_hints(columns=new)

    def answered(self, reading: TableReading) -> None:
        """Tells what PostHog's answers told, so far, of a table of which not all columns are declared."""
        new = self._new(reading.answered.columns)
        if new or reading.answered.key != self._key:
            self._key = reading.answered.key
            # Given no columns, dlt would forget those that it has.
            current_resource().apply_hints(columns=new or None, primary_key=reading.answered.key or None)

    def _new(self, columns: Iterable[Column]) -> dict[str, Any]:
        new = {column.name: column for column in columns if self._columns.get(column.name) != column}
        self._columns.update(new)
        return {name: column.dlt_hints() for name, column in new.items()}
