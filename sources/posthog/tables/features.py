"""Feature flags and what is built on them: experiments, surveys, early access features.

Fields as PostHog's own clients know them (products/*/frontend/generated/api.schemas.ts: FeatureFlagApi, ExperimentApi,
SurveyApi; products/early_access_features; autumn 2026). None of these lists can be ordered by a time of change and
asked from there on, so each is read whole. What PostHog deletes, softly or not, is listed no longer.
"""

from __future__ import annotations

from sources.posthog.tables.declaration import bigint, flag, json, text, time
from sources.posthog.tables.listed import Values, by, listed

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
