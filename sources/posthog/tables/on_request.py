"""Tables that are read only when they are named, for what `[sources.posthog.requests]` asks for.

What these endpoints answer is told by PostHog's own code (posthog/api/person.py, posthog/api/event.py,
posthog/api/exports.py, posthog/models/activity_logging, autumn 2026). They are made for PostHog's screens: values are
those of a drop-down, of limited number, and no row has an id.

`ENDPOINTS` has the endpoints that PostHog's API reference tells of and that can be read: which table holds each, or why
none does.

Paths are those of the reference (autumn 2026), below /api/projects/:project_id (it still says /api/environments there).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .rest import Contents, EachRow, Wanted, by, listed
from .schema import Column, Table, bigint, json, text, time

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


@dataclass(frozen=True)
class Endpoint:
    """One endpoint that tells something and changes nothing."""

    method: Literal["GET", "POST"]
    path: str
    table: str | None
    """The table that holds what it tells; None: it is no data, or no table's."""
    reason: str = ""
    """Why there is no table, or how the table comes by it."""


_ONE_OF = "one row of it"
_ACTORS = "the persons behind a point of an insight; they are asked for by PostHog's actors query where there is one"
_COMPUTED = "computed for saved insights by PostHog's query, and by this endpoint where the server has no such query"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/events", "events", "by HogQL; by this list for keys and servers without it"),
    Endpoint("GET", "/events/:id", "events", _ONE_OF),
    Endpoint("GET", "/events/values", "event_property_values"),
    Endpoint("GET", "/persons/:id/activity", "person_activity", "for the persons of person_ids"),
    Endpoint("GET", "/persons/activity", "person_activity", "where person_ids is empty"),
    Endpoint("GET", "/persons/:id/properties_timeline", "person_properties_timeline", "for keys without scopes only"),
    Endpoint("GET", "/persons/values", "person_property_values"),
    Endpoint("POST", "/persons/funnel", "insight_actors", _ACTORS),
    Endpoint("GET", "/persons/funnel/correlation", "insight_actors", _ACTORS),
    Endpoint("POST", "/persons/funnel/correlation", "insight_actors", _ACTORS),
    Endpoint("GET", "/persons/lifecycle", "insight_actors", _ACTORS),
    Endpoint("GET", "/persons/stickiness", "insight_actors", _ACTORS),
    Endpoint("GET", "/persons/trends", "insight_actors", _ACTORS),
    Endpoint("GET", "/session_recordings", "session_recordings"),
    Endpoint("GET", "/session_recordings/:id", "session_recordings", _ONE_OF),
    Endpoint("GET", "/session_recordings/:recording_id/sharing", "recording_sharing"),
    Endpoint("GET", "/exports", "exports"),
    Endpoint("GET", "/exports/:id", "exports", _ONE_OF),
    Endpoint("GET", "/exports/:id/content", "export_contents"),
    Endpoint("GET", "/file_system", "file_system"),
    Endpoint("GET", "/file_system/:id", "file_system", _ONE_OF),
    Endpoint(
        "POST", "/file_system/:id/count", None, "a number that the table file_system has too: count the rows by path"
    ),
    Endpoint("GET", "/plugin_configs/:plugin_config_id/logs", "plugin_config_logs"),
    Endpoint("POST", "/insights/trend", "insight_trends", _COMPUTED),
    Endpoint("GET", "/insights/trend", "insight_trends", _COMPUTED),
    Endpoint("POST", "/insights/funnel", "insight_funnel_steps", _COMPUTED),
    Endpoint("GET", "/insights/funnel/correlation", "insight_correlation", _COMPUTED),
    Endpoint("POST", "/insights/funnel/correlation", "insight_correlation", _COMPUTED),
    Endpoint("GET", "/insights/retention", "insight_retention", _COMPUTED),
    Endpoint("POST", "/insights/retention", "insight_retention", _COMPUTED),
    Endpoint("GET", "/insights/path", "insight_paths", _COMPUTED),
    Endpoint("POST", "/insights/path", "insight_paths", _COMPUTED),
    Endpoint(
        "GET",
        "/insights/my_last_viewed",
        None,
        "a person's own screen: five insights, and no scope opens it to keys; insights.last_viewed_at tells the same",
    ),
    Endpoint("POST", "/query", None, "how tables are read by HogQL; your own queries become tables of their own"),
    Endpoint("GET", "/query/:id", None, "the state of one query that runs; its rows are a table's"),
    Endpoint("GET", "/query/draft_sql", None, "SQL that PostHog's assistant writes for a prompt"),
)
