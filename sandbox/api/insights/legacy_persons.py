"""``persons/funnel/``, ``funnel/correlation/``, ``lifecycle/``, ``stickiness/`` and ``trends/``: who is behind a point.

Sources: posthog/api/person.py and ee/clickhouse/views/person.py, 2023 to 2026: pages of 100 by offset; ``next`` while
the ids fill the page, so a page can be short of deleted persons and still have one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from posthog_warehouse.sandbox.api import persons
from posthog_warehouse.sandbox.api.dispatch import Action, Call, Handler
from posthog_warehouse.sandbox.api.envelope import Reply, reply
from posthog_warehouse.sandbox.api.insights import actors, legacy, legacy_filters, schema
from posthog_warehouse.sandbox.api.insights.calculation import Calculation
from posthog_warehouse.sandbox.api.insights.lifecycle import STATUSES

DEFAULT_LIMIT = 100

_Choose = Callable[[Mapping[str, Any]], dict[str, Any]]


def _funnel(filters: Mapping[str, Any]) -> dict[str, Any]:
    funnel = legacy_filters.to_query(filters, "FUNNELS")
    step = int(filters.get("funnel_step") or 1)
    chosen: dict[str, Any] = {"kind": "FunnelsActorsQuery", "source": funnel, "funnelStep": step}
    if filters.get("funnel_step_breakdown") is not None:
        chosen["funnelStepBreakdown"] = filters["funnel_step_breakdown"]
    return chosen


def _correlation(filters: Mapping[str, Any]) -> dict[str, Any]:
    entity = filters.get("funnel_correlation_person_entity")
    decoded = legacy_filters.decoded({"events": entity})["events"] if isinstance(entity, str) else entity
    event = (decoded or {}).get("id")
    converted = filters.get("funnel_correlation_person_converted")
    return {
        "kind": "FunnelCorrelationActorsQuery",
        "source": legacy.correlation_query(filters),
        "funnelCorrelationPersonEntity": {"kind": "EventsNode", "event": event},
        "funnelCorrelationPersonConverted": None if converted is None else converted in (True, "true", "True"),
    }


def _lifecycle(filters: Mapping[str, Any]) -> dict[str, Any]:
    query = legacy_filters.to_query(filters, "LIFECYCLE")
    day, status = filters["target_date"], filters["lifecycle_type"]
    return {"kind": "InsightActorsQuery", "source": query, "day": day, "status": status}


def _entity(filters: Mapping[str, Any]) -> dict[str, Any]:
    """The filters with the entity in question as their only event."""
    if filters.get("entity_id") is None:
        return dict(filters)
    event = {"id": filters["entity_id"], "math": filters.get("entity_math")}
    matching = [one for one in filters.get("events") or [] if one.get("id") == event["id"]]
    return {**filters, "events": [{**(matching[0] if matching else {}), **event, "order": 0}]}


def _stickiness(filters: Mapping[str, Any]) -> dict[str, Any]:
    query = legacy_filters.to_query({**_entity(filters), "shown_as": "Stickiness"}, "STICKINESS")
    return {"kind": "StickinessActorsQuery", "source": query, "day": int(filters.get("stickiness_days") or 1)}


def _trends(filters: Mapping[str, Any]) -> dict[str, Any]:
    # Whoever did it anywhere in the dates: a client that wants one day asks for that day.
    query = legacy_filters.to_query({**_entity(filters), "display": "ActionsBarValue", "compare": None}, "TRENDS")
    chosen: dict[str, Any] = {"kind": "InsightActorsQuery", "source": query, "series": 0}
    if filters.get("breakdown_value") is not None:
        chosen["breakdown"] = filters["breakdown_value"]
    return chosen


def _endpoint(choose: _Choose, *, whole: bool, values: bool = False) -> Handler:
    """An endpoint.

    Args:
        choose: the actors that filters ask for.
        whole: the answer has all fields; those of lifecycle and stickiness have fewer.
        values: each person carries its figure, ``value_at_data_point``.
    """

    async def answer(call: Call) -> Reply:
        filters = legacy.filters_of(call)
        for name in ("target_date", "lifecycle_type") if choose is _lifecycle else ():
            if not filters.get(name):
                return reply({"message": "Missing parameter", "detail": f"Must include {_WORDS[name]}"}, status=400)
        node = choose(filters)
        schema.check(node)
        call.entry.kind = node["kind"]
        limit = int(filters.get("limit") or DEFAULT_LIMIT)
        offset = int(filters.get("offset") or 0)
        people, count = await call.state.in_thread(_people, call, node, (limit, offset), values=values)
        body: dict[str, Any] = {
            "results": [{"people": people, "count": len(people)}],
            "next": call.url({"limit": limit, "offset": offset + limit}) if count >= limit else None,
        }
        if whole:
            body |= {
                "initial": call.url({"offset": 0}),
                "missing_persons": count - len(people),
                "is_cached": False,
                "last_refresh": call.state.clock.now(),
            }
        return reply(body)

    return answer


_WORDS = {"target_date": "specified date", "lifecycle_type": f"lifecycle type ({', '.join(STATUSES)})"}


def _people(
    call: Call, node: Mapping[str, Any], page: tuple[int, int], *, values: bool
) -> tuple[list[dict[str, Any]], int]:
    state = call.state
    modifiers = {"personsOnEventsMode": state.behaviour.default_persons_on_events_mode}
    work = Calculation(state, modifiers, state.behaviour.query_seconds)
    ids, figures = actors.ids(work, node, *page)
    state.log.executed(call.entry, rows=len(ids), rows_read=work.rows_read, bytes_read=work.bytes_read)
    people = persons.hydrate(state.store, ids)
    if values:
        people = [{**person, "value_at_data_point": figures[person["id"]]} for person in people]
        people.sort(key=lambda person: -person["value_at_data_point"])
    return people, len(ids)


def _actions(handler: Handler, *methods: str) -> dict[str, Action]:
    # No scope opens them: keys that have scopes are refused, those of the days before scopes are not.
    return {method: Action(handler, (), throttle="persons") for method in methods}


#: By their path under ``persons/``.
ROUTES: Mapping[str, Mapping[str, Action]] = {
    "funnel/": _actions(_endpoint(_funnel, whole=True), "GET", "POST"),
    "funnel/correlation/": _actions(_endpoint(_correlation, whole=True), "GET", "POST"),
    "lifecycle/": _actions(_endpoint(_lifecycle, whole=False), "GET"),
    "stickiness/": _actions(_endpoint(_stickiness, whole=False), "GET"),
    "trends/": _actions(_endpoint(_trends, whole=True, values=True), "GET", "POST"),
}
