"""The elements of a page of events as a page of their own table, for dlt."""

from __future__ import annotations

from typing import Any

import dlt
import pyarrow as pa

from sources.posthog.elements.chains import elements_of
from sources.posthog.reading import TableReading
from sources.posthog.tables import EVENT_ELEMENTS

_NOTE = "elements could not be read: event_elements.attributes has their text as $elements_chain"


class ElementPages:
    """Makes them for one load package, and tells the reading of events what could not be read."""

    def __init__(self, reading: TableReading, *, is_unique: bool) -> None:
        """To be made while the resource of events is read. `is_unique`: no event comes twice."""
        self._reading = reading
        table = EVENT_ELEMENTS
        columns: Any = table.column_hints()
        merge: Any = {"disposition": "merge", "strategy": "delete-insert", "deduplicated": is_unique}
        # `dlt.mark.with_hints` would add the columns of events, which it starts from. `_hints_variants` is where dlt
        # 1.31 keeps what it makes of them, by table (not documented; pinned by the tests of elements).
        dlt.current.resource()._hints_variants[table.name] = dlt.mark.make_hints(
            table_name=table.name,
            write_disposition=merge,
            columns=columns,
            primary_key=table.keys,
            merge_key=table.merge_key,
            file_format="parquet",
        )

    def __call__(self, events: pa.Table) -> Any:
        """The elements of `events`, with the hints of their table; an empty page where there are none."""
        found = elements_of(events.column("uuid"), events.column("elements_chain"))
        if found.broken:
            self._note(found.broken)
        return dlt.mark.with_table_name(found.table, EVENT_ELEMENTS.name)

    def _note(self, broken: int) -> None:
        notes = self._reading.notes
        for index, note in enumerate(notes):
            if note.endswith(_NOTE):
                broken += int(note.split(" ", 1)[0].replace(",", ""))
                notes[index] = f"{broken:,} {_NOTE}"
                return
        notes.append(f"{broken:,} {_NOTE}")
