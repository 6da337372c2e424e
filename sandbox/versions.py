"""What PostHog servers of other ages lack or call otherwise: names of functions, tables, columns, endpoints, fields.

Of December 2023: seen on a running server. Of August 2025: what PostHog's own server code of 4 August 2025 answered,
without its part for paying customers.
"""

from __future__ import annotations

#: Query functions that a server of December 2023 refused, or that its list of functions did not have; "name/2" is
#: the form of a function with so many arguments.
FUNCTIONS_UNKNOWN_IN_2023 = frozenset(
    {
        "cityHash64",
        "toUnixTimestamp64Micro",
        "toDateTime64",
        "toString/2",
        "toDateTime/2",
        "hex",
        "unhex",
        "_toUInt64",
        "md5",
        "JSONExtract",
        "toTypeName",
        "toBool",
        "lag",
        "lead",
        "toStartOfInterval",
        "fromUnixTimestamp64Milli",
        "reinterpretAsUInt8",
        "reinterpretAsUInt16",
        "reinterpretAsUInt32",
        "reinterpretAsUInt64",
        "reinterpretAsInt64",
        "reinterpretAsString",
        "reinterpretAsUUID",
        "groupBitXor",
    }
)

#: Tables that a server of December 2023 did not have; a name ending in ".*" stands for a whole namespace.
TABLES_UNKNOWN_IN_2023 = frozenset(
    {
        "system.*",
        "sessions",
        "raw_sessions",
        # "table.column" hides one column.
        "events.person_mode",
        "events.event_person_id",
        "persons.last_seen_at",
        "raw_persons.last_seen_at",
    }
)

#: Values of the modifier ``personsOnEventsMode`` today.
PERSONS_ON_EVENTS_MODES = frozenset(
    {
        "disabled",
        "person_id_no_override_properties_on_events",
        "person_id_override_properties_on_events",
        "person_id_override_properties_joined",
    }
)

#: The same in December 2023.
PERSONS_ON_EVENTS_MODES_2023 = frozenset({"disabled", "v1_enabled", "v1_mixed", "v2_enabled"})

#: Modifiers that today's server takes; another name is refused when the request is read.
MODIFIERS = frozenset(
    {
        "bounceRateDurationSeconds",
        "bounceRatePageViewMode",
        "convertToProjectTimezone",
        "customChannelTypeRules",
        "dataWarehouseEventsModifiers",
        "debug",
        "formatCsvAllowDoubleQuotes",
        "inCohortVia",
        "materializationMode",
        "optimizeJoinedFilters",
        "optimizeProjections",
        "personsArgMaxVersion",
        "personsJoinMode",
        "personsOnEventsMode",
        "propertyGroupsMode",
        "s3TableUseInvalidColumns",
        "sessionTableVersion",
        "sessionsV2JoinMode",
        "timings",
        "useMaterializedViews",
        "usePreaggregatedIntermediateResults",
        "usePreaggregatedTableTransforms",
        "usePresortedEventsTable",
        "useWebAnalyticsPreAggregatedTables",
    }
)

#: The same in December 2023.
MODIFIERS_2023 = frozenset(
    {"inCohortVia", "materializationMode", "personsArgMaxVersion", "personsJoinMode", "personsOnEventsMode"}
)

#: Endpoints that came after December 2023, from the history of PostHog/posthog (autumn 2026).
ENDPOINTS_UNKNOWN_IN_2023 = frozenset(
    {
        "error_tracking",
        "evaluations",
        "file_download_batch_exports",
        "file_system",
        "hog_functions",
        "organizations",
        "persons/deletion_status",
    }
)

#: Fields of lists, as ``list.field``, that came after it: among them what an incremental reader would look for.
FIELDS_UNKNOWN_IN_2023 = frozenset(
    {
        "actions.bytecode_error",
        "actions.creation_context",
        "actions.pinned_at",
        "annotations.dashboard_id",
        "annotations.dashboard_name",
        "cohorts.cohort_type",
        "cohorts.last_error_message",
        "cohorts.pending_version",
        "feature_flags.archived",
        "feature_flags.bucketing_identifier",
        "feature_flags.evaluation_contexts",
        "feature_flags.evaluation_runtime",
        "feature_flags.last_called_at",
        "feature_flags.last_modified_by",
        "feature_flags.updated_at",
        "feature_flags.version",
        "insights.last_viewed_at",
        "notebooks.user_access_level",
    }
)

#: Query functions that a server of August 2025 refused.
FUNCTIONS_UNKNOWN_IN_2025 = frozenset({"toDateTime64", "now64", "retention", "toDate/2"})

#: Tables, and columns as "table.column", that it did not have.
TABLES_UNKNOWN_IN_2025 = frozenset(
    {
        "system.*",
        "sessions.max_inserted_at",
        "sessions.$entry_referrer",
        "events.person_mode",
        "persons.last_seen_at",
        "raw_persons.last_seen_at",
    }
)

#: Endpoints that it did not have: later ones, and those of the part for paying customers.
ENDPOINTS_UNKNOWN_IN_2025 = frozenset(
    {
        "error_tracking",
        "evaluations",
        "experiments",
        "file_download_batch_exports",
        "groups",
        "groups_types",
        "subscriptions",
    }
)

#: Endpoints that it closed to personal keys.
ENDPOINTS_CLOSED_IN_2025 = frozenset(
    {
        "file_system/unfiled",
        "insights/my_last_viewed",
        "insights/timing",
        "persons/funnel",
        "persons/lifecycle",
        "persons/stickiness",
        "persons/trends",
    }
)

#: Fields of lists, as ``list.field``, that it did not have.
FIELDS_UNKNOWN_IN_2025 = frozenset({"feature_flags.archived", "feature_flags.bucketing_identifier"})
