"""``/api/projects/:id/persons/``: list and retrieve.

A page takes its ids from ClickHouse and the bodies from the person store. The two disagree for a while after a
deletion, so a page can be short and still have a ``next``; and offsets count over live data, newest first, so
they shift when persons are added. Sources: posthog/api/person.py and posthog/queries/actor_base_query.py,
autumn 2026.
"""

from __future__ import annotations

import json
import uuid as uuids
from typing import Any

from posthog_warehouse.sandbox.store import Store, quoted

from .dispatch import Action, Call, integer
from .envelope import Reply, invalid, not_found, reply
from .links import next_link

DEFAULT_LIMIT = 100

#: One row per person, deleted ones too, with the latest version's facts.
_LATEST = """
SELECT id, argMax(person.properties, person.version) AS latest_properties,
       argMax(person.is_identified, person.version) AS identified,
       argMax(person.is_deleted, person.version) AS deleted,
       argMax(person.created_at, person.version) AS created,
       argMax(person.last_seen_at, person.version) AS seen
FROM person WHERE team_id = {team} {where} GROUP BY id
"""

#: distinct_id to person, as it is now.
_MAPPING = """
SELECT distinct_id AS its_id, argMax(person_id, version) AS owner
FROM person_distinct_id2 WHERE team_id = {team} {where}
GROUP BY distinct_id HAVING argMax(is_deleted, version) = 0
"""


async def listing(call: Call) -> Reply:
    """GET /persons/."""
    arguments = call.arguments
    limit = integer(arguments, "limit", DEFAULT_LIMIT) or DEFAULT_LIMIT
    offset = integer(arguments, "offset", 0)
    store = call.state.store
    conditions = _conditions(store, arguments)
    if not call.state.behaviour.persons_short_pages:
        conditions.append("deleted = 0")
    ids = await call.state.in_thread(_ids, store, conditions, limit, offset)
    cap = call.state.behaviour.persons_distinct_ids_cap
    results = await call.state.in_thread(hydrate, store, ids, cap)
    body: dict[str, Any] = {
        "results": results,
        "next": next_link(call, {"limit": limit, "offset": offset + limit}, more=len(ids) >= limit, first=offset == 0),
        "previous": call.url({"limit": limit, "offset": offset - limit}) if offset >= limit else None,
    }
    if "include_total" in arguments:
        body["count"] = await call.state.in_thread(_count, store, conditions)
    return reply(body)


def _conditions(store: Store, arguments: Any) -> list[str]:
    conditions = []
    mapped = "id IN (SELECT owner FROM (" + _MAPPING.format(team=store.team_id, where="{where}") + "))"
    if "distinct_id" in arguments:
        where = f"AND distinct_id = {quoted(arguments['distinct_id'])}"
        conditions.append(mapped.format(where=where))
    if "email" in arguments:
        email = quoted(arguments["email"])
        conditions.append(f"JSONExtractString(latest_properties, 'email') = {email}")
    if arguments.get("search"):
        text = quoted(arguments["search"])
        fields = " OR ".join(
            f"positionCaseInsensitiveUTF8(JSONExtractString(latest_properties, '{name}'), {text}) > 0"
            for name in ("email", "name")
        )
        by_id = mapped.format(where=f"AND distinct_id = {text}")
        conditions.append(f"({fields} OR toString(id) = {text} OR {by_id})")
    conditions.extend(_filters(arguments.get("properties")))
    return conditions


def _filters(text: str | None) -> list[str]:
    """Conditions from ``properties``: a JSON array of filters; the operator is ``exact`` unless named."""
    if not text:
        return []
    try:
        filters = json.loads(text)
    except ValueError:
        raise invalid("Properties are unparsable!") from None
    conditions = []
    for item in filters if isinstance(filters, list) else []:
        raw = f"JSONExtractRaw(latest_properties, {quoted(str(item.get('key')))})"
        value = f"trim(BOTH '\"' FROM {raw})"
        present = f"JSONHas(latest_properties, {quoted(str(item.get('key')))})"
        wanted = item.get("value")
        texts = [quoted(str(one)) for one in (wanted if isinstance(wanted, list) else [wanted])]
        known = {
            "exact": f"{value} IN ({', '.join(texts)})",
            "is_not": f"{value} NOT IN ({', '.join(texts)})",
            "icontains": f"positionCaseInsensitiveUTF8({value}, {texts[0]}) > 0",
            "not_icontains": f"positionCaseInsensitiveUTF8({value}, {texts[0]}) = 0",
            "is_set": present,
            "is_not_set": f"NOT {present}",
        }
        operator = item.get("operator") or "exact"
        if operator not in known:
            raise invalid(f"This local PostHog does not know the operator {operator!r}.")
        conditions.append(known[operator])
    return conditions


def _where(conditions: list[str]) -> str:
    return " AND ".join(conditions) or "1"


def _ids(store: Store, conditions: list[str], limit: int, offset: int) -> list[str]:
    rows = store.rows(
        f"SELECT id FROM ({_LATEST.format(team=store.team_id, where='')}) WHERE {_where(conditions)} "
        f"ORDER BY created DESC, id DESC LIMIT {limit} OFFSET {offset}"
    )
    return [row[0] for row in rows]


def _count(store: Store, conditions: list[str]) -> int:
    where = _where([*conditions, "deleted = 0"])
    latest = _LATEST.format(team=store.team_id, where="")
    return int(store.scalar(f"SELECT count() FROM ({latest}) WHERE {where}") or 0)


def hydrate(store: Store, ids: list[str], cap: int = 1000) -> list[dict[str, Any]]:
    """The bodies of persons, newest first; ids that the person store does not have are left out."""
    if not ids:
        return []
    among = ", ".join(quoted(one) for one in ids)
    latest = _LATEST.format(team=store.team_id, where=f"AND id IN ({among})")
    mapping = _MAPPING.format(team=store.team_id, where="")
    rows = store.rows(
        f"SELECT id, created, latest_properties, identified, its_ids FROM ({latest}) AS latest "
        f"LEFT JOIN (SELECT owner, groupArray({cap})(its_id) AS its_ids FROM "
        f"(SELECT its_id, owner FROM ({mapping}) WHERE owner IN ({among}) ORDER BY its_id) "
        "GROUP BY owner) AS mapped ON mapped.owner = latest.id "
        "WHERE deleted = 0 ORDER BY created DESC, toString(id)"
    )
    return [_listed(row) for row in rows]


def _name(properties: dict[str, Any], distinct_ids: list[str]) -> str | None:
    for field in ("email", "name", "username"):
        if properties.get(field):
            return str(properties[field])
    return distinct_ids[0] if distinct_ids else None


def _listed(row: list[Any]) -> dict[str, Any]:
    person_id, created, text, identified, distinct_ids = row
    properties = json.loads(text)
    return {
        "type": "person",
        "id": person_id,
        "uuid": person_id,
        "created_at": created,
        "properties": properties,
        "is_identified": bool(identified),
        "name": _name(properties, distinct_ids),
        "distinct_ids": distinct_ids,
        "matched_recordings": [],
        "value_at_data_point": None,
    }


def number(person_id: str) -> int:
    """The person's integer id. PostHog counts them in Postgres; here it follows from the UUID."""
    return int(person_id[-7:], 16)


async def retrieve(call: Call) -> Reply:
    """GET /persons/:id/, by UUID or integer."""
    found = await call.state.in_thread(_retrieve, call.state.store, call.params["item"])
    if found is None:
        raise not_found("Not found.")
    return reply(found)


def find_id(store: Store, wanted: str) -> str | None:
    """The UUID of the person with this UUID or integer id; also of persons that are deleted."""
    if wanted.isdigit():
        condition = f"right(toString(id), 7) = '{int(wanted):07x}'"
        ids = store.rows(f"SELECT DISTINCT id FROM person WHERE team_id = {store.team_id} AND {condition}")
        return str(ids[0][0]) if ids else None
    try:
        return str(uuids.UUID(wanted))
    except ValueError:
        return None


def _retrieve(store: Store, wanted: str) -> dict[str, Any] | None:
    person_id = find_id(store, wanted)
    if person_id is None:
        return None
    rows = hydrate(store, [person_id], 1_000_000)
    if not rows:
        return None
    body = rows[0]
    latest = _LATEST.format(team=store.team_id, where=f"AND id = {quoted(person_id)}")
    seen = store.rows(f"SELECT seen FROM ({latest})")
    return {
        "id": number(person_id),
        "name": body["name"],
        "distinct_ids": body["distinct_ids"],
        "properties": body["properties"],
        "created_at": body["created_at"],
        "uuid": person_id,
        "last_seen_at": seen[0][0],
    }


LISTING = {"GET": Action(listing, ("person:read",), throttle="persons")}
RETRIEVE = {"GET": Action(retrieve, ("person:read",), throttle="persons")}
