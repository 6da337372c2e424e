"""From a declaration to endpoints: the list, its items, and the fields that the behaviour changes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from posthog_warehouse.sandbox.api.dispatch import Action, Call
from posthog_warehouse.sandbox.api.envelope import Reply, not_found, reply
from posthog_warehouse.sandbox.configuration.legacy import with_filters
from posthog_warehouse.sandbox.configuration.making import Row, iso
from posthog_warehouse.sandbox.configuration.rows import Rows

from .declaration import Listing
from .paging import page_of

#: Under this lies what belongs to a project.
PROJECT = "/api/projects/{project_id}"


def routes(listings: Iterable[Listing]) -> dict[str, Mapping[str, Action]]:
    """The actions of all lists and their items, by path."""
    found: dict[str, Mapping[str, Action]] = {}
    for listing in listings:
        path = f"{PROJECT}/{listing.path}/"
        found[path] = {"GET": _list_action(listing)}
        if listing.item_keys:
            found[f"{path}{{item}}/"] = {"GET": _item_action(listing)}
    return found


async def rows_of(call: Call, name: str) -> Rows:
    """The rows of a list; made now if nobody asked before, which may take ClickHouse a moment."""
    return await call.state.in_thread(call.state.configuration.rows, name)


def _list_action(listing: Listing) -> Action:
    async def answer(call: Call) -> Reply:
        rows = await rows_of(call, listing.name)
        arguments = listing.arguments(call.arguments)
        wanted = [row for row in visible(call, rows) if _belongs(listing, row, call) and listing.wanted(row, arguments)]
        body = page_of(call, listing, wanted)
        if isinstance(body, list):
            body = [_listed(call, listing, row) for row in body]
        else:
            body["results"] = [_listed(call, listing, row) for row in body["results"]]
        rows.page_answered(call.state.clock.now())
        return reply(body)

    return Action(answer, (listing.scope,), throttle=listing.throttle)


def _item_action(listing: Listing) -> Action:
    async def answer(call: Call) -> Reply:
        return reply(shown(call, listing, await item_of(call, listing), item=True))

    return Action(answer, (listing.scope,), throttle=listing.throttle)


async def item_of(call: Call, listing: Listing) -> Row:
    """The row that the address of an item names.

    Raises:
        ApiError: 404.
    """
    wanted = call.params["item"]
    for row in visible(call, await rows_of(call, listing.name)):
        if _belongs(listing, row, call) and any(str(row[name]) == wanted for name in listing.item_keys):
            return row
    raise not_found("Not found.")


def visible(call: Call, rows: Rows) -> list[Row]:
    """The rows that this server lets a client see."""
    behaviour = call.state.behaviour
    found = rows.visible() if behaviour.hide_deleted_rows else list(rows.all())
    if rows.kind.name == "activity_log" and behaviour.activity_log_days is not None:
        oldest = iso(call.state.clock.now() - timedelta(days=behaviour.activity_log_days))
        found = [row for row in found if row["created_at"] >= oldest]
    return found


def _belongs(listing: Listing, row: Row, call: Call) -> bool:
    fixed = {name: text for name, text in call.params.items() if f"{{{name}}}" in listing.path}
    return all(str(row[name]) == text for name, text in fixed.items())


def _listed(call: Call, listing: Listing, row: Row) -> Row:
    row = shown(call, listing, row)
    if listing.basic and call.arguments.get("basic", "").lower() in ("1", "true"):
        return {name: value for name, value in row.items() if name in listing.basic}
    return row


def shown(call: Call, listing: Listing, row: Row, *, item: bool = False) -> Row:
    """A row as this server shows it: without what it leaves out, with the types that it has changed.

    Fields that start with ``_`` are there for filters only.
    """
    behaviour = call.state.behaviour
    left_out = frozenset() if item else listing.only_in_item
    if behaviour.insights_have_filters:
        row = _with_filters(listing.name, row)
    return {
        name: _other_type(value) if f"{listing.name}.{name}" in behaviour.changed_types else value
        for name, value in row.items()
        if name[0] != "_" and name not in left_out and f"{listing.name}.{name}" not in behaviour.missing_fields
    }


def _with_filters(name: str, row: Row) -> Row:
    if name == "insights":
        return with_filters(row)
    if name == "dashboards":
        tiles = [{**tile, "insight": with_filters(tile["insight"])} for tile in row["tiles"]]
        return {**row, "tiles": tiles}
    return row


def _other_type(value: Any) -> Any:
    """The same value as a field of another type would hold it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return {"value": value}
    return json.dumps(value)
