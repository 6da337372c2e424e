"""``/api/projects/:id/events/``: the deprecated list, retrieve and values.

Its ``next`` is a bare timestamp, compared strictly: events that share the boundary's timestamp are lost. Newest
first, it probes short windows, so that pages are short and ``next`` can be null too early.
Source: posthog/api/event.py, autumn 2026.
"""

from __future__ import annotations

import asyncio
import json
import uuid as uuids
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from posthog_warehouse.sandbox.store import Store, quoted

from . import dates
from .dispatch import Action, Call, integer
from .envelope import ApiError, Reply, invalid, not_found, reply
from .links import next_link

DEFAULT_LIMIT = 100

#: The spans that a newest-first request tries before it looks at everything.
PROBES = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=15),
    timedelta(hours=1),
    timedelta(hours=6),
    timedelta(hours=24),
)

_COLUMNS = "toString(uuid), distinct_id, properties, event, timestamp, toString(person_id), elements_chain"


@dataclass(frozen=True)
class Page:
    """What a list request asks for. ``after`` and ``before`` are exclusive, UTC."""

    after: datetime | None
    before: datetime
    descending: bool
    limit: int
    offset: int
    conditions: tuple[str, ...]


async def listing(call: Call) -> Reply:
    """GET /events/."""
    behaviour = call.state.behaviour
    arguments = call.arguments
    headers = {}
    if "offset" in arguments and behaviour.events_max_offset is not None:
        ceiling = behaviour.events_max_offset
        if integer(arguments, "offset", 0) > ceiling:
            raise invalid(f"Offset is deprecated. Max supported offset value is {ceiling}")
        headers["X-PostHog-Warn"] = "offset is deprecated: page with the timestamps in next"
        await asyncio.sleep(behaviour.events_offset_delay_seconds)
    page = _page(call)
    if page is None:
        return reply({"next": None, "results": []}, headers=headers)
    rows, has_more = await call.state.in_thread(
        _select, call.state.store, page, probing=behaviour.events_window_probing
    )
    people = {}
    if arguments.get("include_person", "").lower() == "true":
        people = await call.state.in_thread(_people, call.state.store, rows)
    # All other arguments stay in next, offset too.
    bound = "before" if page.descending else "after"
    return reply(
        {
            "next": next_link(
                call,
                {bound: _spelled(rows[-1][4]) if rows else None},
                more=has_more and bool(rows),
                first=bound not in arguments and not page.offset,
            ),
            "results": [_event(row, people) for row in rows],
        },
        headers=headers,
    )


def _page(call: Call) -> Page | None:
    """What is asked for, or None if a date makes no sense: such a request finds nothing, and no error."""
    arguments = call.arguments
    now = call.state.clock.now()
    before = dates.parse(arguments["before"], now) if "before" in arguments else now + timedelta(seconds=5)
    after = dates.parse(arguments["after"], now) if "after" in arguments else None
    if before is None or (after is None and "after" in arguments):
        return None
    try:
        order = json.loads(arguments.get("orderBy", '["-timestamp"]'))
    except ValueError:
        raise invalid("orderBy must be a JSON list.", attr="orderBy") from None
    return Page(
        after=after,
        before=before,
        descending=order == ["-timestamp"],
        limit=min(integer(arguments, "limit", DEFAULT_LIMIT) or DEFAULT_LIMIT, call.state.behaviour.events_page_cap),
        offset=integer(arguments, "offset", 0),
        conditions=tuple(_conditions(arguments)),
    )


def _conditions(arguments: Mapping[str, str]) -> list[str]:
    conditions = []
    if arguments.get("event"):
        conditions.append(f"event = {quoted(arguments['event'])}")
    if arguments.get("distinct_id"):
        conditions.append(f"distinct_id = {quoted(arguments['distinct_id'])}")
    if arguments.get("person_id"):
        conditions.append(f"toString(person_id) = {quoted(arguments['person_id'])}")
    if arguments.get("properties"):
        try:
            filters = json.loads(arguments["properties"])
        except ValueError:
            raise invalid("Properties are unparsable!") from None
        for item in filters if isinstance(filters, list) else []:
            raw = f"JSONExtractRaw(properties, {quoted(str(item.get('key')))})"
            wanted = item.get("value")
            texts = [quoted(str(one)) for one in (wanted if isinstance(wanted, list) else [wanted])]
            if item.get("operator") not in (None, "exact"):
                raise invalid(f"This local PostHog does not know the operator {item['operator']!r} here.")
            conditions.append(f"trim(BOTH '\"' FROM {raw}) IN ({', '.join(texts)})")
    return conditions


def _select(store: Store, page: Page, *, probing: bool) -> tuple[list[list[Any]], bool]:
    """The rows of a page, and whether the looked-at window holds more."""
    if probing and page.descending:
        for span in PROBES:
            start = page.before - span
            if page.after is not None and start <= page.after:
                break
            rows = _rows(store, page, after=start)
            if len(rows) >= page.limit / 2:
                return rows[: page.limit], len(rows) > page.limit
    rows = _rows(store, page, after=page.after)
    return rows[: page.limit], len(rows) > page.limit


def _rows(store: Store, page: Page, *, after: datetime | None) -> list[list[Any]]:
    conditions = [
        f"team_id = {store.team_id}",
        f"timestamp < {dates.literal(page.before)}",
        *([] if after is None else [f"timestamp > {dates.literal(after)}"]),
        *page.conditions,
    ]
    order = "DESC" if page.descending else "ASC"
    return store.rows(
        f"SELECT {_COLUMNS} FROM events WHERE {' AND '.join(conditions)} "
        f"ORDER BY timestamp {order} LIMIT {page.limit + 1} OFFSET {page.offset}"
    )


def _people(store: Store, rows: list[list[Any]]) -> dict[str, dict[str, Any]]:
    if not rows:
        return {}
    among = ", ".join(sorted({quoted(row[5]) for row in rows}))
    found = store.rows(
        "SELECT toString(id), argMax(properties, version), argMax(is_identified, version), argMax(created_at, version) "
        f"FROM person WHERE team_id = {store.team_id} AND id IN ({among}) "
        "GROUP BY id HAVING argMax(is_deleted, version) = 0"
    )
    return {
        row[0]: {
            "is_identified": bool(row[2]),
            "properties": json.loads(row[1]),
            "created_at": row[3],
            "uuid": row[0],
        }
        for row in found
    }


def _spelled(timestamp: str) -> str:
    """The list spells UTC as an offset: ``2026-11-20T09:00:00.123456+00:00``."""
    return timestamp.replace("Z", "+00:00")


def _event(row: list[Any], people: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    uuid, distinct_id, properties, event, timestamp, person_id, elements_chain = row
    person = people.get(person_id)
    return {
        "id": uuid,
        "distinct_id": distinct_id,
        "properties": json.loads(properties),
        "event": event,
        "timestamp": _spelled(timestamp),
        "person": None if person is None else {**person, "distinct_ids": [distinct_id]},
        "elements": [],
        "elements_chain": elements_chain,
    }


async def retrieve(call: Call) -> Reply:
    """GET /events/:uuid/."""
    wanted = call.params["item"]
    try:
        uuid = str(uuids.UUID(wanted))
    except ValueError:
        # This one is raised by hand, without attr and with the code as it stands (posthog/api/event.py).
        return reply({"detail": "Invalid UUID", "code": "invalid", "type": "validation_error"}, status=400)
    store = call.state.store
    rows = await call.state.in_thread(
        store.rows,
        f"SELECT {_COLUMNS} FROM events WHERE team_id = {store.team_id} AND uuid = {quoted(uuid)} LIMIT 1",
    )
    if not rows:
        raise not_found(f"No events exist for event UUID {uuid}")
    people = await call.state.in_thread(_people, store, rows)
    return reply(_event(rows[0], people))


async def values(call: Call) -> Reply:
    """GET /events/values/: values of a property in the last 7 days."""
    key = call.arguments.get("key")
    event = call.arguments.get("event_name")
    if not key:
        raise ApiError(400, "validation_error", "invalid_input", "You must provide a key")
    if not event:
        raise invalid("Personal API key requests must name the event in event_name.", attr="event_name")
    store = call.state.store
    since = call.state.clock.now() - timedelta(days=7)
    value = f"trim(BOTH '\"' FROM JSONExtractRaw(properties, {quoted(key)}))"
    conditions = [
        f"team_id = {store.team_id}",
        f"timestamp >= {dates.literal(since)}",
        f"JSONHas(properties, {quoted(key)})",
        f"event = {quoted(event)}",
    ]
    if call.arguments.get("value"):
        conditions.append(f"positionCaseInsensitiveUTF8(value, {quoted(call.arguments['value'])}) > 0")
    rows = await call.state.in_thread(
        store.rows,
        f"SELECT {value} AS value FROM events WHERE {' AND '.join(conditions)} "
        "GROUP BY value ORDER BY count() DESC, value LIMIT 10",
    )
    names = [{"name": row[0]} for row in rows]
    body: object = names if call.state.behaviour.old_response_shape else {"results": names, "refreshing": False}
    return reply(body, headers={"Cache-Control": "max-age=10"})


LISTING = {"GET": Action(listing, ("query:read",), throttle="clickhouse")}
RETRIEVE = {"GET": Action(retrieve, ("query:read",), throttle="clickhouse")}
VALUES = {"GET": Action(values, ("query:read",), throttle="clickhouse")}
