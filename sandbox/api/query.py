"""``/api/projects/:id/query/``: run, poll and cancel HogQL queries.

Sources: posthog/api/query.py and posthog/hogql_queries/query_runner.py, autumn 2026.
"""

from __future__ import annotations

import asyncio

from . import query_metadata, query_request, query_run
from .dispatch import Action, Call
from .envelope import ApiError, Reply, dumps, not_found, reply
from .query_answer import Answer
from .query_jobs import Job
from .query_request import QueryRequest
from .query_run import Plan
from .state import State

_BACKGROUND = frozenset({"async", "lazy_async", "force_async"})


async def create(call: Call) -> Reply:
    """POST /query/ and /query/<Kind>/: the answer, or 202 with a status to poll."""
    state = call.state
    if query_metadata.is_asked(call.json()):
        return await query_metadata.answer(call)
    request = query_request.parse(call.json(), state.behaviour, path_kind=call.params.get("item"))
    call.entry.kind = request.kind
    call.entry.query = request.text[:4000]
    plan = query_run.plan(state, request, background=request.refresh in _BACKGROUND)
    cached = None if request.forced else state.cache.get(plan.cache_key)
    if cached is not None and state.cache.age(cached) < _stale_after(state, request):
        return _answered(call, request, cached, is_cached=True)
    background = request.refresh in _BACKGROUND or (
        request.refresh == "async_except_on_cache_miss" and cached is not None
    )
    if background:
        return _in_background(call, plan, cached)
    answer = await _calculate(call, plan)
    return _answered(call, request, answer, is_cached=False)


def _stale_after(state: State, request: QueryRequest) -> float:
    if request.refresh == "lazy_async":
        return state.behaviour.cache_lazy_stale_seconds
    return state.behaviour.cache_stale_seconds


def _answered(call: Call, request: QueryRequest, answer: Answer, *, is_cached: bool) -> Reply:
    parts = answer.parts(
        is_cached=is_cached,
        stale_after=_stale_after(call.state, request),
        offset_spelling=call.state.behaviour.cached_offset_spelling,
    )
    return Reply(parts, headers=_cost(call.state, 0 if is_cached else answer.bytes_read))


def _cost(state: State, bytes_read: int) -> dict[str, str]:
    if not state.behaviour.query_cost_headers:
        return {}
    return {
        "X-PostHog-Query-Bytes-Read": str(bytes_read),
        "X-PostHog-Query-Budget-Remaining-Bytes": str(state.budget.left(state.behaviour)),
    }


async def _calculate(call: Call, plan: Plan) -> Answer:
    """Run the query in one of the project's slots, and remember what it gave and cost."""
    state = call.state
    state.budget.check(state.behaviour)
    await state.slots.take(state.behaviour, state.project.id)
    try:
        answer = await state.in_thread(query_run.run, state, plan)
    finally:
        await state.slots.give_back()
    _account(call, answer)
    return answer


def _account(call: Call, answer: Answer) -> int:
    state = call.state
    state.cache.put(answer)
    state.log.executed(call.entry, rows=answer.rows, rows_read=answer.rows_read, bytes_read=answer.bytes_read)
    return state.budget.spend(state.behaviour, answer.bytes_read)


def _in_background(call: Call, plan: Plan, cached: Answer | None) -> Reply:
    state, request = call.state, plan.request
    job = state.jobs.get(request.query_id) if request.named_by_client and not request.forced else None
    if job is None:
        state.budget.check(state.behaviour)
        job = state.jobs.start(
            request.query_id, state.project.id, plan.cache_key, state.behaviour.query_status_ttl_seconds
        )
        job.task = asyncio.create_task(_work(call, plan, job))
    elif job.complete:
        return _status(state, job, progress=False)
    status = {**job.status(state.clock.now()), "results": None}
    if cached is None:
        return reply({"query_status": status}, status=202)
    # The old answer is given at once, and a new one is on its way.
    parts = cached.parts(is_cached=True, stale_after=_stale_after(state, request), query_status=status)
    return Reply(parts, status=202)


async def _work(call: Call, plan: Plan, job: Job) -> None:
    state = call.state
    ttl = state.behaviour.query_status_ttl_seconds
    answer: Answer | None = None
    error: ApiError | None = None
    await state.slots.take(state.behaviour, state.project.id, patient=True)
    try:
        job.pickup_time = state.clock.now()
        await asyncio.sleep(state.behaviour.async_delay_seconds)
        answer = await state.in_thread(query_run.run, state, plan)
        job.budget_left = _account(call, answer)
    except ApiError as failure:
        error = failure
    except Exception as failure:  # the client has to be told, and nobody awaits this task
        error = query_run.internal_error(failure)
        raise
    finally:
        await state.slots.give_back()
        state.jobs.finish(job, ttl, answer=answer, error=error)


def _status(state: State, job: Job, *, progress: bool) -> Reply:
    status = job.status(state.clock.now(), progress=progress)
    if job.answer is None:
        code = 202
        if job.error is not None:
            # An error that the user can act upon has a message; an internal surprise has none.
            code = 400 if status["error_message"] else 500
        return reply({"query_status": {**status, "results": None}}, status=code)
    answer = job.answer
    parts = [
        b'{"query_status":{"results":',
        *answer.parts(is_cached=False, stale_after=state.behaviour.cache_stale_seconds),
        b",",
        dumps(status)[1:],
        b"}",
    ]
    return Reply(parts, headers=_cost(state, answer.bytes_read))


async def poll(call: Call) -> Reply:
    """GET /query/:id/: 202 while it runs, 200 with the answer, 400 or 500 if it failed."""
    job = call.state.jobs.get(call.params["item"])
    if job is None:
        raise not_found(f"Query {call.params['item']} not found for team {call.project.id}")
    progress = call.arguments.get("show_progress", "").lower() in ("true", "1")
    return _status(call.state, job, progress=progress)


async def cancel(call: Call) -> Reply:
    """DELETE /query/:id/."""
    dequeue_only = call.arguments.get("dequeue_only", "").lower() in ("true", "1")
    return reply({"message": call.state.jobs.cancel(call.params["item"], dequeue_only=dequeue_only)})


_CREATE = Action(create, ("query:read",), throttle="query", secret_keys=True)

QUERY = {"POST": _CREATE}
ITEM = {
    "POST": _CREATE,
    "GET": Action(poll, ("query:read",), throttle="query", secret_keys=True),
    "DELETE": Action(cancel, ("query:read",), throttle="query", secret_keys=True),
}
