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

from posthog_warehouse.sandbox.store import quoted

from . import dates
from .dispatch import Action, Call
from .envelope import Reply, invalid, not_found, reply
from .recording_rows import MEASURES, people_of, recording_of

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

_ORDERS = {
    "start_time": "start_time",
    "duration": "recording_duration",
    "recording_duration": "recording_duration",
    "active_seconds": "active_milliseconds",
    "inactive_seconds": "recording_duration - active_milliseconds / 1000",
    **{name: name for name in MEASURES if name.endswith("count")},
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
    people = await call.state.in_thread(people_of, call.state.store, [row[1] for row in rows])
    results = [recording_of(call, row, people) for row in rows]
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
    measures = ", ".join(f"{expression} AS {name}" for name, expression in MEASURES.items())
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


async def retrieve(call: Call) -> Reply:
    """GET /session_recordings/:id/."""
    session = quoted(call.params["item"])
    window = _Window(f"{_SHOWN.format(team=call.state.store.team_id)} AND session_id = {session}", "1")
    rows = await call.state.in_thread(call.state.store.rows, _sql(window))
    if not rows:
        raise not_found("Recording not found")
    people = await call.state.in_thread(people_of, call.state.store, [rows[0][1]])
    return reply(recording_of(call, rows[0], people))


LISTING = {"GET": Action(listing, ("session_recording:read",), throttle="recordings")}
RETRIEVE = {"GET": Action(retrieve, ("session_recording:read",), throttle="clickhouse")}
