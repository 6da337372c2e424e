"""A recording as PostHog's serializer shows it, with its person in the short form.

Source: posthog/session_recordings/session_recording_api.py, autumn 2026.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from posthog_warehouse.sandbox.store import Store, quoted

from . import dates
from .dispatch import Call

#: What is summed up over a recording's parts, as SQL.
MEASURES = {
    "click_count": "sum(session_replay_events.click_count)",
    "keypress_count": "sum(session_replay_events.keypress_count)",
    "mouse_activity_count": "sum(session_replay_events.mouse_activity_count)",
    "console_log_count": "sum(session_replay_events.console_log_count)",
    "console_warn_count": "sum(session_replay_events.console_warn_count)",
    "console_error_count": "sum(session_replay_events.console_error_count)",
    "active_milliseconds": "sum(session_replay_events.active_milliseconds)",
}


def people_of(store: Store, distinct_ids: list[str]) -> dict[str, dict[str, Any]]:
    """By distinct id, the person in its short form: at most 10 distinct ids."""
    if not distinct_ids:
        return {}
    among = ", ".join(sorted({quoted(one) for one in distinct_ids}))
    mapping = (
        "SELECT distinct_id, argMax(person_id, version) AS person FROM person_distinct_id2 "
        f"WHERE team_id = {store.team_id} GROUP BY distinct_id HAVING argMax(is_deleted, version) = 0"
    )
    rows = store.rows(
        f"SELECT groupArray(distinct_id), person, p.latest, p.created FROM ({mapping}) AS m INNER JOIN ("
        "SELECT id, argMax(properties, version) AS latest, argMax(created_at, version) AS created FROM person "
        f"WHERE team_id = {store.team_id} GROUP BY id HAVING argMax(is_deleted, version) = 0"
        f") AS p ON p.id = m.person WHERE person IN (SELECT person FROM ({mapping}) "
        f"WHERE distinct_id IN ({among})) GROUP BY person, p.latest, p.created"
    )
    people: dict[str, dict[str, Any]] = {}
    for ids, person_id, text, created in rows:
        properties = json.loads(text)
        ordered = sorted(ids)
        for distinct_id in ordered:
            people[distinct_id] = {
                "id": person_id,
                "name": properties.get("email") or properties.get("name") or ordered[0],
                "distinct_ids": ordered[:10],
                "properties": properties,
                "created_at": created,
                "uuid": person_id,
            }
    return people


def recording_of(call: Call, row: list[Any], people: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """A row of the list: `row` begins with the columns of `recordings._sql`."""
    behaviour, now = call.state.behaviour, call.state.clock.now()
    session_id, distinct_id, start_text, end_text, duration, url, source, retention, last_data_text = row[:9]
    counts = dict(zip(MEASURES, row[9 : 9 + len(MEASURES)], strict=True))
    active = counts.pop("active_milliseconds") / 1000
    start = dates.parse(start_text, now) or now
    last_data = dates.parse(last_data_text, now) or now
    expiry = start.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=retention or 30)
    recording: dict[str, Any] = {
        "id": session_id,
        "distinct_id": distinct_id,
        "viewed": False,
        "viewers": [],
        "recording_duration": duration,
        "active_seconds": active,
        "inactive_seconds": max(0, duration - active),
        "start_time": start_text,
        "end_time": end_text,
        **counts,
        "start_url": url,
        "person": people.get(distinct_id),
        "retention_period_days": retention,
        "snapshot_source": source,
        "ongoing": (now - last_data).total_seconds() < behaviour.recordings_ongoing_seconds,
        "activity_score": min(100.0, (counts["click_count"] + counts["keypress_count"]) * 100 / max(1, duration)),
    }
    if behaviour.recordings_cursor:
        recording |= {
            "expiry_time": expiry,
            "recording_ttl": max(0, (expiry - now).days),
            "snapshot_library": "web",
            "has_summary": False,
            "summary_outcome": None,
            "external_references": [],
            "matches_filters": True,
        }
    else:
        recording["storage"] = "object_storage"
    return recording
