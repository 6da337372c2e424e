"""Events, persons and distinct_ids: what everything else refers to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from sources.posthog.tables.declaration import Column, EngineName, Probe, Reads, Table


@dataclass(frozen=True)
class EventLeaves(Reads):
    """Events, in leaves of the order in which PostHog stores them (`sources.posthog.hogql.events`)."""

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
    """A table of HogQL with a version for each key (`sources.posthog.hogql.keyed`)."""

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
