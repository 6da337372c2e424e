"""Runs one HogQL query: compile, execute, and frame the answer. Called in worker threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from posthog_warehouse.sandbox.behaviour import Behaviour
from posthog_warehouse.sandbox.hogql import CompiledQuery, HogQLContext, HogQLError, compile_query
from posthog_warehouse.sandbox.store import ClickHouseError, Selection

from . import bare_nan, query_errors
from .envelope import ApiError, invalid
from .insights import run as insight
from .query_answer import Answer, drop_last_row
from .query_cache import cache_key
from .query_request import QueryRequest
from .state import State

#: Rows for ``limit_context: posthog_ai``.
POSTHOG_AI_ROWS = 500


@dataclass(frozen=True)
class Plan:
    """A query that may run: which limits of time hold, and what it is cached under."""

    request: QueryRequest
    modifiers: Mapping[str, Any]
    cache_key: str
    seconds: float


def plan(state: State, request: QueryRequest, *, background: bool) -> Plan:
    """What running this request means on this server."""
    behaviour = state.behaviour
    modifiers = {
        "personsOnEventsMode": behaviour.default_persons_on_events_mode,
        **({} if behaviour.old_response_shape else {"convertToProjectTimezone": True}),
        **request.modifiers,
    }
    key = cache_key(
        state.project.id,
        {
            "query": request.text,
            "values": request.values,
            "variables": request.variables,
            "filters": request.filters,
            "modifiers": modifiers,
            "timezone": behaviour.project_timezone,
            "limit_context": "posthog_ai" if request.posthog_ai else "query",
        },
    )
    seconds = behaviour.async_query_seconds if background else behaviour.query_seconds
    return Plan(request, modifiers, key, seconds)


def run(state: State, job: Plan) -> Answer:
    """Calculate the answer.

    Raises:
        ApiError: the query is wrong, a limit stopped it, or a known failure is replayed.
    """
    behaviour = state.behaviour
    state.breaker.check(behaviour, job.cache_key)
    if job.request.node is not None:
        return insight.run(
            state, job.request.node, modifiers=job.modifiers, seconds=job.seconds, cache_key=job.cache_key
        )
    compiled = _compile(state, job)
    settings: dict[str, object] = {"max_execution_time": job.seconds}
    if behaviour.max_bytes_to_read is not None:
        settings["max_bytes_to_read"] = behaviour.max_bytes_to_read
    if behaviour.max_memory_usage is not None:
        settings["max_memory_usage"] = behaviour.max_memory_usage
    try:
        sql = bare_nan.mark(state.store, compiled.sql) if behaviour.bare_nan else compiled.sql
        selection = state.store.select(sql, settings=settings, milliseconds_only=behaviour.milliseconds_only)
    except ClickHouseError as error:
        envelope = query_errors.from_clickhouse(error, behaviour)
        if error.name in query_errors.DETERMINISTIC:
            state.breaker.failed(behaviour, job.cache_key, envelope)
        raise envelope from error
    state.breaker.succeeded(job.cache_key)
    data, rows = selection.data, selection.rows
    if behaviour.bare_nan:
        data = bare_nan.reveal(data)
    has_more = None
    if compiled.default_limit_applied and compiled.limit is not None:
        # Without LIMIT in the query the server reads one row more than it shows, to know if there are more.
        has_more = rows > compiled.limit
        if has_more:
            data, rows = drop_last_row(data), compiled.limit
    return Answer(
        data=data,
        fields=_fields(behaviour, job, compiled, selection, has_more=has_more),
        rows=rows,
        rows_read=selection.rows_read,
        bytes_read=selection.bytes_read,
        calculated_at=state.clock.now(),
        cache_key=job.cache_key,
    )


def _compile(state: State, job: Plan) -> CompiledQuery:
    request = job.request
    behaviour = state.behaviour
    if request.posthog_ai:
        behaviour = replace(behaviour, max_rows=min(behaviour.max_rows, POSTHOG_AI_ROWS))
    context = HogQLContext(
        team_id=state.project.id,
        timezone=state.behaviour.project_timezone,
        modifiers=job.modifiers,
        now=state.clock.now(),
        personal_api_key=True,
        behaviour=behaviour,
        values=request.values,
        variables=request.variables,
        filters=request.filters,
    )
    try:
        return compile_query(request.text, context)
    except HogQLError as error:
        raise invalid(error.detail, code=error.code) from error


def _fields(
    behaviour: Behaviour,
    job: Plan,
    compiled: CompiledQuery,
    selection: Selection,
    *,
    has_more: bool | None,
) -> dict[str, Any]:
    elapsed = selection.elapsed
    types = [type_ for _, type_ in selection.meta]
    fields: dict[str, Any] = {
        "columns": list(compiled.columns),
        "types": [[name, type_] for name, type_ in zip(compiled.columns, types, strict=True)],
        "hogql": compiled.hogql,
        "clickhouse": compiled.sql,
        "query": job.request.text,
        "error": None,
        "timings": [{"k": "./clickhouse_execute", "t": elapsed}, {"k": ".", "t": elapsed}],
        "modifiers": dict(job.modifiers),
        "explain": None,
        "metadata": None,
        "limit": compiled.limit,
        "offset": compiled.offset,
        "hasMore": has_more,
        "timezone": behaviour.project_timezone,
    }
    if not behaviour.old_response_shape:
        fields |= dict.fromkeys(("query_status", "calculation_trigger", "query_metadata", "warnings"))
    return fields


def internal_error(error: Exception) -> ApiError:
    """What a client sees of a fault of this server's own."""
    return ApiError(500, "server_error", "error", f"A server error occurred: {type(error).__name__}.")
