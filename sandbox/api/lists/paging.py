"""How a list is cut into pages: Django REST framework's limit/offset, cursor and page-number paging."""

from __future__ import annotations

import base64
import binascii
import random
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode

from posthog_warehouse.sandbox.api.dispatch import Call, integer
from posthog_warehouse.sandbox.api.envelope import ApiError, not_found
from posthog_warehouse.sandbox.api.links import next_link
from posthog_warehouse.sandbox.configuration.making import Row

from .declaration import Listing, ordered

DEFAULT_LIMIT = 100

#: Largest ``page_size`` of the activity log (posthog/api/advanced_activity_logs/viewset.py, autumn 2026).
MAX_PAGE_SIZE = 1_000


def page_of(call: Call, listing: Listing, rows: list[Row]) -> Any:
    """The answer of a list: one page of the rows that are wanted.

    Raises:
        ApiError: a page or a cursor that makes no sense.
    """
    order = _order(listing, call.arguments)
    if call.state.behaviour.unstable_ties:
        rows = list(rows)
        # Another plan, another order of what ties: nothing to do with security or repeatability.
        random.shuffle(rows)
    rows = ordered(rows, order)
    if listing.paging == "bare" or listing.name in call.state.behaviour.bare_lists:
        return rows
    if listing.paging == "cursor":
        size = size_of(call, "page_size", MAX_PAGE_SIZE)
        return _numbered(call, rows, size) if call.arguments.get("page") else by_cursor(call, rows, order, size)
    return by_offset(call, rows)


def _order(listing: Listing, arguments: Mapping[str, str]) -> tuple[str, ...]:
    asked = arguments.get(listing.order_by or "", "")
    if listing.paging == "cursor":
        # Only these two are known; anything else is the default. The key breaks ties.
        sign = "" if asked == listing.order[0].lstrip("-") else "-"
        return tuple(f"{sign}{name.lstrip('-')}" for name in listing.order)
    return (asked,) if asked else listing.order


def size_of(call: Call, name: str, most: int | None = None) -> int:
    """How many rows a page has at most: what the query string asks for, and what this server allows."""
    caps = [cap for cap in (most, call.state.behaviour.list_page_cap) if cap is not None]
    return min([integer(call.arguments, name, DEFAULT_LIMIT) or DEFAULT_LIMIT, *caps])


def by_offset(call: Call, rows: list[Row]) -> dict[str, Any]:
    """A page by limit and offset."""
    limit, offset = size_of(call, "limit"), integer(call.arguments, "offset", 0)
    before = offset - limit
    body = {
        "count": len(rows),
        "next": next_link(
            call, {"limit": limit, "offset": offset + limit}, more=offset + limit < len(rows), first=offset == 0
        ),
        "previous": call.url({"limit": limit, "offset": before if before > 0 else None}) if offset else None,
        "results": rows[offset : offset + limit],
    }
    if not call.state.behaviour.list_count:
        del body["count"]
    return body


def _numbered(call: Call, rows: list[Row], size: int) -> dict[str, Any]:
    page, pages = integer(call.arguments, "page", 0), max(1, -(-len(rows) // size))
    if not 1 <= page <= pages:
        raise not_found("Invalid page.")
    return {
        "count": len(rows),
        "next": next_link(call, {"page": page + 1}, more=page < pages, first=page == 1),
        "previous": call.url({"page": page - 1 if page > 2 else None}) if page > 1 else None,
        "results": rows[(page - 1) * size : page * size],
    }


def by_cursor(call: Call, rows: list[Row], order: tuple[str, ...], size: int) -> dict[str, Any]:
    """A page by cursor, of ordered rows.

    Raises:
        ApiError: 404, a cursor that makes no sense.
    """
    asked = call.arguments.get("cursor")
    page, cursor = cut(rows, order[0], asked, size)
    return {
        "next": next_link(call, {"cursor": cursor}, more=cursor is not None, first=not asked),
        # Nobody pages back here.
        "previous": None,
        "results": page,
    }


def cut(rows: list[Row], order: str, cursor: str | None, size: int) -> tuple[list[Row], str | None]:
    """The rows behind a cursor, and the cursor of the page after them if there is one.

    A cursor is a keyset on one field; an offset counts the rows with a later value that the page before had. Rows that
    are added or go elsewhere do not shift it, but for those that share the value at the boundary.

    Args:
        rows: ordered.
        order: the field that they are ordered by, ``-`` before it if descending.
        cursor: what the page before gave; None for the first page.
        size: most rows of a page.

    Raises:
        ApiError: 404, a cursor that makes no sense.
    """
    field = order.lstrip("-")
    position, skip = _read_cursor(cursor)
    if position is not None:
        rows = [row for row in rows if (row[field] < position if order[0] == "-" else row[field] > position)]
    page, rest = rows[skip : skip + size], rows[skip + size :]
    return page, _next_cursor(page, rest[0][field], field, position, skip) if page and rest else None


def _next_cursor(page: list[Row], after: str, field: str, position: str | None, skip: int) -> str:
    """What marks the place behind a page: the last value that the next row does not share, and how many follow it."""
    offset = 0
    for row in reversed(page):
        if row[field] != after:
            return _cursor(row[field], offset)
        offset += 1
    return _cursor(position, skip + offset)


def _cursor(position: str | None, offset: int) -> str:
    parts = ({"o": offset} if offset else {}) | ({"p": position} if position is not None else {})
    return base64.b64encode(urlencode(parts).encode()).decode()


def _read_cursor(text: str | None) -> tuple[str | None, int]:
    if not text:
        return None, 0
    try:
        parts = parse_qs(base64.b64decode(text, validate=True).decode(), keep_blank_values=True)
        return parts.get("p", [None])[0], int(parts.get("o", ["0"])[0])
    except (binascii.Error, ValueError):
        raise ApiError(404, "invalid_request", "not_found", "Invalid cursor") from None
