"""Queries as flat filters: a server that takes both gives the same for both."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.errors import RequestRefused
from posthog_warehouse.sources.posthog.readers.insights import legacy
from posthog_warehouse.sources.posthog.readers.insights.definitions import Definition
from tests.sandbox.api.insights.facts import WEEK, series
from tests.sources.posthog.reading import connected

TWO = {"series": [series("$pageview", properties=[{"key": "$os", "value": "iOS"}]), series("$autocapture", math="dau")]}
STEPS = {"series": [series("$pageview"), series("$autocapture")]}

NODES: list[dict[str, Any]] = [
    {"kind": "TrendsQuery", **TWO, "dateRange": WEEK, "interval": "week", "compareFilter": {"compare": True}},
    {
        "kind": "TrendsQuery",
        **TWO,
        "dateRange": WEEK,
        "properties": [{"key": "plan", "value": "pro", "type": "person"}],
        "breakdownFilter": {"breakdown": "$browser", "breakdown_type": "event", "breakdown_limit": 2},
        "trendsFilter": {"formula": "A + B", "display": "ActionsBarValue"},
    },
    {"kind": "StickinessQuery", **STEPS, "dateRange": WEEK},
    {"kind": "LifecycleQuery", "series": STEPS["series"][:1], "dateRange": WEEK},
    {
        "kind": "FunnelsQuery",
        **STEPS,
        "dateRange": WEEK,
        "funnelsFilter": {
            "funnelOrderType": "strict",
            "funnelWindowInterval": 2,
            "funnelWindowIntervalUnit": "hour",
            "funnelVizType": "trends",
        },
    },
    {
        "kind": "PathsQuery",
        "dateRange": WEEK,
        "pathsFilter": {
            "includeEventTypes": ["custom_event", "hogql"],
            "pathsHogQLExpression": "event",
            "edgeLimit": 9,
        },
    },
    {
        "kind": "FunnelCorrelationQuery",
        "source": {"kind": "FunnelsActorsQuery", "source": {"kind": "FunnelsQuery", **STEPS, "dateRange": WEEK}},
        "funnelCorrelationType": "properties",
        "funnelCorrelationNames": ["plan"],
    },
]


def definition(node: dict[str, Any]) -> Definition:
    return Definition("1", "it", node["kind"], "config", node, node=node)


@pytest.mark.parametrize("node", NODES, ids=[f"{number} {node['kind']}" for number, node in enumerate(NODES)])
def test_filters_mean_what_the_query_means(box: Sandbox, node: dict[str, Any]) -> None:
    it = definition(node)
    # Keys with scopes may not ask for correlation this way.
    box.set_behaviour(closed_actions=False)
    with connected(box) as client:
        asked = client.query_node(node)["results"]
        answer = client.get(legacy.path(it), legacy.params(legacy.filters(it)))
    assert answer["result"] == asked
    assert asked


def test_several_breakdowns_have_no_filters() -> None:
    two = {"breakdowns": [{"property": "a", "type": "event"}, {"property": "b", "type": "event"}]}
    with pytest.raises(RequestRefused, match="more than one"):
        legacy.filters(definition({"kind": "TrendsQuery", **STEPS, "breakdownFilter": two}))


def test_filters_of_old_insights_stay_as_they_are() -> None:
    given = {"events": [{"id": "$pageview"}], "shown_as": "Lifecycle"}
    it = Definition("1", "it", "LifecycleQuery", "saved", given, filters=given)
    assert legacy.filters(it) == {"insight": "LIFECYCLE", **given}
    assert legacy.path(it) == "insights/trend"
