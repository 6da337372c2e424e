"""The tables of HogQL: which columns a query can name, and where they come from.

Source: posthog/hogql/database/schema/*.py of PostHog/posthog, read in autumn 2026. What a table does not list cannot
be selected: `events.inserted_at`, `_timestamp` and `team_id` exist in ClickHouse and are unknown to HogQL.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from posthog_warehouse.sandbox.hogql import analytics, session_table
from posthog_warehouse.sandbox.hogql.fields import Column, Computed, Field, Join, Table, Virtual
from posthog_warehouse.sandbox.hogql.values import DATETIME, INT, JSON, SECONDS, STRING, UUID, Kind, ValueType


def _nullable(kind: Kind) -> Column:
    return Column(ValueType(kind, nullable=True))


_VERSIONED: dict[str, Field] = {"is_deleted": Column(INT), "version": Column(INT)}

_PERSON_COLUMNS: dict[str, Field] = {
    "id": Column(UUID),
    "created_at": Column(DATETIME),
    "properties": Column(JSON),
    "is_identified": Column(INT),
    "last_seen_at": _nullable("datetime"),
}

_DISTINCT_ID_COLUMNS: dict[str, Field] = {
    "distinct_id": Column(STRING),
    "person_id": Column(UUID),
}

_TO_PERSON = Join("persons", ("person_id",), "id")

_EVENTS: dict[str, Field] = {
    "uuid": Column(UUID),
    "event": Column(STRING),
    "properties": Column(JSON),
    "timestamp": Column(DATETIME),
    "distinct_id": Column(STRING),
    "elements_chain": Column(STRING),
    "created_at": Column(DATETIME),
    "$session_id": Column(STRING),
    "$window_id": Column(STRING),
    **{f"$group_{number}": Column(STRING) for number in range(5)},
    "person_mode": Column(STRING),
    "event_person_id": Column(UUID, physical="person_id", starred=False),
    "poe": Virtual(
        {
            "id": Column(UUID, physical="person_id"),
            "created_at": Column(DATETIME, physical="person_created_at"),
            "properties": Column(JSON, physical="person_properties"),
        }
    ),
    "pdi": Join("person_distinct_ids", ("distinct_id",), "distinct_id", "INNER JOIN"),
    "override": Join("person_distinct_id_overrides", ("distinct_id",), "distinct_id"),
    "session": Join("sessions", ("$session_id",), "session_id"),
    # What these two are depends on the mode: see PERSONS_ON_EVENTS.
}

_REPLAY_COUNTS = (
    "click_count",
    "keypress_count",
    "mouse_activity_count",
    "active_milliseconds",
    "console_log_count",
    "console_warn_count",
    "console_error_count",
    "size",
    "event_count",
    "message_count",
)

_REPLAY_COMMON: dict[str, Field] = {
    "session_id": Column(STRING),
    "distinct_id": Column(STRING),
    "min_first_timestamp": Column(DATETIME),
    "max_last_timestamp": Column(DATETIME),
    "first_url": Column(STRING),
    "all_urls": Column(ValueType("array")),
    **{name: Column(INT) for name in _REPLAY_COUNTS},
    "snapshot_source": Column(STRING),
    "retention_period_days": Column(INT),
}

_REPLAY_JOINS: dict[str, Field] = {
    "pdi": Join("person_distinct_ids", ("distinct_id",), "distinct_id"),
    "person_id": Computed(("pdi", "person_id")),
    "person": Join("persons", ("pdi", "person_id"), "id"),
}

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table("events", _EVENTS, physical="events"),
        Table(
            "persons",
            {**_PERSON_COLUMNS, "pdi": Join("person_distinct_ids", ("id",), "person_id")},
            lazy="persons",
            key="id",
        ),
        Table("raw_persons", {**_PERSON_COLUMNS, **_VERSIONED}, physical="person"),
        Table(
            "person_distinct_ids",
            {**_DISTINCT_ID_COLUMNS, "person": _TO_PERSON},
            lazy="person_distinct_ids",
            key="distinct_id",
        ),
        Table(
            "raw_person_distinct_ids",
            {**_DISTINCT_ID_COLUMNS, **_VERSIONED, "person": _TO_PERSON},
            physical="person_distinct_id2",
        ),
        Table(
            "person_distinct_id_overrides",
            {**_DISTINCT_ID_COLUMNS, "person": _TO_PERSON},
            lazy="overrides",
            key="distinct_id",
        ),
        Table(
            "raw_person_distinct_id_overrides",
            {**_DISTINCT_ID_COLUMNS, **_VERSIONED, "person": _TO_PERSON},
            physical="person_distinct_id_overrides",
        ),
        Table(
            "session_replay_events",
            {**_REPLAY_COMMON, "start_time": Column(DATETIME), "end_time": Column(DATETIME), **_REPLAY_JOINS},
            lazy="session_replay_events",
            key="session_id",
        ),
        Table(
            "raw_session_replay_events",
            {**_REPLAY_COMMON, "_timestamp": Column(SECONDS), **_REPLAY_JOINS},
            physical="session_replay_events",
        ),
        Table("sessions", session_table.FIELDS, lazy="sessions", key="session_id"),
        *analytics.TABLES,
    )
}


@dataclass(frozen=True)
class PersonsOnEvents:
    """What `events.person_id` and `events.person` are in one `personsOnEventsMode`."""

    person_id: Field
    person: Field
    override: bool = field(default=False)


_STORED_PERSON = Virtual(
    {
        "id": Column(UUID, physical="person_id"),
        "created_at": Column(DATETIME, physical="person_created_at"),
        "properties": Column(JSON, physical="person_properties"),
    }
)
_STORED_ID = Column(UUID, physical="person_id", starred=False)
_JOINED_ID = Computed(("pdi", "person_id"))

DEFAULT_PERSONS_ON_EVENTS_MODE = "person_id_override_properties_on_events"

# The v* names are those of servers up to 2024.
PERSONS_ON_EVENTS: dict[str, PersonsOnEvents] = {
    "disabled": PersonsOnEvents(_JOINED_ID, Join("persons", ("pdi", "person_id"), "id")),
    "person_id_no_override_properties_on_events": PersonsOnEvents(_STORED_ID, _STORED_PERSON),
    "person_id_override_properties_on_events": PersonsOnEvents(_STORED_ID, _STORED_PERSON, override=True),
    "person_id_override_properties_joined": PersonsOnEvents(
        _STORED_ID, Join("persons", ("person_id",), "id"), override=True
    ),
    "v1_enabled": PersonsOnEvents(_STORED_ID, _STORED_PERSON),
    "v1_mixed": PersonsOnEvents(_JOINED_ID, _STORED_PERSON),
    "v2_enabled": PersonsOnEvents(_STORED_ID, _STORED_PERSON, override=True),
    "v3_enabled": PersonsOnEvents(_STORED_ID, Join("persons", ("person_id",), "id"), override=True),
}
