"""Paths: what persons do after what, within a session. Source: posthog/hogql_queries/insights/paths_query_runner.py,
autumn 2026."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from posthog_warehouse.sandbox.api.envelope import invalid
from posthog_warehouse.sandbox.api.insights import filters
from posthog_warehouse.sandbox.api.insights.calculation import Calculation
from posthog_warehouse.sandbox.store import quoted

DEFAULT_STEPS = 5
DEFAULT_EDGES = 50

#: A longer pause ends a path.
SESSION_SECONDS = 30 * 60

_UNKNOWN = ("pathDropoffKey", "pathGroupings", "pathReplacements", "localPathCleaningFilters")


def calculate(work: Calculation, node: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The results of a PathsQuery: edges, the most frequent first; conversion times in milliseconds."""
    given = node.get("pathsFilter") or {}
    having = []
    if given.get("minEdgeWeight"):
        having.append(f"times >= {int(given['minEdgeWeight'])}")
    if given.get("maxEdgeWeight"):
        having.append(f"times <= {int(given['maxEdgeWeight'])}")
    rows = work.rows(
        f"SELECT source, target, count() AS times, avg(seconds) FROM ({_edges(work, node)}) WHERE source != '' "
        f"GROUP BY source, target HAVING {' AND '.join(having) or '1'} "
        f"ORDER BY times DESC, source, target LIMIT {int(given.get('edgeLimit') or DEFAULT_EDGES)}"
    )
    results = [
        {"source": source, "target": target, "value": count, "average_conversion_time": seconds * 1000.0}
        for source, target, count, seconds in _reachable(rows)
    ]
    return results, {}


def _reachable(rows: Sequence[list[Any]]) -> list[list[Any]]:
    """The edges that a walk from a first step can reach: the limit may have cut off what leads to others."""
    edges = defaultdict(list)
    for source, target, *_ in rows:
        edges[source].append(target)
    seen: set[str] = set()
    todo = [source for source in edges if source.startswith("1_")]
    while todo:
        here = todo.pop()
        if here not in seen:
            seen.add(here)
            todo += edges.get(here, [])
    return [row for row in rows if row[0] in seen]


def _edges(work: Calculation, node: Mapping[str, Any]) -> str:
    """ClickHouse SQL: actor_id, source (empty at the start of a path), target, seconds; items are `2_/pricing`."""
    given = node.get("pathsFilter") or {}
    for name in _UNKNOWN:
        if given.get(name):
            raise invalid(f"This local PostHog does not know {name} in paths.")
    if node.get("funnelPathsFilter"):
        raise invalid("This local PostHog does not know paths of a funnel.")
    steps = int(given.get("stepLimit") or DEFAULT_STEPS)
    columns = {
        "actor_id": "person_id",
        "at": "timestamp",
        "tie": "toString(uuid)",
        "item": _item(given),
    }
    period = work.period(node.get("dateRange"))
    conditions = [*filters.conditions(node.get("properties")), *_included(given), period.condition()]
    events = work.events(columns, conditions)
    left_out = ", ".join(quoted(str(name)) for name in given.get("excludeEvents") or [])
    without = f"WHERE item NOT IN ({left_out})" if left_out else ""
    per_person = (
        f"SELECT actor_id, arraySort(groupArray((at, tie, item))) AS did FROM ({events}) {without} GROUP BY actor_id"
    )
    # Cut where the pause is too long, then take repetitions of an item together.
    pause = f"(did[i].1 - did[i - 1].1) >= {SESSION_SECONDS * 1_000_000}"
    sessions = (
        f"SELECT actor_id, arrayJoin(arraySplit((d, i) -> i > 1 AND {pause}, did, arrayEnumerate(did))) AS session"
    )
    compact = (
        "SELECT actor_id, arrayFilter((d, i) -> i = length(session) OR d.3 != session[i + 1].3, "
        f"session, arrayEnumerate(session)) AS path FROM ({sessions} FROM ({per_person}))"
    )
    limited = f"SELECT actor_id, {_cut(given, steps)} AS path FROM ({compact})"
    key = "concat(toString(i), '_', path[i].3)"
    before = "concat(toString(i - 1), '_', path[i - 1].3)"
    return (
        f"SELECT actor_id, if(i > 1, {before}, '') AS source, {key} AS target, "
        "if(i > 1, (path[i].1 - path[i - 1].1) / 1000000, 0) AS seconds "
        f"FROM ({limited}) ARRAY JOIN arrayEnumerate(path) AS i"
    )


def _cut(given: Mapping[str, Any], steps: int) -> str:
    """The part of a path that is shown: from the start point, or up to the end point; nothing without them."""
    start, end = _point(given.get("startPoint")), _point(given.get("endPoint"))
    if start and end:
        raise invalid("This local PostHog does not know paths with both a start and an end.")
    point = start or end
    if not point:
        return f"arraySlice(path, 1, {steps})"
    place = f"arrayFirstIndex(d -> d.3 = {quoted(point)}, path)"
    if start:
        return f"if({place} > 0, arraySlice(path, {place}, {steps}), [])"
    return f"if({place} > 0, arraySlice(arraySlice(path, 1, {place}), -{steps}), [])"


def _point(text: object) -> str:
    point = str(text or "")
    return point[:-1] if len(point) > 1 and point.endswith("/") else point


def _item(given: Mapping[str, Any]) -> str:
    """HogQL for what an event is called in a path."""
    kinds = given.get("includeEventTypes") or []
    item = "event"
    if "hogql" in kinds and given.get("pathsHogQLExpression"):
        item = f"ifNull(toString({given['pathsHogQLExpression']}), '')"
    if not kinds or "$pageview" in kinds:
        url = "replaceRegexpAll(ifNull(properties.`$current_url`, ''), '(.)/$', '\\\\1')"
        item = f"if(event = '$pageview', {url}, {item})"
    if not kinds or "$screen" in kinds:
        item = f"if(event = '$screen', ifNull(properties.`$screen_name`, ''), {item})"
    return item


def _included(given: Mapping[str, Any]) -> list[str]:
    kinds = given.get("includeEventTypes") or []
    known = {
        "$pageview": "event = '$pageview'",
        "$screen": "event = '$screen'",
        "custom_event": "NOT startsWith(event, '$')",
    }
    wanted = [known[kind] for kind in kinds if kind in known]
    return [f"({' OR '.join(wanted)})"] if wanted else []


def actors(work: Calculation, source: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    """ClickHouse SQL for who took an edge: ``pathStartKey`` and ``pathEndKey`` of the source's ``pathsFilter``."""
    del chosen
    given = source.get("pathsFilter") or {}
    conditions = []
    if given.get("pathStartKey"):
        conditions.append(f"source = {quoted(str(given['pathStartKey']))}")
    if given.get("pathEndKey"):
        conditions.append(f"target = {quoted(str(given['pathEndKey']))}")
    where = " AND ".join(conditions) or "1"
    return f"SELECT actor_id, count() AS event_count FROM ({_edges(work, source)}) WHERE {where} GROUP BY actor_id"
