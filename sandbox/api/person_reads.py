"""What can be read about persons beside the list: values of a property, cohorts, activity, properties over time.

Source: posthog/api/person.py, autumn 2026.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from posthog_warehouse.sandbox.cohorts import MEMBERS
from posthog_warehouse.sandbox.store import Store, quoted

from . import dates
from .dispatch import Action, Call, integer
from .envelope import Reply, invalid, not_found, reply
from .lists.endpoints import rows_of, visible
from .persons import find_id, number

#: Values of a property that are told.
_VALUES = 20

#: The fields of an entry of the activity log as these endpoints show it.
_ACTIVITY_FIELDS = ("user", "activity", "scope", "item_id", "detail", "created_at")


async def values(call: Call) -> Reply:
    """GET /persons/values/?key=&value=: the most frequent values of a person property."""
    key, text = call.arguments.get("key"), call.arguments.get("value")
    names = await call.state.in_thread(_values, call.state.store, key, text) if key else []
    body: object = names if call.state.behaviour.old_response_shape else {"results": names, "refreshing": False}
    return reply(body, headers={"Cache-Control": "max-age=10"})


def _values(store: Store, key: str, text: str | None) -> list[dict[str, Any]]:
    value = f"trim(BOTH '\"' FROM JSONExtractRaw(latest, {quoted(key)}))"
    wanted = f"AND positionCaseInsensitiveUTF8({value}, {quoted(text)}) > 0" if text else ""
    rows = store.rows(
        f"SELECT {value} AS name, count() FROM (SELECT argMax(properties, version) AS latest FROM person "
        f"WHERE team_id = {store.team_id} GROUP BY id HAVING argMax(is_deleted, version) = 0) "
        f"WHERE JSONHas(latest, {quoted(key)}) {wanted} GROUP BY name ORDER BY count() DESC, name LIMIT {_VALUES}"
    )
    return [{"name": name, "count": count} for name, count in rows]


async def cohorts(call: Call) -> Reply:
    """GET /persons/cohorts/?person_id=: the cohorts that a person is in."""
    person = await _person(call, call.arguments.get("person_id", ""))
    ids = await call.state.in_thread(
        call.state.store.rows, f"SELECT DISTINCT cohort_id FROM ({MEMBERS}) WHERE person_id = {quoted(person)}"
    )
    among = {row[0] for row in ids}
    rows = (await rows_of(call, "cohorts")).visible()
    return reply(
        {"results": [{name: row[name] for name in ("id", "name", "count")} for row in rows if row["id"] in among]}
    )


async def _person(call: Call, wanted: str) -> str:
    person = await call.state.in_thread(find_id, call.state.store, wanted)
    if person is None:
        raise not_found("Not found.")
    return person


async def all_activity(call: Call) -> Reply:
    """GET /persons/activity/: what was done to persons, newest first, ten a page."""
    return await _activity(call, None)


async def activity(call: Call) -> Reply:
    """GET /persons/:id/activity/: what was done to one person."""
    person = await _person(call, call.params["item"])
    return await _activity(call, str(number(person)))


async def _activity(call: Call, item_id: str | None) -> Reply:
    limit, page = integer(call.arguments, "limit", 10) or 10, integer(call.arguments, "page", 1) or 1
    rows = visible(call, await rows_of(call, "activity_log"))
    found = [row for row in rows if row["scope"] == "Person" and item_id in (None, row["item_id"])]
    found.sort(key=lambda row: str(row["created_at"]), reverse=True)
    more = page * limit < len(found)
    return reply(
        {
            "results": [
                {name: row[name] for name in _ACTIVITY_FIELDS} for row in found[(page - 1) * limit : page * limit]
            ],
            "next": call.url({"page": page + 1, "limit": limit}) if more else None,
            "previous": call.url({"page": page - 1, "limit": limit}) if page > 1 else None,
            "total_count": len(found),
        }
    )


async def timeline(call: Call) -> Reply:
    """GET /persons/:id/properties_timeline/: how the person properties that the filters name changed.

    Filters name them in ``properties`` (a JSON list) and in ``breakdown`` with ``breakdown_type=person``. The window is
    the last week unless ``date_from`` and ``date_to`` say otherwise.
    """
    person = await _person(call, call.params["item"])
    now = call.state.clock.now()
    start = dates.parse(call.arguments.get("date_from", "-7d"), now) or now - timedelta(days=7)
    end = dates.parse(call.arguments.get("date_to", now.isoformat()), now) or now
    store, keys = call.state.store, _crucial(call)
    rows = await call.state.in_thread(
        store.rows,
        f"SELECT timestamp, person_properties FROM events WHERE team_id = {store.team_id} "
        f"AND person_id = {quoted(person)} AND timestamp >= {dates.literal(start)} "
        f"AND timestamp <= {dates.literal(end)} ORDER BY timestamp, uuid",
    )
    points: list[dict[str, Any]] = []
    for timestamp, text in rows:
        properties = json.loads(text)
        crucial = {key: properties.get(key) for key in keys}
        if not points or points[-1]["properties"] != crucial:
            points.append({"timestamp": timestamp, "properties": crucial, "relevant_event_count": 0})
        points[-1]["relevant_event_count"] += 1
    return reply(
        {
            "points": points,
            "crucial_property_keys": keys,
            "effective_date_from": start.isoformat(),
            "effective_date_to": end.isoformat(),
        }
    )


def _crucial(call: Call) -> list[str]:
    try:
        filters = json.loads(call.arguments.get("properties") or "[]")
    except ValueError:
        raise invalid("Properties are unparsable!") from None
    keys = {str(item.get("key")) for item in filters if isinstance(item, dict) and item.get("type") == "person"}
    if call.arguments.get("breakdown_type") == "person" and call.arguments.get("breakdown"):
        keys.add(call.arguments["breakdown"])
    return sorted(keys)


ROUTES = {
    "values/": {"GET": Action(values, ("person:read",), throttle="persons")},
    "cohorts/": {"GET": Action(cohorts, ("person:read", "cohort:read"), throttle="persons")},
    "activity/": {"GET": Action(all_activity, ("activity_log:read",), throttle="persons")},
    "{item}/activity/": {"GET": Action(activity, ("activity_log:read",), throttle="persons")},
    # No scope opens it: keys that have scopes are refused, only legacy ones are not (seed pages of autumn 2026).
    "{item}/properties_timeline/": {"GET": Action(timeline, (), throttle="persons")},
}
