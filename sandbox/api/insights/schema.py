"""Which kinds of insight queries there are, and which fields each may have: PostHog's schema forbids others.

Source: posthog/schema.py, autumn 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from posthog_warehouse.sandbox.api.envelope import parse_error

#: Nodes that only say how a query is shown.
WRAPPERS = frozenset({"InsightVizNode", "DataVisualizationNode", "DataTableNode"})

_INSIGHT = frozenset(
    {
        "aggregation_group_type_index",
        "dataColorTheme",
        "dateRange",
        "filterTestAccounts",
        "kind",
        "modifiers",
        "properties",
        "response",
        "samplingFactor",
        "tags",
        "version",
    }
)

_ACTORS = frozenset({"includeRecordings", "kind", "modifiers", "response", "source", "tags", "version"})

_FIELDS: Mapping[str, frozenset[str]] = {
    "TrendsQuery": _INSIGHT
    | {"breakdownFilter", "compareFilter", "conversionGoal", "interval", "series", "trendsFilter"},
    "FunnelsQuery": _INSIGHT | {"breakdownFilter", "funnelsFilter", "interval", "series"},
    "RetentionQuery": _INSIGHT | {"breakdownFilter", "retentionFilter"},
    "PathsQuery": _INSIGHT | {"funnelPathsFilter", "pathsFilter"},
    "LifecycleQuery": _INSIGHT | {"customAggregationTarget", "interval", "lifecycleFilter", "series"},
    "StickinessQuery": _INSIGHT | {"compareFilter", "interval", "intervalCount", "series", "stickinessFilter"},
    "FunnelCorrelationQuery": frozenset(
        {
            "funnelCorrelationEventExcludePropertyNames",
            "funnelCorrelationEventNames",
            "funnelCorrelationExcludeEventNames",
            "funnelCorrelationExcludeNames",
            "funnelCorrelationNames",
            "funnelCorrelationType",
            "kind",
            "response",
            "source",
            "version",
        }
    ),
    "ActorsQuery": frozenset(
        {
            "fixedProperties",
            "kind",
            "limit",
            "modifiers",
            "offset",
            "orderBy",
            "properties",
            "response",
            "search",
            "select",
            "source",
            "tags",
            "version",
        }
    ),
    "InsightActorsQuery": _ACTORS | {"breakdown", "compare", "day", "interval", "series", "status"},
    "StickinessActorsQuery": _ACTORS | {"compare", "day", "operator", "series"},
    "FunnelsActorsQuery": _ACTORS
    | {
        "funnelCustomSteps",
        "funnelStep",
        "funnelStepBreakdown",
        "funnelTrendsDropOff",
        "funnelTrendsEntrancePeriodStart",
    },
    "FunnelCorrelationActorsQuery": _ACTORS
    | {
        "funnelCorrelationPersonConverted",
        "funnelCorrelationPersonEntity",
        "funnelCorrelationPropertyValues",
    },
}

#: Kinds that can be asked for by themselves.
KINDS = frozenset(
    {
        "ActorsQuery",
        "FunnelCorrelationQuery",
        "FunnelsQuery",
        "LifecycleQuery",
        "PathsQuery",
        "RetentionQuery",
        "StickinessQuery",
        "TrendsQuery",
    }
)

#: Fields that would change the figures and are not known here: refused, not ignored.
_REFUSED = (
    "aggregation_group_type_index",
    "conversionGoal",
    "customAggregationTarget",
    "filterTestAccounts",
    "fixedProperties",
    "funnelCorrelationPropertyValues",
    "funnelCustomSteps",
    "funnelTrendsDropOff",
    "funnelTrendsEntrancePeriodStart",
    "includeRecordings",
    "intervalCount",
    "samplingFactor",
    "search",
)


def unwrapped(query: Mapping[str, Any]) -> Mapping[str, Any]:
    """The query within the nodes that only say how it is shown."""
    while query.get("kind") in WRAPPERS and isinstance(query.get("source"), Mapping):
        query = query["source"]
    return query


def check(node: Mapping[str, Any]) -> None:
    """Look at the fields of a query and of its sources.

    Raises:
        ApiError: 400 ``parse_error`` for a field or a kind that PostHog's schema does not have.
    """
    kind = str(node.get("kind"))
    fields = _FIELDS.get(kind)
    if fields is None:
        raise _error("query", f"Input tag {kind!r} found using 'kind' does not match any of the expected tags")
    for name, value in node.items():
        if name not in fields:
            raise _error(f"query.{kind}.{name}", "Extra inputs are not permitted [type=extra_forbidden]")
        # The first group's index is 0, so that is a value.
        if name in _REFUSED and value is not None and value is not False and value != "":
            raise parse_error(f"This local PostHog does not know {name} in a {kind}.")
    if isinstance(node.get("source"), Mapping):
        check(node["source"])


def _error(where: str, problem: str) -> Exception:
    return parse_error(f"1 validation error for QueryRequest\n{where}\n  {problem}")
