"""The control API under ``/_sandbox/``: change the data, the clock and the behaviour, and see what was asked.

JSON in and out, no key: the server listens on the loopback interface only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import orjson
from starlette.requests import Request
from starlette.routing import Route

from posthog_warehouse.sandbox import changes
from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.configuration.rows import Change
from posthog_warehouse.sandbox.store import ClickHouseError, Store

from . import dates
from .envelope import ApiError, Reply, invalid, reply
from .state import State

Body = Mapping[str, Any]


class BadRequestError(ValueError):
    """The control API was asked for something that makes no sense."""


Verb = Callable[[State, Body], Awaitable[object]]


async def counts(state: State, body: Body) -> object:
    """How much there is: events (distinct uuids), persons (not deleted), recordings, sessions, groups and so on."""
    del body
    return await state.in_thread(changes.counts, state.store)


async def sql(state: State, body: Body) -> object:
    """Run a ClickHouse SELECT: {"sql": "..."} -> columns and rows."""
    selection = await state.in_thread(state.store.select, str(body.get("sql", "")))
    return {"columns": [name for name, _ in selection.meta], "rows": orjson.loads(selection.data)}


async def clock(state: State, body: Body) -> object:
    """The sandbox's time (UTC)."""
    del body
    return {"now": state.clock.now()}


async def advance_clock(state: State, body: Body) -> object:
    """Move the time on: {"advance_seconds": N}."""
    seconds = body.get("advance_seconds")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise BadRequestError(f"advance_seconds is {seconds!r}; it must be a number of seconds")
    return {"now": state.clock.advance(seconds)}


async def requests(state: State, body: Body) -> object:
    """The request log since the last reset."""
    del body
    return state.log.entries()


async def counters(state: State, body: Body) -> object:
    """Sums over the requests since the last reset."""
    del body
    return state.log.counters()


async def reset_counters(state: State, body: Body) -> object:
    """Forget the request log and its sums; throttles, breaker and byte budget start anew."""
    del body
    state.log.reset()
    state.throttle.reset()
    state.breaker.reset()
    state.budget.reset(state.behaviour)
    return {"reset": True}


async def behaviour(state: State, body: Body) -> object:
    """How this PostHog behaves."""
    del body
    return state.behaviour.as_json()


async def set_behaviour(state: State, body: Body) -> object:
    """Switch fields of the behaviour: {"refuse_offset": false, ...}."""
    state.set_behaviour(state.behaviour.changed(body))
    return state.behaviour.as_json()


async def keys(state: State, body: Body) -> object:
    """Make a key: {"scopes": [...], "kind": "phx", "scoped_teams": [...], "scoped_organizations": [...]}."""
    key = state.keys.create(
        scopes=body.get("scopes", ["*"]),
        kind=str(body.get("kind", "phx")),
        scoped_teams=body.get("scoped_teams", ()),
        scoped_organizations=body.get("scoped_organizations", ()),
    )
    return {"key": key.value}


async def faults(state: State, body: Body) -> object:
    """The faults that are on."""
    del body
    return state.faults.describe()


async def add_fault(state: State, body: Body) -> object:
    """Switch a fault on: {"fault": "drop", "path": "/query/", "at": [3]}; also every, probability, always."""
    return {"id": state.faults.add(body)}


async def clear_faults(state: State, body: Body) -> object:
    """Switch all faults off."""
    del body
    state.faults.clear()
    return {"cleared": True}


async def shutdown(state: State, body: Body) -> object:
    """Stop the server."""
    del body
    state.stop()
    return {"stopping": True}


def _whole(body: Body, name: str, default: int | None = None) -> int:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadRequestError(f"{name} is {value!r}; it must be a whole number of 0 or more")
    return value


def _texts(body: Body, name: str) -> list[str]:
    value = body.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadRequestError(f"{name} must be a list of texts")
    return value


async def add_events(state: State, body: Body) -> object:
    """Events that arrive now: {"count", "days_back", "days_back_min"} or {"count", "timestamp", "distinct_id"?}.

    With a `timestamp` also "event"?, "spread_seconds"?, "properties"? (any text) and "created_at"?.
    """
    count, seed = _whole(body, "count"), _whole(body, "seed", 0)
    if "timestamp" not in body:
        uuids = await state.in_thread(
            changes.add_late_events,
            state.store,
            state.clock,
            count,
            days_back=float(body.get("days_back", 20)),
            days_back_min=float(body.get("days_back_min", 0)),
            seed=seed,
        )
        return {"uuids": uuids}
    times = {}
    for name in ("timestamp", "created_at"):
        times[name] = dates.parse(str(body[name]), state.clock.now()) if name in body else None
        if name in body and times[name] is None:
            raise BadRequestError(f"{name} is {body[name]!r}; it must be an ISO time")
    timestamp = times["timestamp"]
    assert timestamp is not None  # noqa: S101 - it is in the body
    uuids = await state.in_thread(
        changes.add_events_at,
        state.store,
        state.clock,
        count,
        timestamp,
        distinct_id=body.get("distinct_id"),
        event=body.get("event"),
        seed=seed,
        spread_seconds=float(body.get("spread_seconds", 0)),
        created_at=times["created_at"],
        properties=body.get("properties"),
    )
    return {"uuids": uuids}


async def delete_events(state: State, body: Body) -> object:
    """Events vanish: {"count": N} or {"uuids": [...]}."""
    count = _whole(body, "count") if "count" in body else None
    uuids = await state.in_thread(
        changes.delete_events,
        state.store,
        state.clock,
        count,
        uuids=_texts(body, "uuids"),
        seed=_whole(body, "seed", 0),
    )
    return {"uuids": uuids}


def _by_count(change: Callable[[Store, Clock, int, int], Sequence[str | int]], summary: str) -> Verb:
    async def verb(state: State, body: Body) -> object:
        ids = await state.in_thread(change, state.store, state.clock, _whole(body, "count"), _whole(body, "seed", 0))
        return {"ids": ids}

    verb.__doc__ = summary + ': {"count": N, "seed"?: S} -> ids'
    return verb


async def lists(state: State, body: Body) -> object:
    """How many rows a client finds in each list of configuration; {"only": [...]} for some."""
    names = _texts(body, "only") or state.configuration.names
    return {name: len((await state.in_thread(state.configuration.rows, name)).visible()) for name in names}


async def list_rows(state: State, body: Body) -> object:
    """The rows that a client finds in a list, whole, as they lie on disk: {"list": name} -> key and rows."""
    rows = await state.in_thread(state.configuration.rows, str(body.get("list")))
    return {"key": rows.kind.key, "rows": rows.visible()}


async def change_list(state: State, body: Body) -> object:
    """Rows come, change and go: {"list", "insert", "update", "delete", "seed"?} now, or after {"after_pages": N}."""
    rows = await state.in_thread(state.configuration.rows, str(body.get("list")))
    change = Change(**{name: _whole(body, name, 0) for name in ("insert", "update", "delete", "seed")})
    if "after_pages" in body:
        rows.schedule(change, max(1, _whole(body, "after_pages")))
        return {"inserted": [], "updated": [], "deleted": []}
    return asdict(rows.change(change, state.clock.now()))


VERBS: Mapping[str, Mapping[str, Verb]] = {
    "/_sandbox/counts/": {"GET": counts},
    "/_sandbox/events/": {"POST": add_events},
    "/_sandbox/events/delete/": {"POST": delete_events},
    "/_sandbox/persons/merge/": {"POST": _by_count(changes.merge_persons, "Merge persons into others")},
    "/_sandbox/persons/update/": {"POST": _by_count(changes.update_persons, "Change properties of persons")},
    "/_sandbox/persons/delete/": {"POST": _by_count(changes.delete_persons, "Delete persons")},
    "/_sandbox/recordings/grow/": {"POST": _by_count(changes.grow_recordings, "More data for recordings")},
    "/_sandbox/recordings/delete/": {"POST": _by_count(changes.delete_recordings, "Delete recordings")},
    "/_sandbox/groups/update/": {"POST": _by_count(changes.update_groups, "Change groups, add one for every ten")},
    "/_sandbox/cohorts/recalculate/": {"POST": _by_count(changes.recalculate_cohorts, "Recalculate dynamic cohorts")},
    "/_sandbox/lists/": {"GET": lists, "POST": lists},
    "/_sandbox/lists/rows/": {"POST": list_rows},
    "/_sandbox/lists/change/": {"POST": change_list},
    "/_sandbox/sql/": {"POST": sql},
    "/_sandbox/clock/": {"GET": clock, "POST": advance_clock},
    "/_sandbox/requests/": {"GET": requests},
    "/_sandbox/counters/": {"GET": counters},
    "/_sandbox/counters/reset/": {"POST": reset_counters},
    "/_sandbox/behaviour/": {"GET": behaviour, "PATCH": set_behaviour},
    "/_sandbox/keys/": {"POST": keys},
    "/_sandbox/faults/": {"GET": faults, "POST": add_fault, "DELETE": clear_faults},
    "/_sandbox/shutdown/": {"POST": shutdown},
}


async def index(state: State, body: Body) -> object:
    """What can be done."""
    del state, body
    return {
        f"{method} {path.rstrip('/')}": (verb.__doc__ or "").partition("\n")[0]
        for path, verbs in VERBS.items()
        for method, verb in verbs.items()
    }


def _object(raw: bytes) -> Body:
    content = orjson.loads(raw) if raw else {}
    if not isinstance(content, dict):
        raise BadRequestError("The body must be a JSON object")
    return content


def routes(state: State) -> list[Route]:
    """The routes of the control API."""
    table: dict[str, Mapping[str, Verb]] = {"/_sandbox/": {"GET": index}, **VERBS}
    return [Route(path, _answer(state, verbs), methods=list(verbs)) for path, verbs in table.items()]


def _answer(state: State, verbs: Mapping[str, Verb]) -> Callable[[Request], Awaitable[Reply]]:
    async def answer(request: Request) -> Reply:
        raw = await request.body()
        try:
            method = "GET" if request.method == "HEAD" else request.method
            return reply(await verbs[method](state, _object(raw)))
        except (ValueError, TypeError, ClickHouseError) as error:
            return invalid(str(error), code="sandbox").response()
        except ApiError as error:
            return error.response()

    return answer
