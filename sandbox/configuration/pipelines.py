"""What moves data in and out: functions in Hog, plugins and their logs, batch exports, file downloads, exports."""

from __future__ import annotations

from datetime import timedelta

from .insights import DASHBOARD_COUNT, INSIGHT_COUNT
from .making import Making, Row, iso

_FUNCTIONS = (
    ("destination", "Slack: purchases", "template-slack", True),
    ("destination", 'Webhook "CRM"', "template-webhook", True),
    ("destination", "HTTP 旧", "template-webhook", False),
    ("transformation", "GeoIP", "template-geoip", True),
    ("transformation", "Drop bots", "template-bot-detection", True),
    ("internal_destination", "Errors to Slack", "template-slack-error-tracking-issue-created", True),
    ("site_app", "Banner", "template-notification-bar", True),
    ("site_destination", "Pixel", "template-snapchat-pixel", False),
    ("source_webhook", "Incoming", "template-source-webhook", True),
    ("destination", "Deleted one", "template-webhook", False),
)

FUNCTION_COUNT = len(_FUNCTIONS)

_HOG = "let res := fetch(inputs.url, {\n  'body': event, 'method': 'POST'\n})\nprint(res.status)"


def make_function(making: Making) -> Row:
    """A Hog function (posthog/api/hog_function.py, autumn 2026): lists leave ``inputs`` and what follows out."""
    fresh = ("destination", f"Function {making.number}", "template-webhook", True)
    kind, name, template, enabled = _FUNCTIONS[making.number] if making.number < FUNCTION_COUNT else fresh
    return {
        "id": making.uuid(),
        "type": kind,
        "name": name,
        "description": making.pick(("", "Sends each purchase on")),
        "created_at": iso(making.created),
        "created_by": making.user(),
        "updated_at": iso(making.modified),
        "enabled": enabled,
        "hog": _HOG,
        "filters": {
            "source": "events",
            "events": [{"id": "purchase", "name": "purchase", "type": "events", "order": 0, "properties": []}],
            "bytecode": ["_H", 1, 32, "purchase", 32, "event", 1, 1, 11],
        },
        "icon_url": "/static/services/webhook.svg",
        "template": {"id": template, "name": name, "type": kind, "status": "stable", "free": True},
        "status": {"state": 1 if enabled else 0, "tokens": 10_000},
        "execution_order": making.number if kind == "transformation" else None,
        "search_match_type": None,
        "draft_updated_at": None,
        "inputs": {"url": {"value": "https://hooks.hedgebox.example/in?x=1", "order": 0}, "token": {"secret": True}},
        "inputs_schema": [{"key": "url", "type": "string", "label": "URL", "required": True, "secret": False}],
        "bytecode": ["_H", 1],
        "transpiled": None,
        "masking": None,
        "mappings": None,
        "deleted": name == "Deleted one",
    }


_PLUGINS = (("GeoIP", True, 0), ("Downsampler", False, 1), ("S3 Export", True, 2))

PLUGIN_COUNT = len(_PLUGINS)


def make_plugin_config(making: Making) -> Row:
    """A plugin's configuration in the fields of PluginConfigSerializer (posthog/api/plugin.py, autumn 2026)."""
    fresh = (f"Plugin {making.number}", False, making.number)
    name, enabled, order = _PLUGINS[making.number] if making.number < PLUGIN_COUNT else fresh
    return {
        "id": making.number + 1,
        "plugin": 40 + making.number,
        "enabled": enabled,
        "order": order,
        "config": {"bucket": "hedgebox", "prefix": "", "percentage": "10", "secret": "**************** POSTHOG SECRET"},
        "error": None if enabled else {"message": "TypeError: x is not a function", "time": making.ago(days=9)},
        "team_id": making.world.project_id,
        "plugin_info": None,
        "delivery_rate_24h": 0.998 if enabled else None,
        "created_at": iso(making.created),
        "updated_at": iso(making.modified),
        "name": name,
        "description": "",
        "deleted": False,
    }


#: Of them all, the first plugin's are more than a page.
LOG_COUNT = 260


def make_plugin_log(making: Making) -> Row:
    """A line of a plugin's log in the fields of PluginLogEntry (posthog/models/plugin.py, autumn 2026)."""
    plugin = 1 + (making.number % 10 == 0) + (making.number % 20 == 0)
    kind, message = making.pick((
        ("LOG", "Processed 500 events"), ("INFO", "Started"), ("ERROR", 'Error: "429"\n  at fetch (index.js:1:2)'),
        ("DEBUG", "{\"batch\": 7, \"🦔\": null}"), ("WARN", ""),
    ))  # fmt: skip
    return {
        "id": making.uuid(),
        "team_id": making.world.project_id,
        "plugin_id": 39 + plugin,
        "plugin_config_id": plugin,
        # Lines come in bursts.
        "timestamp": iso(making.of(making.kind, making.number - making.number % 4, making.total).created)
        if making.added is None
        else iso(making.created),
        "source": making.pick(("SYSTEM", "PLUGIN", "CONSOLE")),
        "type": kind,
        "message": message,
        "instance_id": making.uuid("instance"),
    }


BATCH_EXPORT_COUNT = 4


def make_batch_export(making: Making) -> Row:
    """A batch export (products/batch_exports/backend/api, autumn 2026)."""
    kind, model, interval = (
        ("S3", "events", "hour"), ("BigQuery", "persons", "day"), ("Snowflake", "sessions", "every 5 minutes"),
        ("Postgres", "events", "day"),
    )[making.number % 4]  # fmt: skip
    export_id = making.uuid()
    hours = {"hour": 1, "day": 24}.get(interval, 1)
    runs = []
    for place in range(3):
        end = making.world.until.replace(minute=0, second=0, microsecond=0) - timedelta(hours=place * hours)
        failed = making.number == 1 and place == 0
        runs.append(
            {
                "id": making.uuid(f"run {place}"),
                "status": "FailedRetryable" if failed else "Completed",
                "records_completed": None if failed else making.random.randrange(10_000),
                "latest_error": "NotFound: 404 dataset" if failed else None,
                "data_interval_start": iso(end - timedelta(hours=hours)),
                "data_interval_end": iso(end),
                "cursor": None,
                "created_at": iso(end + timedelta(seconds=4)),
                "finished_at": None if failed else iso(end + timedelta(seconds=95)),
                "last_updated_at": iso(end + timedelta(seconds=96)),
                "records_total_count": None,
                "bytes_exported": None if failed else making.random.randrange(1 << 33),
                "batch_export": export_id,
                "backfill": None,
            }
        )
    return {
        "id": export_id,
        "team_id": making.world.project_id,
        "name": f"{model} to {kind}",
        "model": model,
        "destination": {
            "type": kind,
            "config": {"bucket_name": "hedgebox", "prefix": "events/", "exclude_events": ["$web_vitals"]},
            "integration": None,
            "integration_id": None,
        },
        "interval": interval,
        "timezone": "UTC",
        "offset_day": None,
        "offset_hour": None,
        "paused": making.number == 3,
        "created_at": iso(making.created),
        "last_updated_at": iso(making.modified),
        "last_paused_at": making.ago(days=3) if making.number == 3 else None,
        "start_at": None,
        "end_at": None,
        "latest_runs": runs,
        "hogql_query": None,
        "schema": None,
        "filters": [{"key": "$host", "type": "event", "value": ["hedgebox.net"], "operator": "exact"}],
    }


DOWNLOAD_COUNT = 7


def make_download(making: Making) -> Row:
    """A run of a file download export: its list shows id and status alone (file_download.py, autumn 2026).

    ``_created_at`` is not shown: the list is ordered by it.
    """
    status = ("Completed", "Completed", "Failed", "Running")[making.number % 4]
    return {"id": making.uuid(), "status": status, "_created_at": iso(making.created)}


def change_download(row: Row, now: str) -> Row:
    """Runs go on: to their end, or to be cancelled."""
    del now
    return {**row, "status": "Completed" if row["status"] == "Running" else "Cancelled"}


#: How many exports: more than a page.
EXPORT_COUNT = 130


def make_export(making: Making) -> Row:
    """An exported asset in the fields of ExportedAssetSerializer (posthog/api/exports.py, autumn 2026)."""
    export_format = making.pick(("image/png", "text/csv"))
    of_insight = export_format == "text/csv" or making.chance(0.7)
    insight = making.of("insights", making.random.randrange(INSIGHT_COUNT - 1), INSIGHT_COUNT)
    dashboard = making.of("dashboards", making.random.randrange(2), DASHBOARD_COUNT)
    stuck = making.number % 20 == 19
    kind = "csv" if export_format == "text/csv" else "png"
    return {
        "id": making.id,
        "dashboard": None if of_insight else dashboard.id,
        "insight": insight.id if of_insight else None,
        "export_format": export_format,
        "created_at": iso(making.created),
        "has_content": not stuck,
        "export_context": {"path": f"api/projects/{making.world.project_id}/insights/{insight.id}/", "limit": 3_500}
        if kind == "csv"
        else None,
        "filename": f"export-{'insight' if of_insight else 'dashboard'}-{making.number}.{kind}",
        "expires_after": iso((making.created + timedelta(days=180)).replace(hour=0, minute=0, second=0, microsecond=0)),
        "exception": "Export failed without throwing an exception. Please try to rerun this export" if stuck else None,
        "user_access_level": "manager",
    }
