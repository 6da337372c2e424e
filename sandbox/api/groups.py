"""``/api/projects/:id/groups/``: the groups of one type, from ClickHouse, by cursor.

Source: ee/clickhouse/views/groups.py and the person store behind it, autumn 2026.
"""

from __future__ import annotations

import json
from typing import Any

from posthog_warehouse.sandbox.store import Store

from .dispatch import Action, Call
from .envelope import Reply, invalid, reply
from .lists.declaration import ordered
from .lists.paging import DEFAULT_LIMIT, by_cursor

_ORDER = ("-created_at",)


async def listing(call: Call) -> Reply:
    """GET /groups/?group_type_index=N: newest first, 100 a page, no count and no way back."""
    index = call.arguments.get("group_type_index", "")
    if not index.isdigit():
        raise invalid("You must pass ?group_type_index= in this request", attr="group_type_index")
    text = (call.arguments.get("search") or call.arguments.get("group_key") or "").casefold()
    rows = await call.state.in_thread(_groups, call.state.store, int(index))
    wanted = [row for row in rows if text in row["group_key"].casefold()]
    cap = call.state.behaviour.list_page_cap
    size = DEFAULT_LIMIT if cap is None else min(cap, DEFAULT_LIMIT)
    return reply(by_cursor(call, ordered(wanted, _ORDER), _ORDER, size))


def _groups(store: Store, index: int) -> list[dict[str, Any]]:
    rows = store.rows(
        "SELECT group_key, argMax(created_at, _timestamp), argMax(group_properties, _timestamp) FROM groups "
        f"WHERE team_id = {store.team_id} AND group_type_index = {index} GROUP BY group_key ORDER BY group_key"
    )
    return [
        {
            "group_type_index": index,
            "group_key": key,
            "group_properties": json.loads(properties),
            "created_at": created,
        }
        for key, created, properties in rows
    ]


LISTING = {"GET": Action(listing, ("group:read",))}
