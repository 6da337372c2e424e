"""The lists of this server, as PostHog declares them in its views (autumn 2026)."""

from __future__ import annotations

from .declaration import Listing, equal

LISTINGS: tuple[Listing, ...] = (
    Listing(
        "annotations",
        "annotations",
        "annotation:read",
        order=("-date_marker",),
        filters={"scope": equal("scope")},
        search=("content",),
    ),
    Listing("event_definitions", "event_definitions", "event_definition:read", order=("name",), search=("name",)),
    Listing(
        "property_definitions",
        "property_definitions",
        "property_definition:read",
        order=("name",),
        filters={"type": equal("_type"), "group_type_index": equal("_group_type_index")},
        default_type="event",
        search=("name",),
    ),
)
