"""Filters of the days before queries, as queries. Source:
posthog/hogql_queries/legacy_compatibility/filter_to_query.py, autumn 2026."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from posthog_warehouse.sandbox.api.envelope import invalid

#: Legacy names of settings: the node that holds them, and their names there.
_SETTINGS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "TRENDS": ("trendsFilter", {"display": "display", "formula": "formula"}),
    "FUNNELS": (
        "funnelsFilter",
        {
            "funnel_viz_type": "funnelVizType",
            "funnel_order_type": "funnelOrderType",
            "funnel_from_step": "funnelFromStep",
            "funnel_to_step": "funnelToStep",
            "funnel_window_interval": "funnelWindowInterval",
            "funnel_window_interval_unit": "funnelWindowIntervalUnit",
            "funnel_window_days": "funnelWindowInterval",
            "breakdown_attribution_type": "breakdownAttributionType",
            "bin_count": "binCount",
            "exclusions": "exclusions",
        },
    ),
    "RETENTION": (
        "retentionFilter",
        {
            "retention_type": "retentionType",
            "total_intervals": "totalIntervals",
            "returning_entity": "returningEntity",
            "target_entity": "targetEntity",
            "period": "period",
        },
    ),
    "PATHS": (
        "pathsFilter",
        {
            "include_event_types": "includeEventTypes",
            "start_point": "startPoint",
            "end_point": "endPoint",
            "exclude_events": "excludeEvents",
            "step_limit": "stepLimit",
            "edge_limit": "edgeLimit",
            "min_edge_weight": "minEdgeWeight",
            "max_edge_weight": "maxEdgeWeight",
            "paths_hogql_expression": "pathsHogQLExpression",
        },
    ),
    "LIFECYCLE": ("lifecycleFilter", {}),
    "STICKINESS": ("stickinessFilter", {}),
}

_KINDS = {
    "TRENDS": "TrendsQuery",
    "FUNNELS": "FunnelsQuery",
    "RETENTION": "RetentionQuery",
    "PATHS": "PathsQuery",
    "LIFECYCLE": "LifecycleQuery",
    "STICKINESS": "StickinessQuery",
}

_ENTITY = ("properties", "custom_name", "math", "math_property", "math_hogql", "math_group_type_index")

_WITHOUT_SERIES = ("RETENTION", "PATHS")

_TRUE = (True, 1, "true", "True", "1")

#: Texts that are JSON when they stand in a URL.
_JSON = ("events", "actions", "properties", "breakdown", "breakdowns", "exclusions", "target_entity",
         "returning_entity", "include_event_types", "exclude_events", "funnel_filter", "funnel_correlation_names",
         "funnel_correlation_event_names", "funnel_correlation_exclude_event_names")  # fmt: skip


def decoded(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Filters from a query string: lists and objects are JSON texts there.

    Raises:
        ApiError: 400, such a text is no JSON.
    """
    filters = dict(arguments)
    for name in _JSON:
        text = filters.get(name)
        if isinstance(text, str) and text[:1] in ("[", "{"):
            try:
                filters[name] = json.loads(text)
            except ValueError:
                raise invalid(f"{name} is unparsable!") from None
    return filters


def to_query(filters: Mapping[str, Any], insight: str | None = None) -> dict[str, Any]:
    """The query that a legacy filter stands for.

    Args:
        filters: with lists and objects as such.
        insight: the kind, where the endpoint says it; else the filter's own, or trends.

    Raises:
        ApiError: 400, an insight that there is not.
    """
    kind = insight or str(filters.get("insight") or "TRENDS")
    if filters.get("shown_as") in ("Stickiness", "Lifecycle"):
        kind = str(filters["shown_as"]).upper()
    if kind not in _KINDS:
        raise invalid(f"Invalid insight type {kind}.")
    query: dict[str, Any] = {"kind": _KINDS[kind]}
    if filters.get("date_from") or filters.get("date_to"):
        query["dateRange"] = {"date_from": filters.get("date_from"), "date_to": filters.get("date_to")}
    if filters.get("interval") and kind not in _WITHOUT_SERIES:
        query["interval"] = "hour" if filters["interval"] == "minute" else filters["interval"]
    if filters.get("properties"):
        query["properties"] = filters["properties"]
    if kind not in _WITHOUT_SERIES:
        query["series"] = _series(filters)
    if kind in ("TRENDS", "FUNNELS") and filters.get("breakdown") is not None:
        query["breakdownFilter"] = {
            "breakdown": filters["breakdown"],
            "breakdown_type": filters.get("breakdown_type") or "event",
            "breakdown_limit": filters.get("breakdown_limit"),
        }
    if kind in ("TRENDS", "STICKINESS") and filters.get("compare") in _TRUE:
        query["compareFilter"] = {"compare": True, "compare_to": filters.get("compare_to")}
    holder, names = _SETTINGS[kind]
    settings = {new: filters[old] for old, new in names.items() if filters.get(old) not in (None, "")}
    if settings:
        query[holder] = settings
    return query


def _series(filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    if filters.get("actions"):
        raise invalid("This local PostHog has no actions in insights.")
    events = [event for event in filters.get("events") or [] if isinstance(event, Mapping)]
    ordered = sorted(events, key=lambda event: int(event.get("order") or 0))
    return [
        {"kind": "EventsNode", "event": event.get("id"), **{key: event[key] for key in _ENTITY if key in event}}
        for event in ordered
    ]
