"""The elements of a page of events as a page of their own table, for dlt."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from sources.posthog.children import ChildPages
from sources.posthog.elements.chains import elements_of
from sources.posthog.reading import TableReading
from sources.posthog.tables import EVENT_ELEMENTS

_NOTE = "elements could not be read: event_elements.attributes has their text as $elements_chain"


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
            self._note(found.broken)
        return self._child(found.table)

    def _note(self, broken: int) -> None:
        notes = self._reading.notes
        for index, note in enumerate(notes):
            if note.endswith(_NOTE):
                broken += int(note.split(" ", 1)[0].replace(",", ""))
                notes[index] = f"{broken:,} {_NOTE}"
                return
        notes.append(f"{broken:,} {_NOTE}")
