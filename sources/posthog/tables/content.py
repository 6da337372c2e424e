"""What people made of their data in PostHog: cohorts, actions, annotations, insights, dashboards, notebooks.

Fields as in PostHog's serializers (CohortApi of products/cohorts/frontend/generated; posthog/api/annotation.py,
action.py, insight.py: InsightBasicSerializer; products/dashboards, products/notebooks; autumn 2026). None of these
lists can be asked from a time of change on, so each is read whole; deleted things are listed no longer. Insights are
asked with `basic`, which leaves their results out: those are tables of their own.
"""

from __future__ import annotations

from sources.posthog.tables.declaration import bigint, flag, json, text, time
from sources.posthog.tables.listed import by, listed

COHORTS = listed(
    "cohorts",
    "cohorts",
    bigint("id", "The cohort's number: the key.", nullable=False),
    text("name", "Its name."),
    text("description", "What people wrote of it."),
    flag("is_static", "Whether its persons were chosen once, rather than by conditions."),
    text("cohort_type", "static, person_property, behavioral, realtime or analytical; NULL: not told."),
    json("filters", "The conditions: groups of properties and behaviour."),
    json("groups", "The conditions in the form of older servers."),
    json("query", "The query that a cohort was made from."),
    bigint("count", "Persons in it when it was last calculated."),
    flag("is_calculating", "Whether it is being calculated."),
    time("last_calculation", "When it was last calculated, UTC."),
    bigint("errors_calculating", "Calculations that failed in a row."),
    text("last_error_message", "Why the last one failed."),
    bigint("version", "Which calculation its persons are of."),
    bigint("pending_version", "Which calculation is under way."),
    flag("deleted", "Whether it is deleted; PostHog lists no deleted ones."),
    time("created_at", "When it was made, UTC."),
    *by("created_by", "Who made it"),
    about="One row per cohort. Who is in it: cohort_people.",
    scope="cohort:read",
    children=("experiment_set",),
)

ACTIONS = listed(
    "actions",
    "actions",
    bigint("id", "The action's number: the key.", nullable=False),
    text("name", "Its name."),
    text("description", "What people wrote of it."),
    flag("post_to_slack", "Whether each one is told in Slack."),
    text("slack_message_format", "The text of that."),
    flag("is_calculating", "Whether it is being calculated; older servers only."),
    time("last_calculated_at", "When it was last calculated, UTC."),
    time("pinned_at", "When it was pinned, UTC; NULL: it is not."),
    text("bytecode_error", "Why its conditions cannot be compiled; NULL: they can."),
    flag("deleted", "Whether it is deleted; PostHog lists no deleted ones."),
    time("created_at", "When it was made, UTC."),
    *by("created_by", "Who made it"),
    about="One row per action: a name for events that match. What they must match is the child table of steps.",
    scope="action:read",
    children=("steps", "tags"),
)

ANNOTATIONS = listed(
    "annotations",
    "annotations",
    bigint("id", "The annotation's number: the key.", nullable=False),
    text("content", "What it says."),
    time("date_marker", "The moment that it marks, UTC."),
    text("scope", "Where it is shown: dashboard_item, dashboard, project, organization or tag."),
    text("emoji", "The picture that marks it; NULL: none."),
    flag("hidden_in_user_interface", "Whether PostHog's charts leave it out, as those that programs make."),
    text("creation_type", "USR: a person made it; GIT: a deployment."),
    bigint("dashboard_item", "The insight that it belongs to: insights.id."),
    text("insight_short_id", "The same insight: insights.short_id."),
    text("insight_name", "That insight's name."),
    bigint("dashboard_id", "The dashboard that it belongs to: dashboards.id."),
    text("dashboard_name", "That dashboard's name."),
    flag("deleted", "Whether it is deleted."),
    time("created_at", "When it was made, UTC."),
    time("updated_at", "When it was last changed, UTC."),
    *by("created_by", "Who made it"),
    about="One row per annotation. The tags of those of scope tag are a child table.",
    scope="annotation:read",
    children=("tags",),
)

INSIGHTS = listed(
    "insights",
    "insights",
    bigint("id", "The insight's number: the key.", nullable=False),
    text("short_id", "The id in its address."),
    text("name", "Its name; empty: see derived_name."),
    text("derived_name", "A name that PostHog made from what it shows."),
    text("description", "What people wrote of it."),
    json("query", "What it shows, as a query."),
    json("filters", "The same for insights of older servers, as filters."),
    flag("saved", "Whether somebody saved it; PostHog keeps unsaved ones too."),
    flag("favorited", "Whether it is a favourite."),
    flag("refreshing", "Whether it is being computed."),
    time("last_refresh", "When it was last computed, UTC; often NULL in lists."),
    time("last_viewed_at", "When the key's owner last looked at it, UTC."),
    time("created_at", "When it was made, UTC."),
    time("updated_at", "When anything of it last changed, UTC."),
    time("last_modified_at", "When a person last changed it, UTC."),
    *by("created_by", "Who made it"),
    *by("last_modified_by", "Who changed it last"),
    about="One row per insight, saved or not. Tags and the dashboards that show it are child tables.",
    scope="insight:read",
    # The field that PostHog orders by unless asked is empty in nearly all: an order of nothing, page by page another.
    params={"basic": "true", "order": "id"},
    children=("tags", "dashboards", "dashboard_tiles"),
)

DASHBOARDS = listed(
    "dashboards",
    "dashboards",
    bigint("id", "The dashboard's number: the key.", nullable=False),
    text("name", "Its name."),
    text("description", "What people wrote of it."),
    flag("pinned", "Whether it is pinned for everybody."),
    flag("is_shared", "Whether there is a public link to it."),
    flag("deleted", "Whether it is deleted; PostHog lists no deleted ones."),
    text("creation_mode", "default, template, duplicate or unlisted."),
    bigint("restriction_level", "21: everybody in the project may edit it; 37: only some."),
    time("last_accessed_at", "When it was last opened, UTC."),
    time("last_viewed_at", "When the key's owner last opened it, UTC."),
    time("created_at", "When it was made, UTC."),
    *by("created_by", "Who made it"),
    about="One row per dashboard. What it shows: the child table dashboard_tiles of insights.",
    scope="dashboard:read",
    children=("tags",),
)

NOTEBOOKS = listed(
    "notebooks",
    "notebooks",
    text("id", "The notebook's id: the key.", nullable=False),
    text("short_id", "The id in its address."),
    text("title", "Its title."),
    flag("deleted", "Whether it is deleted; PostHog lists no deleted ones."),
    time("created_at", "When it was made, UTC."),
    time("last_modified_at", "When it was last changed, UTC."),
    *by("created_by", "Who made it"),
    *by("last_modified_by", "Who changed it last"),
    about="One row per notebook. PostHog lists notebooks without their text.",
    scope="notebook:read",
)

TABLES_OF_CONTENT = (COHORTS, ACTIONS, ANNOTATIONS, INSIGHTS, DASHBOARDS, NOTEBOOKS)
