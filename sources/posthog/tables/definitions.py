"""What PostHog knows of the names that events, persons and groups carry.

Fields as in EnterpriseEventDefinitionSerializer and EnterprisePropertyDefinitionSerializer (ee/api, autumn 2026);
servers without the paid features give fewer, which are NULL then. `property_definitions` answers for one kind of
property at a time (`type`: event, person, session, or group with a `group_type_index`), and does not say in the rows
which it was (posthog/api/property_definition.py, autumn 2026).
"""

from __future__ import annotations

from sources.posthog.tables.declaration import bigint, flag, json, text, time
from sources.posthog.tables.listed import EachRow, Values, by, listed

EVENT_DEFINITIONS = listed(
    "event_definitions",
    "event_definitions",
    text("id", "The definition's id: the key.", nullable=False),
    text("name", "The event's name: events.event."),
    text("description", "What people wrote of it."),
    json("owner", "Who looks after it: a user, or their id."),
    flag("verified", "Whether somebody vouches for it."),
    time("verified_at", "Since when, UTC."),
    *by("verified_by", "Who vouches for it"),
    flag("hidden", "Whether it is hidden in PostHog's choices."),
    text("enforcement_mode", "What happens to events unlike their definition: allow or reject."),
    time("last_seen_at", "When such an event last came, UTC; PostHog updates it about once an hour."),
    time("created_at", "When PostHog first saw it, UTC."),
    time("last_updated_at", "When the definition was last changed, UTC."),
    *by("updated_by", "Who changed it last"),
    about="One row per event name that PostHog knows, seen or planned.",
    scope="event_definition:read",
    children=("tags",),
    page_size=1_000,
)

PROPERTY_DEFINITIONS = listed(
    "property_definitions",
    "property_definitions",
    text("id", "The definition's id: the key.", nullable=False),
    text("name", "The property's name."),
    text("type", "Whose it is: event, person, group or session."),
    bigint("group_type_index", "Of a group's property, which type of groups: group_types.group_type_index."),
    text(
        "property_type", "DateTime, String, Numeric, Boolean or Duration, as PostHog guessed or was told; NULL: none."
    ),
    flag("is_numerical", "Whether it holds numbers."),
    text("description", "What people wrote of it."),
    flag("verified", "Whether somebody vouches for it."),
    time("verified_at", "Since when, UTC."),
    *by("verified_by", "Who vouches for it"),
    flag("hidden", "Whether it is hidden in PostHog's choices."),
    time("updated_at", "When the definition was last changed, UTC."),
    *by("updated_by", "Who changed it last"),
    about="One row per property that PostHog knows of events, persons, groups (with the scope group:read) or sessions.",
    scope="property_definition:read",
    params={"type": "{type}", "group_type_index": "{group_type_index}"},
    each=(
        Values(({"type": "event"}, {"type": "person"}, {"type": "session"})),
        EachRow("groups_types", {"group_type_index": "group_type_index"}, also={"type": "group"}, is_extra=True),
    ),
    children=("tags",),
    page_size=1_000,
)

GROUP_TYPES = listed(
    "group_types",
    "groups_types",
    bigint("group_type_index", "The number of the type, from 0: the key.", nullable=False),
    text("group_type", "Its name in code."),
    text("name_singular", "What one of them is called."),
    text("name_plural", "What several are called."),
    bigint("detail_dashboard", "The dashboard that is shown with a group: dashboards.id."),
    json("default_columns", "The columns that PostHog's list of groups shows."),
    time("created_at", "When it was first seen, UTC; NULL on older servers."),
    about="One row per type of groups, such as company; a project has five at most.",
    scope="group:read",
    key="group_type_index",
    page_size=None,
)

TABLES_OF_DEFINITIONS = (EVENT_DEFINITIONS, PROPERTY_DEFINITIONS, GROUP_TYPES)
