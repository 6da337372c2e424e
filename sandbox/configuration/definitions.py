"""Event and property definitions: what PostHog knows of the names that events, persons and groups carry."""

from __future__ import annotations

from .making import Making, Row, iso
from .world import SeenProperty, World

#: Properties of sessions (posthog/models/property_definition.py and the taxonomy, autumn 2026), with their types.
_SESSION_PROPERTIES = (
    ("$start_timestamp", "DateTime"),
    ("$end_timestamp", "DateTime"),
    ("$entry_current_url", "String"),
    ("$entry_pathname", "String"),
    ("$entry_hostname", "String"),
    ("$end_current_url", "String"),
    ("$entry_utm_source", "String"),
    ("$entry_utm_campaign", "String"),
    ("$entry_utm_medium", "String"),
    ("$entry_referring_domain", "String"),
    ("$pageview_count", "Numeric"),
    ("$autocapture_count", "Numeric"),
    ("$screen_count", "Numeric"),
    ("$channel_type", "String"),
    ("$session_duration", "Duration"),
    ("$is_bounce", "Boolean"),
)

#: Properties of the groups of type 0, a company.
_GROUP_PROPERTIES = (("name", "String"), ("industry", "String"), ("employees", "Numeric"), ("plan", "String"))


def count_events(world: World) -> int:
    """One definition per event name in ClickHouse, and two of events that never came."""
    return len(world.events) + 2


def make_event(making: Making) -> Row:
    """An event definition in the fields of EnterpriseEventDefinitionSerializer (ee/api, autumn 2026)."""
    seen = making.world.events[making.number] if making.number < len(making.world.events) else None
    verified = seen is not None and making.chance(0.3)
    created = seen.first if seen else iso(making.created)
    updated = max(created, iso(making.modified))
    return {
        "id": making.uuid(),
        "name": seen.name if seen else f"planned event {making.number}",
        "owner": None,
        "description": "" if making.chance(0.7) else "Sent by the web app; see the tracking plan",
        "tags": making.some(("core", "marketing", "to check"), 2),
        "created_at": created,
        "updated_at": updated,
        "updated_by": making.user("updated_by") if verified else None,
        "last_seen_at": seen.last if seen else None,
        "last_updated_at": updated,
        "verified": verified,
        "verified_at": updated if verified else None,
        "verified_by": making.user("verified_by") if verified else None,
        "hidden": False,
        "enforcement_mode": "allow",
        "is_action": False,
        "action_id": None,
        "is_calculating": False,
        "last_calculated_at": None,
        "created_by": None,
        "post_to_slack": False,
        "default_columns": [],
        "media_preview_urls": [],
    }


def _properties(world: World) -> list[tuple[SeenProperty, str, int | None]]:
    """Every property there is: what is known of it, whose it is, and for groups which type."""
    return [
        *((seen, "event", None) for seen in world.event_properties),
        *((seen, "person", None) for seen in world.person_properties),
        *((SeenProperty(*known), "group", 0) for known in _GROUP_PROPERTIES),
        *((SeenProperty(*known), "session", None) for known in _SESSION_PROPERTIES),
    ]


def count_properties(world: World) -> int:
    """One definition per property."""
    return len(_properties(world))


def make_property(making: Making) -> Row:
    """A property definition in the fields of EnterprisePropertyDefinitionSerializer (ee/api, autumn 2026).

    ``_type`` and ``_group_type_index`` are not shown: the query parameters ask for them.
    """
    known = _properties(making.world)
    seen, kind, group_type = (
        known[making.number]
        if making.number < len(known)
        else (SeenProperty(f"new property {making.number}", "String"), "event", None)
    )
    verified = making.chance(0.1)
    return {
        "id": making.uuid(),
        "name": seen.name,
        "description": None if making.chance(0.8) else "From the tracking plan",
        "tags": making.some(("pii", "core"), 1),
        "is_numerical": seen.property_type == "Numeric",
        "updated_at": iso(making.modified),
        "updated_by": making.user("updated_by") if verified else None,
        "is_seen_on_filtered_events": None,
        "property_type": seen.property_type,
        "verified": verified,
        "verified_at": iso(making.modified) if verified else None,
        "verified_by": making.user("verified_by") if verified else None,
        "hidden": None if making.chance(0.9) else False,
        "_type": kind,
        "_group_type_index": group_type,
    }
