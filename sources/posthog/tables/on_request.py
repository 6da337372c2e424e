"""Tables that are read only when they are named, for what `[sources.posthog.requests]` asks for.

What these endpoints answer is told by PostHog's own code (posthog/api/person.py, posthog/api/event.py,
posthog/api/exports.py, posthog/models/activity_logging, autumn 2026). They are made for PostHog's screens: values are
those of a drop-down, of limited number, and no row has an id.
"""

from __future__ import annotations

from sources.posthog.tables.declaration import Column, Table, bigint, json, text, time
from sources.posthog.tables.listed import Contents, EachRow, Wanted, by, listed

PERSON_ACTIVITY = listed(
    "person_activity",
    "persons/{person_id}/activity",
    text("entry_id", "A digest of the entry: the key. PostHog gives these entries no id.", nullable=False),
    text("person_id", "The person that was asked for: persons.person_id; NULL: entries of all persons were."),
    time("created_at", "When it was done, UTC."),
    *by("user", "Who did it"),
    text("activity", "What was done: updated, deleted, split_person, ..."),
    text("scope", "To what kind of thing: Person."),
    text("item_id", "To which one: PostHog's number of the person, as text."),
    json("detail", "The person's name, and each change with the value before and after."),
    about="One row per change that somebody made to a person: to those of `person_ids`, or to all if there are none.",
    scope="activity_log:read",
    key="entry_id",
    row_id="entry_id",
    each=(Wanted("person_ids", ("person_id",)),),
    unchosen="persons/activity",
    page_size=100,
    on_request=True,
)

PERSON_PROPERTIES_TIMELINE = listed(
    "person_properties_timeline",
    "persons/{person_id}/properties_timeline",
    text("person_id", "The person: persons.person_id.", nullable=False),
    time("timestamp", "Since when the properties were so, UTC.", nullable=False),
    json("properties", "The properties of `person_properties`, as events of that time had them."),
    bigint("relevant_event_count", "Events of the person until the next row."),
    about="One row per time at which one of `person_properties` changed for one of `person_ids`, in the last 90 days. "
    "PostHog answers this only for keys without scopes, as older keys are.",
    scope="person:read",
    key=("person_id", "timestamp"),
    params={"properties": "{person_filters}", "date_from": "-90d"},
    each=(Wanted("person_ids", ("person_id",)),),
    rows_in="points",
    page_size=None,
    on_request=True,
)

PERSON_PROPERTY_VALUES = listed(
    "person_property_values",
    "persons/values",
    text("property", "The property of persons.", nullable=False),
    text("value", "A value of it.", hogql="name", nullable=False),
    bigint("count", "How many persons have it; NULL where PostHog does not say."),
    about="One row per value of each of `person_properties`: the most frequent ones, as PostHog suggests them.",
    scope="person:read",
    key=("property", "value"),
    params={"key": "{property}"},
    each=(Wanted("person_properties", ("property",)),),
    page_size=None,
    on_request=True,
)

EVENT_PROPERTY_VALUES = listed(
    "event_property_values",
    "events/values",
    text("event", "The event's name.", nullable=False),
    text("property", "The property of such events.", nullable=False),
    text("value", "A value of it.", hogql="name", nullable=False),
    about="One row per value of each of `event_properties` (`event:property`) of the last 7 days, as PostHog suggests "
    "them.",
    scope="query:read",
    key=("event", "property", "value"),
    params={"key": "{property}", "event_name": "{event}"},
    each=(Wanted("event_properties", ("event", "property")),),
    page_size=None,
    on_request=True,
)

EXPORT_CONTENTS = Table(
    name="export_contents",
    primary_key="export_id",
    columns=(
        bigint("export_id", "Whose file it is: exports.id, and the key.", nullable=False),
        text("content_type", "image/png, text/csv, ..."),
        bigint("size_bytes", "Its size, bytes."),
        Column("content", "binary", "content", "The file; NULL: it is empty."),
    ),
    description="One row per file of an export: those of `export_ids`, or all. Files that PostHog deletes stay here.",
    reads=Contents(
        "exports/{export_id}/content",
        each=(EachRow("exports", {"export_id": "id"}, only="has_content"),),
        chosen="export_ids",
    ),
    scope="export:read",
    is_optional=True,
    is_on_request=True,
    hints={"file_format": "parquet"},
)

TABLES_ON_REQUEST = (
    PERSON_ACTIVITY,
    PERSON_PROPERTIES_TIMELINE,
    PERSON_PROPERTY_VALUES,
    EVENT_PROPERTY_VALUES,
    EXPORT_CONTENTS,
)
