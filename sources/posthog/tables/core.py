"""Events, persons and distinct_ids: what everything else refers to.

Two more are loaded with them: the elements of events, made of a column of theirs; and the record of the property
columns, made while pages are taken apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .schema import (
    Column,
    EngineName,
    MadeOfPages,
    Probe,
    Reads,
    Table,
    bigint,
    double,
    json,
    text,
    time,
)


@dataclass(frozen=True)
class EventLeaves(Reads):
    """Events, in leaves of the order in which PostHog stores them (`posthog.readers.events`)."""

    engine: ClassVar[EngineName] = "hogql"
    copies_come_together: ClassVar[bool] = True

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return "windows of created_at, an overlap, a daily sweep for late events"

    def probe(self) -> Probe:
        """What to ask to see whether the table can be read."""
        return Probe(sql="SELECT 1 FROM events WHERE 1 = 2 LIMIT 1")


@dataclass(frozen=True)
class Versioned(Reads):
    """A table of HogQL with a version for each key (`posthog.readers.versioned`)."""

    table: str
    """Its name in HogQL."""

    engine: ClassVar[EngineName] = "hogql"
    copies_come_together: ClassVar[bool] = True

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return "versions: only what changed is read"

    def probe(self) -> Probe:
        """What to ask to see whether the table can be read."""
        return Probe(sql=f"SELECT 1 FROM {self.table} WHERE 1 = 2 LIMIT 1")


EVENTS = Table(
    name="events",
    primary_key="uuid",
    reads=EventLeaves(),
    # ClickHouse keeps the copy that landed last (ReplacingMergeTree by _timestamp, which HogQL does not have).
    newest_by="created_at",
    property_owner="event",
    description="One row per event. Query the view events_resolved where person merges should count.",
    columns=(
        Column("uuid", "text", "uuid", "PostHog events.uuid: the key.", nullable=False, is_uuid=True),
        Column("event", "text", "event", "PostHog events.event: the event's name."),
        Column(
            "timestamp",
            "timestamp",
            "timestamp",
            "PostHog events.timestamp: when it happened, by the sender's clock, UTC, microseconds.",
        ),
        Column(
            "created_at",
            "timestamp",
            "created_at",
            "PostHog events.created_at: when PostHog took it in, UTC, microseconds; NULL from PostHog's lists.",
        ),
        Column(
            "distinct_id",
            "text",
            "distinct_id",
            "PostHog events.distinct_id: who did it, by the sender's id.",
        ),
        Column(
            "person_id",
            "text",
            "person_id",
            "PostHog events.person_id as stored at ingestion; a later merge does not change it.",
            is_uuid=True,
        ),
        Column(
            "session_id",
            "text",
            "$session_id",
            "PostHog events.$session_id; NULL where there is none.",
            empty_is_null=True,
        ),
        Column(
            "window_id",
            "text",
            "$window_id",
            "PostHog events.$window_id; NULL where there is none.",
            empty_is_null=True,
        ),
        Column(
            "elements_chain",
            "text",
            "elements_chain",
            "PostHog events.elements_chain: the clicked element and its parents; NULL where there is none.",
            empty_is_null=True,
        ),
        Column(
            "properties",
            "json",
            "properties",
            "PostHog events.properties: the whole JSON object, as PostHog holds it.",
        ),
    ),
)

PERSONS = Table(
    name="persons",
    primary_key="person_id",
    reads=Versioned("raw_persons"),
    property_owner="person",
    description="One row per person, the latest version. The view persons_current leaves out the deleted ones.",
    columns=(
        Column("person_id", "text", "id", "PostHog persons.id: the key.", nullable=False, is_uuid=True),
        Column(
            "created_at",
            "timestamp",
            "created_at",
            "PostHog persons.created_at: when the person was first seen, UTC; NULL once deleted.",
        ),
        Column(
            "is_identified",
            "bool",
            "is_identified",
            "PostHog persons.is_identified: known by an identify call; NULL once deleted.",
        ),
        Column(
            "properties",
            "json",
            "properties",
            "PostHog persons.properties: the whole JSON object; NULL once deleted.",
        ),
        Column(
            "version",
            "bigint",
            "version",
            "PostHog raw_persons.version: counts up with each change; NULL from PostHog's lists.",
        ),
        Column(
            "is_deleted",
            "bool",
            "is_deleted",
            "Whether PostHog no longer has this person (deleted, or merged into another).",
        ),
    ),
)

PERSON_DISTINCT_IDS = Table(
    name="person_distinct_ids",
    primary_key="distinct_id",
    reads=Versioned("raw_person_distinct_ids"),
    description="Which person each distinct_id belongs to now. Ids that PostHog dropped are dropped here too.",
    hard_delete="is_deleted",
    columns=(
        Column(
            "distinct_id",
            "text",
            "distinct_id",
            "PostHog person_distinct_ids.distinct_id: the key.",
            nullable=False,
        ),
        Column(
            "person_id",
            "text",
            "person_id",
            "PostHog person_distinct_ids.person_id: whose it is now.",
            is_uuid=True,
        ),
        Column(
            "version",
            "bigint",
            "version",
            "PostHog raw_person_distinct_ids.version: counts up with each change; NULL from PostHog's lists.",
        ),
        Column("is_deleted", "bool", "is_deleted", "Always false here: rows that arrive as deleted are removed."),
    ),
)

CORE_TABLES = (EVENTS, PERSONS, PERSON_DISTINCT_IDS)

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

PROPERTY_COLUMNS = Table(
    name="property_columns",
    primary_key=("table_name", "key"),
    reads=MadeOfPages("the tables whose columns they are: a row is replaced whenever its column was read again"),
    description=(
        "One row per property that is a column of its own: of events, persons and groups. What a column does not hold "
        "is in the JSON column properties of the same row."
    ),
    columns=(
        Column("table_name", "text", "", "The table that the column belongs to.", nullable=False),
        Column("key", "text", "", "The property, as PostHog has it.", nullable=False),
        text("column_name", "The column: the key in snake_case, with a hash where two keys would have one name."),
        text("type", "What the column holds: bool, bigint, decimal, double, date, timestamp, json or text."),
        text("wanted_type", "What would hold all values seen: another type than `type` until the column is widened."),
        text("declared_type", "What PostHog declares: String, Numeric, Boolean, DateTime or Duration; NULL: nothing."),
        time("first_seen", "When a value was first read, UTC."),
        time("last_seen", "When a value was last read, UTC."),
        double("coverage", "The share of the rows counted that have a value, from 0 to 1."),
        bigint(
            "conflicts",
            "Values that the column does not hold: NULL there, whole in the JSON. An event counts once, with its "
            "window of sync_windows, however often it is read; a person or group each time that it has changed.",
        ),
    ),
)
