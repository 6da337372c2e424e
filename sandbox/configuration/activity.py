"""The activity log: who changed what, with the values before and after nested in ``detail``."""

from __future__ import annotations

from typing import Any

from .flags import FLAG_COUNT, make_flag
from .insights import INSIGHT_COUNT, make_insight
from .making import Making, Row, iso

#: How many entries there are at the start.
COUNT = 340


def _flag_changed(making: Making) -> tuple[str, str, Row]:
    flag = make_flag(making.of("feature_flags", making.random.randrange(FLAG_COUNT), FLAG_COUNT))
    before = {**flag["filters"], "groups": [{"properties": [], "rollout_percentage": 10, "variant": None}]}
    changes = [
        _change("FeatureFlag", "changed", "filters", before, flag["filters"]),
        _change("FeatureFlag", "changed", "active", not flag["active"], flag["active"]),
    ]
    return str(flag["id"]), flag["key"], {"changes": changes, "short_id": None}


def _insight_changed(making: Making) -> tuple[str, str, Row]:
    insight = make_insight(making.of("insights", making.random.randrange(INSIGHT_COUNT), INSIGHT_COUNT))
    source = insight["query"].get("source", {})
    changes = [
        _change(
            "Insight", "changed", "query", {**insight["query"], "source": {**source, "old": True}}, insight["query"]
        ),
        _change("Insight", "created", "name", None, insight["name"]),
    ]
    return str(insight["id"]), insight["name"], {"changes": changes, "short_id": insight["short_id"]}


def _person_deleted(making: Making) -> tuple[str, str, Row]:
    return str(4_000 + making.number), making.uuid("person"), {"changes": None, "short_id": None}


def _person_split(making: Making) -> tuple[str, str, Row]:
    changes = [_change("Person", "split", None, None, {"distinct_ids": ["a", "b"]})]
    return str(making.world.someone(making.number)), making.uuid("person"), {"changes": changes, "short_id": None}


def _plugin_enabled(making: Making) -> tuple[str, str, Row]:
    trigger = {"job_type": "Export historical events", "job_id": making.uuid("job"), "payload": {"parallelism": 4}}
    return "1", "Geo-IP", {"changes": [], "short_id": None, "trigger": trigger}


def _change(kind: str, action: str, field: str | None, before: Any, after: Any) -> Row:
    return {"type": kind, "action": action, "field": field, "before": before, "after": after}


_HAPPENED = (
    ("FeatureFlag", "updated", _flag_changed),
    ("FeatureFlag", "updated", _flag_changed),
    ("Insight", "updated", _insight_changed),
    ("Insight", "created", _insight_changed),
    ("Person", "deleted", _person_deleted),
    ("Person", "split_person", _person_split),
    ("PluginConfig", "job_triggered", _plugin_enabled),
)


def make(making: Making) -> Row:
    """An entry in the fields of ActivityLogSerializer (posthog/api/advanced_activity_logs/viewset.py, autumn 2026).

    Two of three share their time with the one before: what one request changes is logged at one moment.
    """
    scope, activity, happened = making.pick(_HAPPENED)
    item_id, name, detail = happened(making)
    is_system = making.chance(0.1)
    together = making.of(making.kind, making.number - making.number % 3, making.total)
    return {
        "id": making.uuid(),
        "user": None if is_system else making.user("who"),
        "unread": False,
        "team_id": making.world.project_id,
        "organization_id": making.world.organization_id,
        "was_impersonated": False,
        "is_system": is_system,
        "client": None if is_system else making.pick((None, "web", "mcp")),
        "ip_address": None if is_system else f"203.0.113.{making.number % 250}",
        "activity": activity,
        "item_id": item_id,
        "scope": scope,
        "detail": {"name": name, "type": None, "trigger": None, **detail},
        "created_at": iso(making.created if making.added else together.created),
    }
