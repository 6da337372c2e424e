"""Every endpoint of the API reference that can be read has a table, or a reason why not."""

from __future__ import annotations

import pytest

from posthog_warehouse.sources.posthog.tables import TABLES
from posthog_warehouse.sources.posthog.tables.on_request import ENDPOINTS, Endpoint

# All endpoints of five pages of PostHog's API reference, in their order there.
REFERENCE = """
POST /persons/funnel
GET /persons/funnel/correlation
POST /persons/funnel/correlation
GET /persons/lifecycle
POST /persons/reset_person_distinct_id
GET /persons/stickiness
GET /persons/trends
GET /persons/values
GET /plugin_configs/:plugin_config_id/logs
POST /query
PATCH /persons/:id
DELETE /persons/:id
GET /persons/:id/activity
POST /persons/:id/delete_events
POST /persons/:id/delete_property
POST /persons/:id/delete_recordings
GET /persons/:id/properties_timeline
POST /persons/:id/split
POST /persons/:id/update_property
GET /persons/activity
POST /persons/bulk_delete
GET /query/:id
DELETE /query/:id
GET /query/draft_sql
GET /session_recordings
GET /session_recordings/:id
PATCH /session_recordings/:id
DELETE /session_recordings/:id
GET /session_recordings/:recording_id/sharing
DELETE /evaluations/:id
GET /events
GET /events/:id
GET /events/values
GET /exports
POST /exports
GET /exports/:id
GET /exports/:id/content
GET /file_system
POST /file_system
GET /file_system/:id
PATCH /file_system/:id
DELETE /file_system/:id
POST /file_system/:id/count
POST /file_system/:id/link
POST /file_system/:id/move
POST /insights/funnel
GET /insights/funnel/correlation
POST /insights/funnel/correlation
GET /insights/my_last_viewed
GET /insights/path
POST /insights/path
GET /insights/retention
POST /insights/retention
POST /insights/timing
GET /insights/trend
POST /insights/trend
"""

CHANGING = {
    "/persons/reset_person_distinct_id",
    "/persons/:id/delete_events",
    "/persons/:id/delete_property",
    "/persons/:id/delete_recordings",
    "/persons/:id/split",
    "/persons/:id/update_property",
    "/persons/bulk_delete",
    "/exports",
    "/file_system",
    "/file_system/:id/link",
    "/file_system/:id/move",
    "/insights/timing",  # it notes how long a screen took
}
"""Of those that are posted to, the ones that change something."""


def test_every_endpoint_that_can_be_read_is_listed_once() -> None:
    known = [tuple(line.split()) for line in REFERENCE.split("\n") if line]
    readable = {
        (method, path) for method, path in known if method == "GET" or (method == "POST" and path not in CHANGING)
    }
    listed = [(endpoint.method, endpoint.path) for endpoint in ENDPOINTS]
    assert sorted(listed) == sorted(readable)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: f"{endpoint.method} {endpoint.path}")
def test_each_has_a_table_or_a_reason(endpoint: Endpoint) -> None:
    if endpoint.table is None:
        assert endpoint.reason
    else:
        assert endpoint.table in TABLES
