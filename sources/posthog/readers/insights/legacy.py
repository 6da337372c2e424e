"""Insights of servers that have no queries for them: endpoints of their own, asked with flat filters.

posthog/api/insight.py of 2023 and posthog/hogql_queries/legacy_compatibility/filter_to_query.py (autumn 2026), which
turns filters into queries; this is its way back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...errors import RequestRefused
from .definitions import Definition

_PATHS = {
    "TrendsQuery": "insights/trend",
    "StickinessQuery": "insights/trend",
    "LifecycleQuery": "insights/trend",
    "FunnelsQuery": "insights/funnel",
    "RetentionQuery": "insights/retention",
    "PathsQuery": "insights/path",
    "FunnelCorrelationQuery": "insights/funnel/correlation",
}

_INSIGHTS = {
    "TrendsQuery": {"insight": "TRENDS"},
    "StickinessQuery": {"insight": "STICKINESS", "shown_as": "Stickiness"},
    "LifecycleQuery": {"insight": "LIFECYCLE", "shown_as": "Lifecycle"},
    "FunnelsQuery": {"insight": "FUNNELS"},
    "RetentionQuery": {"insight": "RETENTION"},
    "PathsQuery": {"insight": "PATHS"},
    "FunnelCorrelationQuery": {"insight": "FUNNELS"},
}

_SETTINGS = (
    "trendsFilter",
    "stickinessFilter",
    "lifecycleFilter",
    "funnelsFilter",
    "retentionFilter",
    "pathsFilter",
    "breakdownFilter",
    "compareFilter",
)

_SERIES = ("name", "custom_name", "properties", "math", "math_property", "math_hogql", "math_group_type_index")

_CORRELATION = (
    "funnelCorrelationType",
    "funnelCorrelationNames",
    "funnelCorrelationEventNames",
    "funnelCorrelationExcludeEventNames",
)


def path(definition: Definition) -> str:
    """The endpoint that computes it, relative to the project."""
    return _PATHS[definition.kind]


def filters(definition: Definition) -> dict[str, Any]:
    """What its endpoint is asked with.

    Raises:
        RequestRefused: it has something for which those endpoints have no word.
    """
    if definition.filters is not None:
        return {**_INSIGHTS.get(definition.kind, {}), **definition.filters}
    return _flat(definition.node or {})


def params(given: Mapping[str, Any]) -> dict[str, str]:
    """Filters as they stand in an address: lists and objects as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for name, value in given.items()
        if value is not None
    }


def _flat(node: Mapping[str, Any]) -> dict[str, Any]:
    kind = str(node.get("kind"))
    if kind == "FunnelCorrelationQuery":
        funnel = ((node.get("source") or {}).get("source")) or {}
        return {**_flat(funnel), **{_snake(name): node[name] for name in _CORRELATION if node.get(name)}}
    flat: dict[str, Any] = dict(_INSIGHTS.get(kind, {}))
    flat |= {name: value for name, value in (node.get("dateRange") or {}).items() if name in ("date_from", "date_to")}
    for name in ("interval", "properties", "samplingFactor", "filterTestAccounts", "aggregation_group_type_index"):
        if node.get(name) not in (None, False, []):
            flat[_snake(name)] = node[name]
    for name in _SETTINGS:
        flat |= {_snake(key): value for key, value in (node.get(name) or {}).items() if value is not None}
    if breakdowns := flat.pop("breakdowns", None):
        if len(breakdowns) > 1:
            raise RequestRefused("This server cannot break an insight down by more than one property")
        flat |= {"breakdown": breakdowns[0].get("property"), "breakdown_type": breakdowns[0].get("type") or "event"}
    for order, item in enumerate(node.get("series") or []):
        is_action = item.get("kind") == "ActionsNode"
        entity = {key: item[key] for key in _SERIES if item.get(key) is not None}
        entity |= {"id": item.get("id") if is_action else item.get("event"), "order": order}
        entity["type"] = "actions" if is_action else "events"
        flat.setdefault(entity["type"], []).append(entity)
    return flat


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name.replace("HogQL", "Hogql")).lower()
