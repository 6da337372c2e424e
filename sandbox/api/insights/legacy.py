"""``insights/trend/``, ``funnel/``, ``retention/``, ``path/`` and ``funnel/correlation/``: insights from filters.

Sources: posthog/api/insight.py and ee/clickhouse/views/insights.py, 2023 to 2026, and posthog.com/docs/api/insights.
The answer is ``{result, timezone, is_cached, last_refresh}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from posthog_warehouse.sandbox.api.dispatch import Action, Call, Handler
from posthog_warehouse.sandbox.api.envelope import Reply, dumps
from posthog_warehouse.sandbox.api.insights import legacy_filters, run, schema
from posthog_warehouse.sandbox.api.query_answer import Answer
from posthog_warehouse.sandbox.api.query_cache import cache_key

#: Retention looks at so many intervals if the filter does not say.
_RETENTION_INTERVALS = 11

#: At this many results trends offer a next page.
_TREND_PAGE = 25


async def answer_of(call: Call, query: Mapping[str, Any], filters: Mapping[str, Any]) -> tuple[Answer, bool]:
    """A query's answer, and whether it was cached. ``refresh`` in the filters makes a new one."""
    state = call.state
    schema.check(query)
    key = cache_key(state.project.id, {"legacy": query, "timezone": state.behaviour.project_timezone})
    cached = state.cache.get(key)
    if (
        cached is not None
        and filters.get("refresh") not in (True, "true", "1")
        and state.cache.age(cached) < state.behaviour.cache_stale_seconds
    ):
        return cached, True
    modifiers = {"personsOnEventsMode": state.behaviour.default_persons_on_events_mode}
    answer = await state.in_thread(
        run.run, state, query, modifiers=modifiers, seconds=state.behaviour.query_seconds, cache_key=key
    )
    state.cache.put(answer)
    state.log.executed(call.entry, rows=answer.rows, rows_read=answer.rows_read, bytes_read=answer.bytes_read)
    return answer, False


def filters_of(call: Call) -> dict[str, Any]:
    """The filters of a request: the query string, and the body of a POST over it. Raises ApiError (400)."""
    body = call.json() if call.request.method == "POST" else {}
    given = body if isinstance(body, dict) else {}
    return legacy_filters.decoded({**call.arguments, **given})


def correlation_query(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The FunnelCorrelationQuery of legacy filters. Raises ApiError (400)."""
    funnel = legacy_filters.to_query(filters, "FUNNELS")
    names = {
        "funnel_correlation_type": "funnelCorrelationType",
        "funnel_correlation_names": "funnelCorrelationNames",
        "funnel_correlation_event_names": "funnelCorrelationEventNames",
        "funnel_correlation_exclude_event_names": "funnelCorrelationExcludeEventNames",
    }
    settings = {new: filters[old] for old, new in names.items() if filters.get(old)}
    source = {"kind": "FunnelsActorsQuery", "source": funnel, "funnelStep": 1}
    return {"kind": "FunnelCorrelationQuery", "source": source, **settings}


def _query(filters: Mapping[str, Any], insight: str) -> dict[str, Any]:
    if insight == "CORRELATION":
        return correlation_query(filters)
    given = filters.get("insight")
    if insight == "TRENDS" and given in ("STICKINESS", "LIFECYCLE"):
        insight = str(given)
    query = legacy_filters.to_query(filters, insight)
    if insight == "RETENTION":
        query.setdefault("retentionFilter", {}).setdefault("totalIntervals", _RETENTION_INTERVALS)
    return query


def _shaped(insight: str, data: bytes) -> bytes:
    """Results as the old endpoints had them: a cohort of retention has values up to the end of the period only."""
    if insight != "RETENTION":
        return data
    rows = orjson.loads(data)
    return dumps([{**row, "values": row["values"][: len(row["values"]) - place]} for place, row in enumerate(rows)])


def _endpoint(insight: str) -> Handler:
    async def answer(call: Call) -> Reply:
        filters = filters_of(call)
        query = _query(filters, insight)
        call.entry.kind = query["kind"]
        answer, is_cached = await answer_of(call, query, filters)
        fields: dict[str, Any] = {
            "timezone": call.state.behaviour.project_timezone,
            "is_cached": is_cached,
            "last_refresh": answer.calculated_at,
            "timings": [],
        }
        if insight == "TRENDS":
            # Offered for whole pages of results; nobody needs it, since the results do not change with the offset.
            more = answer.rows >= _TREND_PAGE and call.request.method == "GET"
            fields["next"] = call.url({"offset": _TREND_PAGE}) if more else None
        return Reply([b'{"result":', _shaped(insight, answer.data), b",", dumps(fields)[1:]])

    return answer


def _actions(insight: str, *scopes: str) -> dict[str, Action]:
    action = Action(_endpoint(insight), scopes, throttle="clickhouse")
    return {"GET": action, "POST": action}


#: By their path under ``insights/``.
ROUTES: Mapping[str, Mapping[str, Action]] = {
    "trend/": _actions("TRENDS", "insight:read"),
    "funnel/": _actions("FUNNELS", "insight:read"),
    "retention/": _actions("RETENTION", "insight:read"),
    "path/": _actions("PATHS", "insight:read"),
    # No scope opens this one: keys that have scopes are refused, those of the days before scopes are not.
    "funnel/correlation/": _actions("CORRELATION"),
}
