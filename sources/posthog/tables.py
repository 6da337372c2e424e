"""The tables, declared as data: a new one costs one declaration here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

DataType = Literal["text", "timestamp", "json", "bigint", "bool", "double", "date"]
"""dlt's names of types."""


@dataclass(frozen=True)
class Column:
    """One column of a table: what it is, and where PostHog keeps it."""

    name: str
    data_type: DataType
    hogql: str
    """Its name in PostHog. UUIDs and times are asked for as text, times in UTC."""
    description: str
    nullable: bool = True
    is_uuid: bool = False
    """Text in a UUID's canonical form: destinations that have a UUID type use it."""
    empty_is_null: bool = False
    """PostHog has no NULL there and writes an empty text instead."""

    def dlt_hints(self) -> dict[str, Any]:
        """The column as dlt's schema wants it. `x-uuid` is ours: dlt has no UUID type."""
        hints: dict[str, Any] = {
            "name": self.name,
            "data_type": self.data_type,
            "nullable": self.nullable,
            "description": self.description,
        }
        if self.data_type == "timestamp":
            hints["timezone"] = True
            hints["precision"] = 6
        if self.is_uuid:
            hints["x-uuid"] = True
        return hints


@dataclass(frozen=True)
class Table:
    """A table of the warehouse: its key, its columns, and what a key needs to read it."""

    name: str
    primary_key: str
    columns: tuple[Column, ...]
    description: str
    hogql_table: str
    scope: str = "query:read"
    hard_delete: str | None = None
    """A boolean column: rows that arrive with it set are removed from the table instead."""
    newest_by: str | None = None
    """Of two rows with the same key the one with the greater value here counts."""

    def column_hints(self) -> dict[str, dict[str, Any]]:
        """Columns for `dlt.resource(columns=...)`."""
        hints = {column.name: column.dlt_hints() for column in self.columns}
        if self.hard_delete:
            hints[self.hard_delete]["hard_delete"] = True
        if self.newest_by:
            hints[self.newest_by]["dedup_sort"] = "desc"
        return hints


EVENTS = Table(
    name="events",
    primary_key="uuid",
    hogql_table="events",
    # ClickHouse keeps the copy that landed last (ReplacingMergeTree by _timestamp, which HogQL does not have).
    newest_by="created_at",
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
            "PostHog events.created_at: when PostHog took it in, UTC, microseconds.",
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
    hogql_table="raw_persons",
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
        Column("version", "bigint", "version", "PostHog raw_persons.version: counts up with each change."),
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
    hogql_table="raw_person_distinct_ids",
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
            "PostHog raw_person_distinct_ids.version: counts up with each change.",
        ),
        Column("is_deleted", "bool", "is_deleted", "Always false here: rows that arrive as deleted are removed."),
    ),
)

TABLES: dict[str, Table] = {table.name: table for table in (EVENTS, PERSONS, PERSON_DISTINCT_IDS)}
"""The tables that `sync` knows by name, in the order in which they are loaded."""
