"""What moves data in and out of PostHog: Hog functions, plugins and their logs, batch exports, downloads, exports.

Fields as in PostHog's serializers (HogFunctionMinimalApi of products/cdp/frontend/generated, posthog/api/plugin.py,
posthog/models/plugin.py: PluginLogEntry, products/batch_exports/backend/api, posthog/api/exports.py, autumn 2026).

`hog_functions` lists destinations only, unless `types` names others (posthog/api/hog_function.py). The logs of a plugin
are cut at `limit` before they are paged (fetch_plugin_log_entries in posthog/models/plugin.py), so that `next` of a
first page leads to an empty one and whatever is older is never seen: they are read backwards in time instead.
"""

from __future__ import annotations

from .rest import EachRow, by, growing, listed
from .schema import bigint, double, flag, json, text, time

HOG_FUNCTION_TYPES = (
    "destination",
    "site_destination",
    "internal_destination",
    "source_webhook",
    "warehouse_source_webhook",
    "site_app",
    "transformation",
    "email",
    "sms",
    "push",
    "activity",
    "alert",
    "broadcast",
)
"""HogFunctionType of posthog/models/hog_functions/hog_function.py, autumn 2026, and those that older servers had."""

HOG_FUNCTIONS = listed(
    "hog_functions",
    "hog_functions",
    text("id", "The function's id: the key.", nullable=False),
    text("type", "destination, transformation, site_app, source_webhook, ..."),
    text("name", "Its name."),
    text("description", "What people wrote of it."),
    flag("enabled", "Whether it is switched on."),
    text("hog", "Its code, in Hog."),
    json("filters", "The events that it is run for."),
    text("template_id", "The template that it was made from.", hogql="template.id"),
    bigint(
        "status_state",
        "How it does: 0 unknown, 1 healthy, 2 degraded, 3 disabled; 11, 12: by hand.",
        hogql="status.state",
    ),
    bigint("execution_order", "The order of transformations."),
    text("icon_url", "Its picture."),
    time("created_at", "When it was made, UTC."),
    time("updated_at", "When it was last changed, UTC."),
    *by("created_by", "Who made it"),
    about="One row per Hog function: destinations, transformations, site apps, webhooks. PostHog lists no secrets.",
    scope="hog_function:read",
    params={"types": ",".join(HOG_FUNCTION_TYPES)},
)

PLUGIN_CONFIGS = listed(
    "plugin_configs",
    "plugin_configs",
    bigint("id", "The configuration's number: the key.", nullable=False),
    bigint("plugin", "The plugin's number."),
    text("name", "Its name."),
    text("description", "What people wrote of it."),
    flag("enabled", "Whether it is switched on."),
    bigint("order", "The order in which plugins run."),
    json("config", "Its settings; PostHog masks secrets."),
    json("error", "The last error, if there is one."),
    double("delivery_rate_24h", "The share of events delivered in the last 24 hours, 0 to 1."),
    flag("deleted", "Whether it is deleted; PostHog lists no deleted ones."),
    time("created_at", "When it was made, UTC."),
    time("updated_at", "When it was last changed, UTC."),
    about="One row per plugin that was set up.",
    scope="plugin:read",
)

PLUGIN_CONFIG_LOGS = growing(
    "plugin_config_logs",
    "plugin_configs/{plugin_config_id}/logs",
    text("id", "The line's id: the key.", nullable=False),
    bigint("plugin_config_id", "Whose line it is: plugin_configs.id."),
    bigint("plugin_id", "The plugin's number."),
    time("timestamp", "When it was written, UTC."),
    text("type", "DEBUG, LOG, INFO, WARN or ERROR."),
    text("source", "SYSTEM, PLUGIN or CONSOLE."),
    text("message", "What it says."),
    text("instance_id", "The process that wrote it."),
    about="One row per line of a plugin's log.",
    scope="plugin:read",
    each=(EachRow("plugin_configs", {"plugin_config_id": "id"}),),
    time="timestamp",
    before="before",
    counted_with={},
    page_size=1_000,
)

BATCH_EXPORTS = listed(
    "batch_exports",
    "batch_exports",
    text("id", "The export's id: the key.", nullable=False),
    text("name", "Its name."),
    text("model", "What it exports: events, persons, sessions or hogql."),
    text("destination_type", "Where to: S3, BigQuery, Snowflake, Postgres, ...", hogql="destination.type"),
    json("destination_config", "How that is set up; PostHog leaves out secrets.", hogql="destination.config"),
    text("interval", "How often: hour, day, week or every 5 minutes."),
    text("timezone", "The time zone in which its days begin."),
    flag("paused", "Whether it is paused."),
    json("filters", "Only events that match these."),
    text("hogql_query", "The query of an export of that model."),
    time("start_at", "Nothing before this is exported, UTC."),
    time("end_at", "Nothing after this is exported, UTC."),
    time("last_paused_at", "When it was last paused, UTC."),
    time("created_at", "When it was made, UTC."),
    time("last_updated_at", "When it was last changed, UTC."),
    about="One row per batch export. Its latest ten runs are a child table.",
    scope="batch_export:read",
    children=("latest_runs",),
)

FILE_DOWNLOAD_EXPORTS = listed(
    "file_download_exports",
    "file_download_batch_exports",
    text("id", "The run's id: the key.", nullable=False),
    text("status", "Starting, Running, Completed, Cancelled, Failed, ..."),
    about="One row per run of a file download export; PostHog lists no more of them.",
    scope="batch_export:read",
)

EXPORTS = listed(
    "exports",
    "exports",
    bigint("id", "The export's number: the key.", nullable=False),
    text("export_format", "image/png, text/csv, application/pdf, ..."),
    bigint("insight", "What was exported: insights.id."),
    bigint("dashboard", "What was exported: dashboards.id."),
    flag("has_content", "Whether there is a file."),
    text("filename", "Its name."),
    json("export_context", "What it was made from, where that is neither."),
    text("exception", "Why there is no file."),
    time("expires_after", "When PostHog deletes it, UTC."),
    time("created_at", "When it was asked for, UTC."),
    about="One row per file that the key's owner had PostHog make. The files: export_contents.",
    scope="export:read",
)

TABLES_OF_MOVEMENT = (
    HOG_FUNCTIONS,
    PLUGIN_CONFIGS,
    PLUGIN_CONFIG_LOGS,
    BATCH_EXPORTS,
    FILE_DOWNLOAD_EXPORTS,
    EXPORTS,
)
