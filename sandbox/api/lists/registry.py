"""The lists of this server, as PostHog declares them in its views (autumn 2026)."""

from __future__ import annotations

from collections.abc import Mapping

from .declaration import Listing, equal

_DEFINITION = {"type": equal("_type"), "group_type_index": equal("_group_type_index")}

#: Fields of InsightBasicSerializer (posthog/api/insight.py, autumn 2026).
BASIC_INSIGHT = frozenset(
    {
        "id", "short_id", "name", "derived_name", "filters", "query", "dashboards", "dashboard_tiles", "description",
        "last_refresh", "refreshing", "saved", "tags", "updated_at", "created_by", "created_at", "last_modified_at",
        "favorited", "user_access_level", "last_viewed_at",
    }
)  # fmt: skip

LISTINGS: tuple[Listing, ...] = (
    Listing("cohorts", "cohorts", "cohort:read", order=("-created_at",), search=("name",)),
    Listing(
        "feature_flags",
        "feature_flags",
        "feature_flag:read",
        order=("-created_at",),
        filters={"active": equal("active"), "archived": equal("archived")},
        # Archived ones are listed on demand only.
        defaults={"archived": "false"},
        search=("key", "name"),
    ),
    Listing("early_access_feature", "early_access_feature", "early_access_feature:read", order=("-created_at",)),
    Listing(
        "experiments",
        "experiments",
        "experiment:read",
        order=("-created_at",),
        filters={"status": equal("status"), "archived": equal("archived")},
        # Archived ones are listed on demand only.
        defaults={"archived": "false"},
        search=("name",),
        order_by="order",
    ),
    Listing("surveys", "surveys", "survey:read", order=("-created_at",), search=("name",)),
    # One job works all actions out, so nearly all tie.
    Listing("actions", "actions", "action:read", order=("-last_calculated_at", "name")),
    Listing(
        "annotations",
        "annotations",
        "annotation:read",
        order=("-date_marker",),
        filters={"scope": equal("scope")},
        search=("content",),
    ),
    # The field is empty in nearly every insight: an order of nothing, unless another is asked for.
    Listing(
        "insights",
        "insights",
        "insight:read",
        order=("order",),
        order_by="order",
        filters={"short_id": equal("short_id"), "saved": equal("saved"), "favorited": equal("favorited")},
        search=("name", "derived_name", "description"),
        basic=BASIC_INSIGHT,
        item_keys=("id", "short_id"),
    ),
    Listing(
        "dashboards",
        "dashboards",
        "dashboard:read",
        order=("-pinned", "name"),
        search=("name",),
        only_in_item=frozenset(
            {
                "last_refresh",
                "filters",
                "variables",
                "breakdown_colors",
                "data_color_theme_id",
                "persisted_filters",
                "persisted_variables",
                "tiles",
            }
        ),
    ),
    Listing("event_definitions", "event_definitions", "event_definition:read", order=("name",), search=("name",)),
    Listing(
        "property_definitions",
        "property_definitions",
        "property_definition:read",
        order=("name",),
        filters=_DEFINITION,
        defaults={"type": "event"},
        search=("name",),
    ),
    Listing(
        "hog_functions",
        "hog_functions",
        "hog_function:read",
        order=("execution_order", "created_at"),
        filters={"type": equal("type"), "types": equal("type"), "enabled": equal("enabled")},
        defaults={"type": "destination"},
        unless=("types",),
        search=("name", "description"),
        only_in_item=frozenset({"inputs", "inputs_schema", "bytecode", "transpiled", "masking", "mappings", "deleted"}),
    ),
    Listing("plugin_configs", "plugin_configs", "plugin:read", order=("order", "plugin")),
    Listing(
        "plugin_logs",
        "plugin_configs/{plugin_config_id}/logs",
        "plugin:read",
        order=("-timestamp",),
        filters={"type_filter": equal("type")},
        search=("message",),
        item_keys=(),
    ),
    Listing("batch_exports", "batch_exports", "batch_export:read", order=("-created_at",)),
    Listing("file_downloads", "file_download_batch_exports", "batch_export:read", order=("-_created_at",)),
    Listing("exports", "exports", "export:read", order=("-created_at",)),
    Listing(
        "notebooks",
        "notebooks",
        "notebook:read",
        order=("-last_modified_at",),
        search=("title", "text_content"),
        only_in_item=frozenset({"content", "text_content", "version"}),
        item_keys=("short_id",),
    ),
    Listing(
        "file_system",
        "file_system",
        "file_system:read",
        order=("path",),
        filters={"type": equal("type"), "ref": equal("ref")},
        search=("path",),
    ),
    Listing("evaluations", "evaluations", "evaluation:read", order=("-created_at",), search=("name",)),
    # No order at all.
    Listing("issues", "error_tracking/issues", "error_tracking:read"),
    Listing(
        "activity_log",
        "activity_log",
        "activity_log:read",
        order=("-created_at", "-id"),
        order_by="ordering",
        paging="cursor",
        filters={"scope": equal("scope"), "scopes": equal("scope"), "item_id": equal("item_id")},
        item_keys=(),
    ),
    Listing(
        "deletion_status",
        "persons/deletion_status",
        "person:read",
        order=("-created_at",),
        filters={"status": equal("status"), "person_uuid": equal("person_uuid")},
        item_keys=(),
        throttle="persons",
    ),
    Listing("group_types", "groups_types", "group:read", order=("group_type_index",), paging="bare", item_keys=()),
)

BY_NAME: Mapping[str, Listing] = {listing.name: listing for listing in LISTINGS}
