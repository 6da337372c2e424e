"""ActorsQuery: the persons behind a point of an insight, or all persons.

Source: posthog/hogql_queries/actors_query_runner.py and insight_actors_query_runner.py, autumn 2026: who is deleted
is left out, rows are arrays, and ``offset`` is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from posthog_warehouse.sandbox.api import persons
from posthog_warehouse.sandbox.api.envelope import invalid
from posthog_warehouse.sandbox.api.insights import (
    correlation,
    filters,
    funnels,
    lifecycle,
    paths,
    retention,
    stickiness,
    trends,
)
from posthog_warehouse.sandbox.api.insights.calculation import Calculation
from posthog_warehouse.sandbox.store import quoted

DEFAULT_LIMIT = 100
MAX_LIMIT = 50_000

_DEFAULT_SELECT = ("person", "id", "created_at", "person.$delete")

_Source = Callable[[Calculation, Mapping[str, Any], Mapping[str, Any]], str]

#: Who is behind a point, by the kind of insight.
SOURCES: Mapping[str, _Source] = {
    "TrendsQuery": trends.actors,
    "FunnelsQuery": funnels.actors,
    "FunnelCorrelationQuery": correlation.actors,
    "LifecycleQuery": lifecycle.actors,
    "StickinessQuery": stickiness.actors,
    "RetentionQuery": retention.actors,
    "PathsQuery": paths.actors,
}

#: Kinds that choose actors of an insight.
CHOICES = frozenset(
    {"InsightActorsQuery", "FunnelsActorsQuery", "FunnelCorrelationActorsQuery", "StickinessActorsQuery"}
)

#: Columns that can be asked for: their SQL over `found` (the source) and `known` (persons), and their type.
_COLUMNS: Mapping[str, tuple[str, str]] = {
    "actor": ("actor_id", "UUID"),
    "person": ("actor_id", "UUID"),
    "id": ("actor_id", "UUID"),
    "actor_id": ("actor_id", "UUID"),
    "created_at": ("created_at", "DateTime64(3, 'UTC')"),
    "is_identified": ("is_identified", "Bool"),
    "person.$delete": ("1", "UInt8"),
    "event_count": ("event_count", "UInt64"),
    "event_distinct_ids": ("event_distinct_ids", "Array(String)"),
    "appearances": ("appearances", "Array(Int64)"),
}


def source(work: Calculation, node: Mapping[str, Any]) -> str:
    """ClickHouse SQL for the actors that a node of one of `CHOICES` chooses."""
    inner = node.get("source")
    if node.get("kind") not in CHOICES or not isinstance(inner, Mapping) or inner.get("kind") not in SOURCES:
        raise invalid(f"This local PostHog knows no actors of {node.get('kind')}.")
    return SOURCES[inner["kind"]](work, inner, node)


def calculate(work: Calculation, node: Mapping[str, Any]) -> tuple[list[list[Any]], dict[str, Any]]:
    """The rows of an ActorsQuery, and the fields that go with them."""
    select = [str(column) for column in node.get("select") or _DEFAULT_SELECT]
    limit = min(int(node.get("limit") or DEFAULT_LIMIT), MAX_LIMIT)
    offset = int(node.get("offset") or 0)
    columns = [_column(name) for name in select]
    sql = f"SELECT {', '.join(text for text, _ in columns)} FROM ({_joined(work, node)}) "
    rows = work.rows(f"{sql}ORDER BY {_order(node, select)} LIMIT {limit + 1} OFFSET {offset}")
    page = rows[:limit]
    missing = 0
    for place, name in enumerate(select):
        if name in ("actor", "person"):
            bodies = {body["id"]: body for body in persons.hydrate(work.state.store, [row[place] for row in page])}
            missing = len({row[place] for row in page} - set(bodies))
            for row in page:
                row[place] = bodies.get(row[place], {"id": row[place]})
    return page, {
        "columns": select,
        "types": [type_ for _, type_ in columns],
        "limit": limit,
        "offset": offset,
        "hasMore": len(rows) > limit,
        "missing_actors_count": missing,
    }


def _column(name: str) -> tuple[str, str]:
    if name.startswith("properties."):
        # Compared with PostHog's own, a number comes as text.
        return f"trim(BOTH '\"' FROM JSONExtractRaw(properties, {quoted(name[11:])}))", "Nullable(String)"
    if name not in _COLUMNS:
        raise invalid(f"Unable to resolve field: {name}", code="hogql_query_error")
    return _COLUMNS[name]


def _joined(work: Calculation, node: Mapping[str, Any]) -> str:
    conditions = filters.conditions(node.get("properties"))
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    known = work.sql(
        f"SELECT id AS id, created_at AS created_at, properties AS properties, is_identified AS is_identified "
        f"FROM persons{where}"
    )
    if not node.get("source"):
        return f"SELECT id AS actor_id, * EXCEPT id FROM ({known})"
    found = source(work, node["source"])
    return f"SELECT * FROM ({found}) AS found INNER JOIN ({known}) AS known ON known.id = found.actor_id"


def _order(node: Mapping[str, Any], select: Sequence[str]) -> str:
    """The order asked for; else the newest first, or by the first column."""
    wanted = node.get("orderBy")
    if not wanted:
        return "created_at DESC" if "created_at" in select else f"toString({_column(select[0])[0]})"
    parts = []
    for item in ", ".join(str(one) for one in wanted).split(","):
        name, _, direction = item.strip().partition(" ")
        if direction.upper() not in ("", "ASC", "DESC"):
            raise invalid(f"Invalid order: {item.strip()}", code="hogql_syntax_error")
        parts.append(f"{_column(name)[0]} {direction.upper()}")
    return ", ".join(parts)


def ids(work: Calculation, node: Mapping[str, Any], limit: int, offset: int) -> tuple[list[str], dict[str, Any]]:
    """A page of the ids that a node of `CHOICES` chooses, deleted persons included, and each one's `event_count`."""
    rows = work.rows(
        f"SELECT actor_id, event_count FROM ({source(work, node)}) "
        f"ORDER BY event_count DESC, actor_id DESC LIMIT {limit} OFFSET {offset}"
    )
    return [row[0] for row in rows], {row[0]: row[1] for row in rows}
