"""What PostHog keeps about persons and groups beside ClickHouse: deletions under way, and the types of groups."""

from __future__ import annotations

from datetime import timedelta

from posthog_warehouse.sandbox.groups import TYPES

from .making import Making, Row, iso
from .world import World


def count_deletions(world: World) -> int:
    """One for each deleted person of ClickHouse."""
    return len(world.deleted_persons)


def make_deletion(making: Making) -> Row:
    """A deletion of a person's events (AsyncDeletionStatusSerializer, posthog/api/person.py, autumn 2026)."""
    gone = making.world.deleted_persons
    done = making.number % 4 != 3 and making.added is None
    return {
        "person_uuid": gone[making.number] if making.number < len(gone) else making.uuid(),
        "created_at": iso(making.created),
        "status": "completed" if done else "pending",
        "delete_verified_at": iso(making.created + timedelta(hours=7)) if done else None,
    }


def change_deletion(row: Row, now: str) -> Row:
    """A pending deletion is done; one that was done is asked for again."""
    if row["status"] == "pending":
        return {**row, "status": "completed", "delete_verified_at": now}
    return {**row, "status": "pending", "delete_verified_at": None}


def make_group_type(making: Making) -> Row:
    """A type of groups in the fields of GroupTypeSerializer (ee/clickhouse/views/groups.py, autumn 2026)."""
    name = TYPES[making.number] if making.number < len(TYPES) else f"type_{making.number}"
    return {
        "group_type": name,
        "group_type_index": making.number,
        "name_singular": name.capitalize() if making.number == 0 else None,
        "name_plural": "Companies" if making.number == 0 else None,
        "detail_dashboard": None,
        "default_columns": None,
        "created_at": iso(making.created),
    }
