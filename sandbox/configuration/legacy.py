"""Insights as servers of 2023 stored them: filters where there is a query today.

Source: posthog/hogql_queries/legacy_compatibility/filter_to_query.py and posthog/models/insight.py, autumn 2026.
"""

from __future__ import annotations

import re
from typing import Any

from .making import Row

_INSIGHTS = {
    "TrendsQuery": ("TRENDS", "trendsFilter"),
    "FunnelsQuery": ("FUNNELS", "funnelsFilter"),
    "RetentionQuery": ("RETENTION", "retentionFilter"),
    "PathsQuery": ("PATHS", "pathsFilter"),
    "LifecycleQuery": ("LIFECYCLE", "lifecycleFilter"),
    "StickinessQuery": ("STICKINESS", "stickinessFilter"),
}


def with_filters(insight: Row) -> Row:
    """An insight whose query is null and whose filters say the same; SQL had queries already."""
    source = (insight["query"] or {}).get("source", {})
    if source.get("kind") not in _INSIGHTS:
        return insight
    return {**insight, "query": None, "filters": filters_of(source)}


def filters_of(query: dict[str, Any]) -> dict[str, Any]:
    """The filters that stand for a query of one of the six kinds of insights."""
    insight, holder = _INSIGHTS[query["kind"]]
    filters: dict[str, Any] = {"insight": insight, **query.get("dateRange", {})}
    filters |= {name: query[name] for name in ("interval", "properties") if query.get(name)}
    filters["filter_test_accounts"] = bool(query.get("filterTestAccounts"))
    if query.get("series"):
        filters["events"] = [
            {"id": node["event"], "name": node["name"], "type": "events", "order": place}
            | {name: node[name] for name in ("math", "properties") if name in node}
            for place, node in enumerate(query["series"])
        ]
    filters |= query.get("breakdownFilter", {})
    filters |= query.get("compareFilter", {})
    return filters | {_snake(name): value for name, value in query.get(holder, {}).items()}


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name)
