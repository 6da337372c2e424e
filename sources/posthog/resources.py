"""The tables as dlt resources: pages with their hints, keys that come once, and what is kept in dlt's state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dlt
from dlt.extract import DltResource

from sources.posthog.children import ChildPages
from sources.posthog.dedup import Deduplicator
from sources.posthog.elements.pages import ElementPages
from sources.posthog.extraction import CLAIM, Extraction
from sources.posthog.properties.columns import PropertyColumns, facts_of, held_types
from sources.posthog.reading import Page, State, TableReading
from sources.posthog.spool import SpooledPage
from sources.posthog.tables import EVENTS, PROPERTY_COLUMNS, Table


def resources_of(extraction: Extraction, has_room: Callable[[int], bool] | None = None) -> list[DltResource]:
    """dlt resources that read `extraction` for one load package: until `has_room` says that the package is full.

    Without `has_room` each evaluation of a resource is a run of its own, as with any dlt source that is run twice; and
    tables that are read on request only are there, but not selected.
    """
    readings = extraction.readings.values()
    return [
        _resource(extraction, reading.table, has_room)
        for reading in readings
        if has_room is None or not reading.is_over
    ]


def _resource(extraction: Extraction, table: Table, has_room: Callable[[int], bool] | None) -> DltResource:
    is_unique = has_room is not None and table.reads.copies_come_together
    has_elements = extraction.settings.elements and table.name == EVENTS.name

    def pages() -> Iterator[Any]:
        if has_room is None and extraction.readings[table.name].is_begun:
            extraction.renew()
        claim = extraction.claim(dlt.current.source_state())
        dlt.current.resource().apply_hints(additional_table_hints={CLAIM: claim})
        has_pages = False
        state = _state_of(table)
        columns = extraction.property_columns(
            table.name, state, held_types(dlt.current.source_schema().tables.get(table.name, {}), table)
        )
        # A package of the program is never taken up again half loaded, so its keys are known; a script's run has no
        # end in sight for them.
        unique = Deduplicator(table.key) if is_unique else None
        elements = ElementPages(extraction.readings[table.name], is_unique=is_unique) if has_elements else None
        for page in extraction.pages(table.name, state, has_room or (lambda _: True)):
            if not has_pages:
                _tell_columns(extraction.readings[table.name])
            has_pages = True
            if columns is not None:
                _tell_property_columns(columns, state)
            yield from _items(page, unique, elements)
        extraction.remember(dlt.current.source_state())
        if columns is not None and has_pages and PROPERTY_COLUMNS.name not in extraction.withheld:
            yield ChildPages(PROPERTY_COLUMNS, is_unique=True)(facts_of(columns.catalogue))
        if table.loads == "replace" and not has_pages:
            # dlt would take it for a table that is empty now. This one was not read, or has not changed.
            dlt.current.resource().apply_hints(write_disposition="append")

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


def _items(page: Page, unique: Deduplicator | None, elements: ElementPages | None) -> Iterator[Any]:
    """What dlt is given for a page: its rows of keys that it does not have yet, and their elements."""
    if isinstance(page, SpooledPage):
        if unique is None or unique.passes(page.kept):
            # dlt links to the file or copies it; the schema is that of a table without rows.
            empty = page.schema.empty_table()
            yield dlt.mark.with_file_import(str(page.path), "parquet", page.num_rows, hints=empty)
            page.path.unlink()
            if elements is not None:
                yield elements(page.kept)
            return
        whole = page.table()
        page.path.unlink()
        page = whole
    if isinstance(page, list):
        # An empty list alone makes no table, and leaves one that is to be replaced as it is (dlt 1.31).
        yield page or dlt.mark.materialize_table_schema()
        return
    page = page if unique is None else unique(page)
    yield page
    if elements is not None:
        yield elements(page)


def _state_of(table: Table) -> State:
    """What dlt keeps for a table from run to run."""
    if table.loads == "replace":
        # dlt empties the state of a resource that is replaced before it is read.
        replaced: State = dlt.current.source_state().setdefault("replaced", {})
        found: State = replaced.setdefault(table.name, {})
        return found
    return dlt.current.resource_state()


def _tell_property_columns(columns: PropertyColumns, state: State) -> None:
    """Tells dlt of new columns, and keeps in `state` what is known of all."""
    if new := columns.new_columns():
        hints: dict[str, Any] = {column.name: column.dlt_hints() for column in new}
        dlt.current.resource().apply_hints(columns=hints)
    state["property_columns"] = columns.catalogue.state()


def _tell_columns(reading: TableReading) -> None:
    """Tells dlt what PostHog's answer told of a table whose columns are not declared."""
    if reading.columns:
        hints: dict[str, Any] = {column.name: column.dlt_hints() for column in reading.columns}
        dlt.current.resource().apply_hints(columns=hints, primary_key=reading.key or None)
