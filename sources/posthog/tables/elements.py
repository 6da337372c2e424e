"""The elements of events: made of a column of theirs, and loaded with them."""

from __future__ import annotations

from sources.posthog.tables.declaration import Column, MadeOfPages, Table, bigint, json, text

EVENT_ELEMENTS = Table(
    name="event_elements",
    primary_key=("event_uuid", "position"),
    merge_key="event_uuid",
    reads=MadeOfPages("its events: all elements of one are replaced together"),
    description=(
        "One row per element of an autocaptured event: what was clicked, and what it stood in. Loaded with the events "
        "where `elements = true` is set; events that were loaded before that have none."
    ),
    columns=(
        Column("event_uuid", "text", "uuid", "events.uuid of the event.", nullable=False, is_uuid=True),
        bigint(
            "position",
            "0 is the element clicked, 1 what it stands in, and so on.",
            hogql="elements_chain",
            nullable=False,
        ),
        text("tag", "The element's tag; NULL where the chain has none.", hogql="tag_name"),
        text("text", "What is written on it (text)."),
        text("href", "Where it leads."),
        text("id", "The element's id (attr_id).", hogql="attr_id"),
        json(
            "classes",
            "Its classes, a list of texts; NULL where there are none. A class with a dot is two: see attr__class.",
            hogql="attr_class",
        ),
        bigint("nth_child", "Its place among its siblings, from 1; 0 where the sender did not know."),
        bigint("nth_of_type", "Its place among its siblings of the same tag, likewise."),
        json(
            "attributes",
            "All else, an object of texts (`attr__...`). An element that cannot be read is `$elements_chain` in it.",
        ),
    ),
)
