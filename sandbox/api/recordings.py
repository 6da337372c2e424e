"""``/api/projects/:id/session_recordings/``: list (by cursor, by offset, or counted) and retrieve.

Sources: posthog/session_recordings/session_recording_api.py and queries/session_recording_list_from_query.py,
autumn 2026.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sandbox.store import Store, quoted

from . import dates
from .dispatch import Action, Call
from .envelope import Reply, invalid, not_found, reply

DEFAULT_LIMIT = 50

#: Fields of RecordingsQuery: another name in the query string is 400.
FIELDS = frozenset(
    {
        "actions",
        "add_events_to_property_queries",
        "after",
        "comment_text",
        "console_log_filters",
        "date_from",
        "date_to",
        "distinct_ids",
        "events",
        "filter_test_accounts",
        "format",
        "having_predicates",
        "kind",
        "limit",
        "modifiers",
        "offset",
        "operand",
        "order",
        "order_direction",
        "person_uuid",
        "personal_api_key",
        "properties",
        "response",
        "session_ids",
        "session_recording_id",
        "user_modified_filters",
        "version",
    }
)

#: Filters that change the answer and that this server does not have.
_UNSUPPORTED = ("actions", "events", "properties", "having_predicates", "console_log_filters", "comment_text")

_MEASURES = {
    "click_count": "sum(session_replay_events.click_count)",
    "keypress_count": "sum(session_replay_events.keypress_count)",
    "mouse_activity_count": "sum(session_replay_events.mouse_activity_count)",
    "console_log_count": "sum(session_replay_events.console_log_count)",
    "console_warn_count": "sum(session_replay_events.console_warn_count)",
    "console_error_count": "sum(session_replay_events.console_error_count)",
    "active_milliseconds": "sum(session_replay_events.active_milliseconds)",
}

_ORDERS = {
    "start_time": "start_time",
    "duration": "recording_duration",
    "recording_duration": "recording_duration",
    "active_seconds": "active_milliseconds",
    "inactive_seconds": "recording_duration - active_milliseconds / 1000",
    **{name: name for name in _MEASURES if name.endswith("count")},
}

#: What a user deleted is shown no more.
_SHOWN = "team_id = {team} AND session_id NOT IN (SELECT session_id FROM session_recording)"

_ACTIVITY = "least(100., (click_count + keypress_count) * 100. / greatest(1, recording_duration))"
_ORDERS["activity_score"] = _ACTIVITY


@dataclass(frozen=True)
class _Window:
    """Which recordings, in ClickHouse's words."""

    where: str
    having: str


async def listing(call: Call) -> Reply:
    """GET /session_recordings/."""
    behaviour = call.state.behaviour
    wanted = _parameters(call.arguments)
    limit = _whole(wanted, "limit", DEFAULT_LIMIT) or DEFAULT_LIMIT
    by_offset = "offset" in wanted or not behaviour.recordings_cursor or behaviour.recordings_counted
    # An order that is behind a flag silently becomes the default one.
    order = _ORDERS.get(str(wanted.get("order", "start_time")), "start_time")
    descending = str(wanted.get("order_direction", "DESC")).upper() != "ASC"
    having = []
    if "after" in wanted and not by_offset:
        having.append(_beyond(str(wanted["after"]), order, descending=descending))
    sql = _sql(_window(call, wanted, having))
    direction = "DESC" if descending else "ASC"
    offset = _whole(wanted, "offset", 0)
    rows = await call.state.in_thread(
        call.state.store.rows,
        f"SELECT *, {_order_text(order)} AS order_text FROM ({sql}) "
        f"ORDER BY {order} {direction}, session_id {direction} LIMIT {limit + 1} OFFSET {offset}",
    )
    has_next = len(rows) > limit
    rows = rows[:limit]
    people = await call.state.in_thread(_people, call.state.store, [row[1] for row in rows])
    results = [_recording(call, row, people) for row in rows]
    if behaviour.recordings_counted:
        following = call.url({"limit": limit, "offset": offset + limit}) if has_next else None
        before = call.url({"limit": limit, "offset": max(0, offset - limit)}) if offset else None
        count = await call.state.in_thread(call.state.store.scalar, f"SELECT count() FROM ({sql})")
        return reply({"count": count, "next": following, "previous": before, "results": results})
    body: dict[str, Any] = {"results": results, "has_next": has_next, "version": behaviour.recordings_version}
    if not by_offset and has_next:
        cursor = {"order_value": rows[-1][-1], "secondary_value": rows[-1][0]}
        body["next_cursor"] = base64.b64encode(json.dumps(cursor).encode()).decode()
    return reply(body, headers={"Server-Timing": "list_recordings;dur=1"})


def _parameters(arguments: Mapping[str, str]) -> dict[str, Any]:
    """The query string, each value parsed as JSON where it is JSON."""
    unknown = sorted(set(arguments) - FIELDS)
    if unknown:
        problem = "Extra inputs are not permitted"
        raise invalid(json.dumps([{"type": "extra_forbidden", "loc": [name], "msg": problem} for name in unknown]))
    wanted = {name: _decoded(text) for name, text in arguments.items()}
    for name in _UNSUPPORTED:
        if wanted.get(name):
            raise invalid(f"This local PostHog does not filter recordings by {name}.")
    return wanted


def _decoded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _whole(wanted: Mapping[str, Any], name: str, default: int) -> int:
    value = wanted.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise invalid(json.dumps([{"type": "int_type", "loc": [name], "msg": "Input should be a valid integer"}]))
    return value


def _window(call: Call, wanted: Mapping[str, Any], having: list[str]) -> _Window:
    behaviour, now = call.state.behaviour, call.state.clock.now()
    start = now - timedelta(days=behaviour.recordings_default_days)
    if wanted.get("date_from"):
        start = dates.parse(str(wanted["date_from"]), now) or start
    start = max(start, now - timedelta(days=behaviour.recordings_retention_days))
    end = dates.parse(str(wanted["date_to"]), now) if wanted.get("date_to") else None
    # Parts of a session may lie on both sides of a bound: the bounds hold for its first timestamp.
    bounds = [f"start_time >= {dates.literal(start)}"]
    if end is not None:
        bounds.append(f"start_time <= {dates.literal(end)}")
    where = [_SHOWN.format(team=call.state.store.team_id)]
    sessions = wanted.get("session_ids")
    if isinstance(sessions, list):
        if behaviour.recordings_cursor:
            # Today recordings that are named are shown whenever they were, as far as they are kept.
            bounds = [f"start_time >= {dates.literal(now - timedelta(days=behaviour.recordings_retention_days))}"]
        where.append(f"session_id IN ({', '.join(quoted(str(one)) for one in sessions) or quoted('')})")
    if wanted.get("session_recording_id"):
        where.append(f"session_id = {quoted(str(wanted['session_recording_id']))}")
    distinct_ids = wanted.get("distinct_ids")
    if isinstance(distinct_ids, list):
        among = ", ".join(quoted(str(one)) for one in distinct_ids) or quoted("")
        where.append(f"session_replay_events.distinct_id IN ({among})")
    if wanted.get("person_uuid"):
        where.append(
            "session_replay_events.distinct_id IN (SELECT distinct_id FROM person_distinct_id2 "
            "GROUP BY distinct_id HAVING "
            f"argMax(is_deleted, version) = 0 AND toString(argMax(person_id, version)) = "
            f"{quoted(str(wanted['person_uuid']))})"
        )
    return _Window(" AND ".join(where), " AND ".join([*bounds, *having]))


def _order_text(order: str) -> str:
    return "toString(start_time)" if order == "start_time" else f"toString({order})"


def _beyond(cursor: str, order: str, *, descending: bool) -> str:
    """The condition for rows after the cursor: (order value, session id) as a pair, so ties cannot get lost."""
    try:
        content = json.loads(base64.b64decode(cursor, validate=True))
        value, session = str(content["order_value"]), str(content["secondary_value"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise invalid("Invalid cursor.", attr="after") from None
    literal = f"toDateTime64({quoted(value)}, 6, 'UTC')" if order == "start_time" else f"toFloat64({quoted(value)})"
    left = order if order == "start_time" else f"toFloat64({order})"
    return f"({left}, session_id) {'<' if descending else '>'} ({literal}, {quoted(session)})"


def _sql(window: _Window) -> str:
    """One row per recording, its parts summed up. ``window.having`` uses the names made here."""
    measures = ", ".join(f"{expression} AS {name}" for name, expression in _MEASURES.items())
    return (
        "SELECT * FROM (SELECT session_id, any(session_replay_events.distinct_id) AS distinct_id, "
        "min(min_first_timestamp) AS start_time, max(max_last_timestamp) AS end_time, "
        "dateDiff('second', start_time, end_time) AS recording_duration, "
        "argMin(session_replay_events.first_url, min_first_timestamp) AS first_url, "
        "any(session_replay_events.snapshot_source) AS snapshot_source, "
        "max(session_replay_events.retention_period_days) AS retention_period_days, "
        f"max(_timestamp) AS last_data_at, {measures} "
        f"FROM session_replay_events WHERE {window.where} GROUP BY session_id) WHERE {window.having}"
    )


def _people(store: Store, distinct_ids: list[str]) -> dict[str, dict[str, Any]]:
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


def _recording(call: Call, row: list[Any], people: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    behaviour, now = call.state.behaviour, call.state.clock.now()
    session_id, distinct_id, start_text, end_text, duration, url, source, retention, last_data_text = row[:9]
    counts = dict(zip(_MEASURES, row[9 : 9 + len(_MEASURES)], strict=True))
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


async def retrieve(call: Call) -> Reply:
    """GET /session_recordings/:id/."""
    session = quoted(call.params["item"])
    window = _Window(f"{_SHOWN.format(team=call.state.store.team_id)} AND session_id = {session}", "1")
    rows = await call.state.in_thread(call.state.store.rows, _sql(window))
    if not rows:
        raise not_found("Recording not found")
    people = await call.state.in_thread(_people, call.state.store, [rows[0][1]])
    return reply(_recording(call, rows[0], people))


LISTING = {"GET": Action(listing, ("session_recording:read",), throttle="recordings")}
RETRIEVE = {"GET": Action(retrieve, ("session_recording:read",), throttle="clickhouse")}
