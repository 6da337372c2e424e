"""Runs one insight query. Called in worker threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from posthog_warehouse.sandbox.api.envelope import dumps
from posthog_warehouse.sandbox.api.insights import (
    actors,
    correlation,
    funnel_results,
    lifecycle,
    paths,
    retention,
    stickiness,
    trends,
)
from posthog_warehouse.sandbox.api.insights.calculation import Calculation
from posthog_warehouse.sandbox.api.query_answer import Answer
from posthog_warehouse.sandbox.api.state import State

_CALCULATIONS: Mapping[str, Callable[[Calculation, Mapping[str, Any]], tuple[Any, dict[str, Any]]]] = {
    "TrendsQuery": trends.calculate,
    "FunnelsQuery": funnel_results.calculate,
    "RetentionQuery": retention.calculate,
    "PathsQuery": paths.calculate,
    "LifecycleQuery": lifecycle.calculate,
    "StickinessQuery": stickiness.calculate,
    "FunnelCorrelationQuery": correlation.calculate,
    "ActorsQuery": actors.calculate,
}


def run(
    state: State, node: Mapping[str, Any], *, modifiers: Mapping[str, Any], seconds: float, cache_key: str
) -> Answer:
    """Calculate the answer to an insight query.

    Args:
        state: the server.
        node: a query of one of `schema.KINDS`, checked.
        modifiers: as resolved for the request.
        seconds: time that each of its queries may take.
        cache_key: what the answer is cached under.

    Raises:
        ApiError: the query is wrong, or a limit stopped it.
    """
    work = Calculation(state, {**modifiers, **(node.get("modifiers") or {})}, seconds)
    results, further = _CALCULATIONS[str(node["kind"])](work, node)
    fields = {
        "hogql": "\nUNION ALL\n".join(work.texts),
        "timings": [{"k": "./clickhouse_execute", "t": work.elapsed}, {"k": ".", "t": work.elapsed}],
        "modifiers": dict(modifiers),
        "error": None,
        "timezone": state.behaviour.project_timezone,
        "query_status": None,
        **further,
    }
    return Answer(
        data=dumps(results),
        fields=fields,
        rows=len(results),
        rows_read=work.rows_read,
        bytes_read=work.bytes_read,
        calculated_at=work.now,
        cache_key=cache_key,
    )
