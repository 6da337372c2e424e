"""The project itself, its files, who did what in it, and what PostHog keeps beside its data.

Fields as in PostHog's serializers (posthog/api/project.py, posthog/api/file_system, ActivityLogApi of
frontend/src/generated/core, posthog/api/person.py, products/llm_analytics/backend/api/evaluations.py,
ErrorTrackingIssueFullApi of products/error_tracking/frontend/generated, autumn 2026).

The activity log pages by cursor, the newest entry first; with `ordering=created_at` the oldest first; with `page` it
numbers its pages and counts (posthog/api/advanced_activity_logs/viewset.py, autumn 2026). On PostHog Cloud it needs a
plan that has it, and goes back as far as the plan says.

Also what PostHog knows of the names that events, persons and groups carry.

Fields as in EnterpriseEventDefinitionSerializer and EnterprisePropertyDefinitionSerializer (ee/api, autumn 2026);
servers without the paid features give fewer, which are NULL then. `property_definitions` answers for one kind of
property at a time (`type`: event, person, session, or group with a `group_type_index`), and does not say in the rows
which it was (posthog/api/property_definition.py, autumn 2026).
"""

from __future__ import annotations

from .rest import EachRow, Values, by, growing, listed
from .schema import bigint, flag, json, text, time

PROJECTS = listed(
    "projects",
    "/api/projects/",
    bigint("id", "The project's number: the key.", nullable=False),
    text("name", "Its name."),
    text("uuid", "Its id in PostHog's own tables."),
    text("organization", "The id of its organization."),
    text("timezone", "Its time zone: the one in which PostHog counts days."),
    flag("is_demo", "Whether it is a demonstration."),
    flag("ingested_event", "Whether it ever got an event."),
    flag("completed_snippet_onboarding", "Whether it was set up."),
    flag("anonymize_ips", "Whether addresses are dropped."),
    time("created_at", "When it was made, UTC; NULL where PostHog lists it only."),
    about="One row per project that the key may see; for a key of one project, that one.",
    scope="project:read",
    # A key that is limited to projects is refused here (posthog/permissions.py, autumn 2026).
    instead="/api/projects/@current/",
)

FILE_SYSTEM = listed(
    "file_system",
    "file_system",
    text("id", "The entry's id: the key.", nullable=False),
    text("path", "Where it is: names with / between them; a / in a name is written \\\\/."),
    bigint("depth", "How deep that is, from 1."),
    text("type", "folder, insight, dashboard, feature_flag, notebook, ..."),
    text("ref", "The thing's id, of which kind depends on the type."),
    text("href", "Its address in PostHog."),
    flag("shortcut", "Whether it is a second entry for the same thing."),
    json("meta", "When and by whom the thing was made."),
    time("created_at", "When the entry was made, UTC."),
    time("last_viewed_at", "When the key's owner last opened it, UTC."),
    about="One row per entry of the project's tree.",
    scope="file_system:read",
    page_size=1_000,
)

ACTIVITY_LOG = growing(
    "activity_log",
    "activity_log",
    text("id", "The entry's id: the key.", nullable=False),
    time("created_at", "When it was done, UTC."),
    *by("user", "Who did it"),
    text("activity", "What was done: created, updated, deleted, ..."),
    text("scope", "To what kind of thing: FeatureFlag, Insight, Cohort, ..."),
    text("item_id", "To which one, as text."),
    json("detail", "The thing's name, and each change with the value before and after."),
    text("organization_id", "The organization."),
    flag("was_impersonated", "Whether PostHog's staff did it in the user's name."),
    flag("is_system", "Whether PostHog did it by itself."),
    text("client", "By which program; NULL: not told."),
    text("ip_address", "From which address."),
    about="One row per change that somebody made in PostHog. Entries that the plan no longer shows stay here.",
    scope="activity_log:read",
    oldest_first={"ordering": "created_at"},
    counted_with={"page": 1, "page_size": 1},
    page_size=1_000,
    size_param="page_size",
)

PERSON_DELETION_STATUS = listed(
    "person_deletion_status",
    "persons/deletion_status",
    text("person_uuid", "The person: the key.", nullable=False),
    text("status", "pending or completed."),
    time("created_at", "When the deletion was asked for, UTC."),
    time("delete_verified_at", "When PostHog saw that the events are gone, UTC; NULL: not yet."),
    about="One row per deleted person whose events are deleted too.",
    scope="person:read",
    key="person_uuid",
    page_size=1_000,
)

EVALUATIONS = listed(
    "evaluations",
    "evaluations",
    text("id", "The evaluation's id: the key.", nullable=False),
    text("name", "Its name."),
    text("description", "What people wrote of it."),
    flag("enabled", "Whether it is switched on."),
    text("evaluation_type", "llm_judge: a model is asked; hog: code decides."),
    json("evaluation_config", "The question, or the code."),
    text("output_type", "What it answers with, such as boolean."),
    json("output_config", "What of that is allowed."),
    json("conditions", "Which answers are looked at, and which share of them, percent."),
    json("model_configuration", "Which model is asked."),
    flag("deleted", "Whether it is deleted; PostHog lists no deleted ones."),
    time("created_at", "When it was made, UTC."),
    time("updated_at", "When it was last changed, UTC."),
    *by("created_by", "Who made it"),
    about="One row per evaluation of AI answers.",
    scope="evaluation:read",
)

ERROR_TRACKING_ISSUES = listed(
    "error_tracking_issues",
    "error_tracking/issues",
    text("id", "The issue's id: the key.", nullable=False),
    text("name", "The error's name."),
    text("description", "Its message."),
    text("status", "active, resolved, suppressed, archived or pending_release."),
    time("first_seen", "When it first came, UTC."),
    text("assignee_id", "Who looks after it: the id of a user or role.", hogql="assignee.id"),
    text("assignee_type", "user or role.", hogql="assignee.type"),
    json("cohort", "The cohort that belongs to it."),
    about="One row per kind of error. Issues in other systems are a child table; the errors are events: `$exception`.",
    scope="error_tracking:read",
    children=("external_issues",),
)

TABLES_OF_WORKSPACE = (
    PROJECTS,
    FILE_SYSTEM,
    ACTIVITY_LOG,
    PERSON_DELETION_STATUS,
    EVALUATIONS,
    ERROR_TRACKING_ISSUES,
)

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
