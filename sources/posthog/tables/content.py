"""What people made of their data in PostHog: cohorts, actions, annotations, insights, dashboards, notebooks.

Fields as in PostHog's serializers (CohortApi of products/cohorts/frontend/generated; posthog/api/annotation.py,
action.py, insight.py: InsightBasicSerializer; products/dashboards, products/notebooks; autumn 2026). None of these
lists can be asked from a time of change on, so each is read whole; deleted things are listed no longer. Insights are
asked with `basic`, which leaves their results out: those are tables of their own.

Also feature flags and what is built on them: experiments, surveys, early access features.

Fields as PostHog's own clients know them (products/*/frontend/generated/api.schemas.ts: FeatureFlagApi, ExperimentApi,
SurveyApi; products/early_access_features; autumn 2026). None of these lists can be ordered by a time of change and
asked from there on, so each is read whole. What PostHog deletes, softly or not, is listed no longer.
"""

from __future__ import annotations

from .rest import Values, by, listed
from .schema import bigint, flag, json, text, time

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

FEATURE_FLAGS = listed(
    "feature_flags",
    "feature_flags",
    bigint("id", "The flag's number: the key.", nullable=False),
    text("key", "The name by which code asks for the flag."),
    text("name", "What people wrote of it: PostHog's field `name` holds the description."),
    flag("active", "Whether it is switched on."),
    flag("archived", "Whether it is archived: hidden from PostHog's list, and off."),
    flag("deleted", "Whether it is deleted; PostHog lists no deleted ones."),
    json("filters", "Release conditions, variants, payloads and rollout percentages."),
    flag("ensure_experience_continuity", "Whether people keep their variant when they log in."),
    text("evaluation_runtime", "Where it is evaluated: server, client or all."),
    text("bucketing_identifier", "What people are told apart by: distinct_id or device_id."),
    text("creation_context", "Where it comes from: feature_flags, experiments, surveys, ..."),
    text("status", "ACTIVE, INACTIVE, STALE, DELETED or UNKNOWN, as PostHog computes it."),
    flag("is_remote_configuration", "Whether it carries a payload rather than a variant."),
    flag("has_encrypted_payloads", "Whether its payloads are encrypted, and so not shown."),
    bigint("version", "Counts up with each change."),
    bigint("usage_dashboard", "The dashboard of its use: dashboards.id."),
    time("last_called_at", "When it was last asked for, by $feature_flag_called events, UTC."),
    time("created_at", "When it was made, UTC."),
    time("updated_at", "When it was last changed, UTC; NULL on older servers."),
    *by("created_by", "Who made it"),
    *by("last_modified_by", "Who changed it last"),
    about="One row per feature flag, archived ones too. Tags, and the experiments on a flag, are child tables.",
    scope="feature_flag:read",
    # PostHog lists archived ones on demand only.
    params={"archived": "{is_archived}"},
    each=(Values(({"is_archived": "false"}, {"is_archived": "true"})),),
    children=("tags", "experiment_set", "evaluation_contexts", "analytics_dashboards"),
)

EXPERIMENTS = listed(
    "experiments",
    "experiments",
    bigint("id", "The experiment's number: the key.", nullable=False),
    text("name", "Its name."),
    text("description", "What people wrote of it."),
    text("type", "web or product."),
    text("feature_flag_key", "The flag that gives out its variants: feature_flags.key."),
    bigint("feature_flag_id", "The same flag: feature_flags.id.", hogql="feature_flag.id"),
    time("start_date", "When it was launched, UTC; NULL: a draft."),
    time("end_date", "When it was ended, UTC; NULL: it runs."),
    flag("archived", "Whether it is archived."),
    flag("deleted", "Whether it is deleted; PostHog lists no deleted ones."),
    text("status", "draft, running, paused or stopped; NULL on older servers."),
    text("conclusion", "won, lost, inconclusive, stopped_early or invalid; NULL: none."),
    text("conclusion_comment", "What people wrote of how it ended."),
    bigint("holdout_id", "The holdout group, if there is one."),
    bigint("exposure_cohort", "The cohort of everybody exposed: cohorts.id."),
    json("parameters", "Variants, minimum detectable effect, recommended sample."),
    json("metrics", "Primary metrics, as queries."),
    json("metrics_secondary", "Secondary metrics, as queries."),
    json("saved_metrics", "Shared metrics, with their queries."),
    json("exposure_criteria", "What counts as exposure."),
    json("stats_config", "How results are computed."),
    json("filters", "Metrics of older experiments, as filters."),
    time("created_at", "When it was made, UTC."),
    time("updated_at", "When it was last changed, UTC."),
    *by("created_by", "Who made it"),
    about="One row per experiment, archived ones too.",
    scope="experiment:read",
    # PostHog lists archived ones on demand only.
    params={"archived": "{is_archived}"},
    each=(Values(({"is_archived": "false"}, {"is_archived": "true"})),),
)

SURVEYS = listed(
    "surveys",
    "surveys",
    text("id", "The survey's id: the key.", nullable=False),
    text("name", "Its name."),
    text("description", "What people wrote of it."),
    text("type", "popover, widget, external_survey or api."),
    text("schedule", "once, recurring or always."),
    time("start_date", "When it was launched, UTC; NULL: a draft."),
    time("end_date", "When it was stopped, UTC; NULL: it runs."),
    flag("archived", "Whether it is archived."),
    bigint("linked_flag_id", "Only people with this flag see it: feature_flags.id.", hogql="linked_flag.id"),
    bigint("targeting_flag_id", "The flag of its targeting: feature_flags.id.", hogql="targeting_flag.id"),
    bigint("internal_targeting_flag_id", "The flag that ends it for who answered.", hogql="internal_targeting_flag.id"),
    bigint("linked_insight_id", "The insight that it belongs to: insights.id."),
    json("questions", "The questions, in their order, with answers to choose from and branching."),
    json("conditions", "Where and when it is shown: addresses, selectors, events, devices."),
    json("appearance", "How it looks."),
    bigint("responses_limit", "It stops after so many answers; NULL: no limit."),
    bigint("iteration_count", "How often it is repeated."),
    bigint("iteration_frequency_days", "Days between repetitions."),
    bigint("current_iteration", "Which repetition runs."),
    time("current_iteration_start_date", "When that began, UTC."),
    text("response_sampling_interval_type", "day, week or month: how answers are sampled."),
    bigint("response_sampling_limit", "Answers sampled in an interval."),
    flag("enable_partial_responses", "Whether unfinished answers count."),
    time("created_at", "When it was made, UTC."),
    *by("created_by", "Who made it"),
    about="One row per survey. Answers are events: `survey sent`.",
    scope="survey:read",
)

EARLY_ACCESS_FEATURES = listed(
    "early_access_features",
    "early_access_feature",
    text("id", "The feature's id: the key.", nullable=False),
    text("name", "Its name."),
    text("description", "What people are told of it."),
    text("stage", "draft, concept, alpha, beta, general-availability or archived."),
    text("documentation_url", "Where to read about it."),
    bigint("feature_flag_id", "The flag that people opt into: feature_flags.id.", hogql="feature_flag.id"),
    text("feature_flag_key", "The same flag: feature_flags.key.", hogql="feature_flag.key"),
    json("payload", "What the application is given with it."),
    time("created_at", "When it was made, UTC."),
    about="One row per feature that people can opt into. Who did is in events: `$feature_enrollment_update`.",
    scope="early_access_feature:read",
)

TABLES_OF_FEATURES = (FEATURE_FLAGS, EXPERIMENTS, SURVEYS, EARLY_ACCESS_FEATURES)
