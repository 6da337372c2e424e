"""The persons behind the points that `insight_actors` asks for.

By ActorsQuery (posthog/hogql_queries/actors_query_runner.py, autumn 2026), or by the endpoints persons/funnel,
persons/lifecycle, persons/stickiness, persons/trends and persons/funnel/correlation where the server has only those.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from functools import partial
from typing import Any

from ...errors import NothingRequested, RequestRefused
from ...http.json_values import canonical
from ..base import Noted, State, TableReading
from ..rest.pages import pages
from ..run import Run
from . import legacy
from .definitions import Definition
from .results import Insights, insights_of

Selector = Mapping[str, Any]

PAGE_ROWS = 5_000

_SETTING = "insight_actors under [sources.posthog.requests]"

#: What may be said of a point, by the kind of insight.
_CHOICES: Mapping[str, frozenset[str]] = {
    "TrendsQuery": frozenset({"day", "series", "breakdown", "compare"}),
    "StickinessQuery": frozenset({"day", "series"}),
    "LifecycleQuery": frozenset({"day", "status"}),
    "FunnelsQuery": frozenset({"step", "breakdown"}),
    "RetentionQuery": frozenset({"cohort", "breakdown"}),
    "PathsQuery": frozenset({"source", "target"}),
    "FunnelCorrelationQuery": frozenset({"event", "converted"}),
}


def read_actors(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The persons behind each point that is asked for; all of a point are on one page.

    State: `rows`, how many persons of each selection the table holds.

    Raises NothingRequested where none is asked for, or the insight or the point is none.
    """
    insights = insights_of(run)
    # As JSON has it: of a TOML date its text is meant.
    chosen = [_chosen(insights, json.loads(canonical(item))) for item in run.requests.insight_actors]
    if not chosen:
        raise NothingRequested(
            "It is not said whose persons are wanted",
            advice=f'Set {_SETTING}: [{{insight = 12, step = 2}}, {{insight = "signups", day = "2026-11-01"}}].',
        )
    held: dict[str, int] = dict(state.get("rows", {}))
    for definition, selector in chosen:
        text = canonical(selector).decode()
        selection = f"{definition.insight_id} {text}"
        shared = {"selection": selection, "insight_id": definition.insight_id, "selector": text}
        asked_at = insights.server_time()
        # A person may come twice where persons were merged between two pages.
        found = dict.fromkeys(_persons(run, insights, definition, selector))
        held[selection] = len(found)
        run.progress.fetched(reading.table.name, len(found))
        rows = [{**shared, "person_id": one, "asked_at": asked_at, "is_gone": False} for one in found]
        yield rows or [{**shared, "person_id": _NOBODY, "is_gone": True}], partial(_note, selection, len(found))
    reading.evidence.held = sum(held.values())


_NOBODY = "00000000-0000-0000-0000-000000000000"


def _note(selection: str, count: int, state: State) -> None:
    state.setdefault("rows", {})[selection] = count


def _chosen(insights: Insights, item: dict[str, Any]) -> tuple[Definition, Selector]:
    name = str(item.pop("insight", ""))
    definition = next((one for one in insights.definitions.known if name in one.names), None)
    if definition is None:
        raise NothingRequested(
            f"There is no insight {name!r}",
            advice=f"Name it in {_SETTING} by its id, its short_id, or its name under `insights`.",
        )
    known = _CHOICES.get(definition.kind, frozenset())
    unknown = sorted(set(item) - known)
    if unknown or not known:
        raise NothingRequested(
            f"A {definition.kind} has no {' and '.join(unknown) or 'persons'}",
            advice=f"Points of it are told apart by: {', '.join(sorted(known)) or 'nothing'}. Mend {_SETTING}.",
        )
    return definition, item


def _persons(run: Run, insights: Insights, definition: Definition, selector: Selector) -> Iterator[str]:
    """The ids of the persons. Those who are deleted PostHog leaves out, though they count in the insight's figures."""
    if definition.node is None or not insights.has_queries:
        yield from _legacy_persons(run, definition, selector)
        return
    offset, has_more = 0, True
    while has_more:
        query = {
            "kind": "ActorsQuery",
            "select": ["id"],
            "orderBy": ["id ASC"],
            "limit": PAGE_ROWS,
            "offset": offset,
            "source": source(definition.kind, definition.node, selector),
        }
        answer = run.client.query_node(query)
        yield from (str(row[0]) for row in answer["results"])
        offset += PAGE_ROWS
        has_more = bool(answer.get("hasMore"))


def source(kind: str, node: Mapping[str, Any], selector: Selector) -> dict[str, Any]:
    """The source of an ActorsQuery: which actors of which insight."""
    chosen = dict(selector)
    if kind == "FunnelsQuery":
        actors: dict[str, Any] = {"kind": "FunnelsActorsQuery", "source": node, "funnelStep": chosen.get("step", 1)}
        return actors | ({"funnelStepBreakdown": chosen["breakdown"]} if "breakdown" in chosen else {})
    if kind == "StickinessQuery":
        return {"kind": "StickinessActorsQuery", "source": node, **chosen}
    if kind == "FunnelCorrelationQuery":
        entity = {"kind": "EventsNode", "event": chosen.get("event")}
        converted = {"funnelCorrelationPersonConverted": chosen["converted"]} if "converted" in chosen else {}
        actors = {"kind": "FunnelCorrelationActorsQuery", "source": node, "funnelCorrelationPersonEntity": entity}
        return actors | converted
    if kind == "PathsQuery":
        keys = {"pathStartKey": chosen.get("source"), "pathEndKey": chosen.get("target")}
        given = {**(node.get("pathsFilter") or {}), **{key: value for key, value in keys.items() if value is not None}}
        return {"kind": "InsightActorsQuery", "source": {**node, "pathsFilter": given}}
    if kind == "RetentionQuery" and "cohort" in chosen:
        chosen["interval"] = chosen.pop("cohort")
    return {"kind": "InsightActorsQuery", "source": node, **chosen}


def _legacy_persons(run: Run, definition: Definition, selector: Selector) -> Iterator[str]:
    path, params = legacy_request(definition, selector)
    for page in pages(run.client, path, legacy.params({**params, "limit": 100})):
        for part in page.rows:
            yield from (str(person["id"]) for person in part["people"])


def legacy_request(definition: Definition, selector: Selector) -> tuple[str, dict[str, Any]]:
    """The endpoint that knows the persons behind a point, and what it is asked with.

    Raises:
        RequestRefused: no such endpoint does.
    """
    filters = legacy.filters(definition)
    kind = definition.kind
    if kind == "FunnelsQuery":
        step = {"funnel_step": selector.get("step", 1), "funnel_step_breakdown": selector.get("breakdown")}
        return "persons/funnel", {**filters, **step}
    if kind == "FunnelCorrelationQuery":
        entity = {"id": selector.get("event"), "type": "events"}
        asked = {"funnel_correlation_person_entity": entity}
        return "persons/funnel/correlation", {
            **filters,
            **asked,
            "funnel_correlation_person_converted": selector.get("converted"),
        }
    if kind == "LifecycleQuery":
        return "persons/lifecycle", {
            **filters,
            "target_date": selector.get("day"),
            "lifecycle_type": selector.get("status"),
        }
    if kind == "StickinessQuery":
        days = {"stickiness_days": selector.get("day")}
        return "persons/stickiness", {**filters, **_entity(filters, selector), **days}
    if kind == "TrendsQuery" and "compare" not in selector:
        asked = {**_entity(filters, selector), **_dates(filters, selector)}
        return "persons/trends", {**filters, **asked, "breakdown_value": selector.get("breakdown")}
    raise RequestRefused(
        f"This server does not tell the persons behind such a point of a {kind}", advice=f"Leave it out of {_SETTING}."
    )


def _entity(filters: Mapping[str, Any], selector: Selector) -> dict[str, Any]:
    entities = [*(filters.get("events") or []), *(filters.get("actions") or [])]
    entities.sort(key=lambda one: int(one.get("order") or 0))
    entity = entities[int(selector.get("series") or 0)]
    return {
        "entity_id": entity.get("id"),
        "entity_type": entity.get("type") or "events",
        "entity_math": entity.get("math"),
    }


def _dates(filters: Mapping[str, Any], selector: Selector) -> dict[str, Any]:
    """The first and the last day of a point."""
    if selector.get("day") is None:
        return {}
    first = date.fromisoformat(str(selector["day"])[:10])
    interval = filters.get("interval") or "day"
    if interval not in ("day", "week", "month"):
        raise RequestRefused(f"This server does not tell the persons behind a point of one {interval}")
    after = {
        "day": first + timedelta(days=1),
        "week": first + timedelta(days=7),
        "month": (first.replace(day=1) + timedelta(days=32)).replace(day=1),
    }[interval]
    return {"date_from": first.isoformat(), "date_to": (after - timedelta(days=1)).isoformat()}
