"""``/api/projects/:id/insights/:id/`` and ``my_last_viewed/``: saved insights, with their results on request.

Source: posthog/api/insight.py, autumn 2026.
"""

from __future__ import annotations

from typing import Any

import orjson

from .dispatch import Action, Call
from .envelope import Reply, reply
from .insights.legacy import answer_of
from .lists.endpoints import item_of, rows_of, shown, visible
from .lists.registry import BASIC_INSIGHT, BY_NAME

#: Kinds of queries that are calculated here; SQL is asked of ``/query/``.
_CALCULATED = frozenset(
    {"TrendsQuery", "FunnelsQuery", "RetentionQuery", "PathsQuery", "LifecycleQuery", "StickinessQuery"}
)

#: Values of ``refresh`` that let a result be calculated if none is fresh, and those that want a new one.
_BLOCKING = frozenset({"blocking", "async", "lazy_async", "async_except_on_cache_miss"})
_FORCED = frozenset({"true", "1", "force_blocking", "force_async"})

#: How many insights the owner of the key last looked at.
_LAST = 5


async def retrieve(call: Call) -> Reply:
    """GET /insights/:id/, by number or short_id: with its result if ``refresh`` asks for one.

    Results of SQL insights are not calculated here: their ``result`` stays null.
    """
    listing = BY_NAME["insights"]
    row = await item_of(call, listing)
    body = shown(call, listing, row, item=True)
    refresh = call.arguments.get("refresh", "").lower()
    query: dict[str, Any] = row["query"]["source"]
    if refresh in _BLOCKING | _FORCED and query["kind"] in _CALCULATED:
        answer, is_cached = await answer_of(call, query, {"refresh": refresh in _FORCED})
        call.entry.kind = query["kind"]
        body |= {
            "result": orjson.loads(answer.data),
            "last_refresh": answer.calculated_at,
            "is_cached": is_cached,
            "timezone": call.state.behaviour.project_timezone,
        }
    return reply(body)


async def my_last_viewed(call: Call) -> Reply:
    """GET /insights/my_last_viewed/: the five insights that the key's owner looked at last, as a bare array."""
    rows = [row for row in visible(call, await rows_of(call, "insights")) if row["last_viewed_at"]]
    rows.sort(key=lambda row: str(row["last_viewed_at"]), reverse=True)
    listed = [shown(call, BY_NAME["insights"], row) for row in rows[:_LAST]]
    return reply([{name: value for name, value in row.items() if name in BASIC_INSIGHT} for row in listed])


ITEM = {"GET": Action(retrieve, ("insight:read",), throttle="clickhouse")}
#: No scope opens it: keys that have scopes are refused, only legacy ones are not (seed pages of autumn 2026).
MY_LAST_VIEWED = {"GET": Action(my_last_viewed, ())}
