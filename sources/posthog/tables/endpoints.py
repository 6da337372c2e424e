"""Endpoints that PostHog's API reference tells of and that can be read: which table holds each, or why none does.

Paths are those of the reference (autumn 2026), below /api/projects/:project_id (it still says /api/environments there).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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
