"""The ASGI application: routes, and the edge around them that logs, rewrites prefixes and injects faults."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import format_datetime

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import (
    control,
    events,
    exports,
    faults,
    groups,
    person_reads,
    persons,
    projects,
    query,
    recordings,
    saved_insights,
    snapshots,
)
from .dispatch import METHODS, Action, endpoint
from .envelope import ApiError, Reply, not_found, reply
from .insights import legacy as legacy_insights
from .insights import legacy_persons
from .lists import endpoints
from .lists.registry import LISTINGS
from .state import State

_PROJECT = "/api/projects/{project_id}"

_ROUTES: dict[str, Mapping[str, Action]] = {
    "/api/projects/": projects.LISTING,
    "/api/users/{user_id}/": projects.ME,
    f"{_PROJECT}/": projects.RETRIEVE,
    f"{_PROJECT}/environments/": projects.ENVIRONMENTS,
    f"{_PROJECT}/query/": query.QUERY,
    f"{_PROJECT}/query/{{item}}/": query.ITEM,
    **{f"{_PROJECT}/insights/{path}": actions for path, actions in legacy_insights.ROUTES.items()},
    **{f"{_PROJECT}/persons/{path}": actions for path, actions in legacy_persons.ROUTES.items()},
    **{f"{_PROJECT}/persons/{path}": actions for path, actions in person_reads.ROUTES.items()},
    f"{_PROJECT}/exports/{{item}}/content/": exports.CONTENT,
    f"{_PROJECT}/groups/": groups.LISTING,
    f"{_PROJECT}/insights/my_last_viewed/": saved_insights.MY_LAST_VIEWED,
    "/api/organizations/{organization_id}/projects/": projects.OF_ORGANIZATION,
    f"{_PROJECT}/persons/": persons.LISTING,
    f"{_PROJECT}/persons/{{item}}/": persons.RETRIEVE,
    f"{_PROJECT}/events/": events.LISTING,
    f"{_PROJECT}/events/values/": events.VALUES,
    f"{_PROJECT}/events/{{item}}/": events.RETRIEVE,
    f"{_PROJECT}/session_recordings/": recordings.LISTING,
    f"{_PROJECT}/session_recordings/{{item}}/": recordings.RETRIEVE,
    f"{_PROJECT}/session_recordings/{{item}}/snapshots/": snapshots.SNAPSHOTS,
    f"{_PROJECT}/session_recordings/{{item}}/sharing/": snapshots.SHARING,
}

_ROUTES |= endpoints.routes(LISTINGS)
# What is more than the row itself.
_ROUTES[f"{_PROJECT}/insights/{{item}}/"] = saved_insights.ITEM

_ENVIRONMENTS = re.compile(r"^/api/environments(/.*)?$")

#: Announced for the old prefix (PR#72012); the exact form of Deprecation is not confirmed.
_DEPRECATION = ((b"deprecation", b"true"), (b"sunset", b"Fri, 31 Jul 2026 00:00:00 GMT"))


def create_app(state: State) -> ASGIApp:
    """The application for one sandbox."""
    # Fixed words come before what could be an item's name.
    paths = sorted(_ROUTES, key=lambda path: path.count("{"))
    routes = [Route(path, endpoint(_ROUTES[path]), methods=METHODS) for path in paths]
    routes += control.routes(state)
    routes += [Route("/_health", _health), Route("/", _index)]
    starlette = Starlette(
        routes=routes,
        exception_handlers={404: _unknown, 405: _unknown, ApiError: _refused, Exception: _failed},
    )
    # A missing slash is added by the edge, not answered with a redirect.
    starlette.router.redirect_slashes = False
    return Edge(state, starlette)


async def _health(request: Request) -> Response:
    del request
    return Response("ok", media_type="text/plain")


async def _index(request: Request) -> Response:
    base = str(request.base_url).rstrip("/")
    return reply({"name": "a local PostHog", "api": f"{base}/api/projects/", "control": f"{base}/_sandbox/"})


async def _unknown(request: Request, error: Exception) -> Response:
    del request, error
    return not_found("Endpoint not found.").response()


async def _refused(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, ApiError)  # noqa: S101 - Starlette types handlers by their widest exception
    return error.response()


async def _failed(request: Request, error: Exception) -> Response:
    # Starlette raises the error again after this answer, and uvicorn writes its trace to standard error.
    del request, error
    return ApiError(500, "server_error", "error", "A server error occurred.").response()


class Edge:
    """What a request passes first: the log, the path's spelling, and the faults."""

    def __init__(self, state: State, app: ASGIApp) -> None:
        self._state = state
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked: str = scope["path"]
        path = asked if asked.endswith("/") or not asked.startswith(("/api/", "/_sandbox")) else f"{asked}/"
        scope = {**scope, "path": path, "sandbox.path": asked, "sandbox.state": self._state}
        if path.startswith("/_sandbox/"):
            # The control API is never logged and never hit by faults.
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        entry = self._state.log.begin(scope["method"], path)
        scope["sandbox.entry"] = entry

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
                date = format_datetime(self._state.clock.now(), usegmt=True).encode()
                message = {**message, "headers": [*message["headers"], (b"date", date)]}
            await send(message)
            entry.ms = round((time.perf_counter() - started) * 1000, 3)

        query_string = scope["query_string"].decode("latin-1")
        fault = self._state.faults.pick(f"{path}?{query_string}" if query_string else path)
        outgoing: Send = noting
        if fault is not None:
            entry.fault = fault.kind
            if await faults.before(fault, scope, receive, noting):
                return
            outgoing = faults.FaultySend(fault, scope, receive, noting)
        await self._route(scope, receive, outgoing)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        old_prefix = _ENVIRONMENTS.match(scope["path"])
        if old_prefix is None:
            await self._app(scope, receive, send)
            return
        new_path = "/api/projects" + (old_prefix[1] or "/")
        mode = self._state.behaviour.environments_prefix
        if mode == "missing":
            await not_found("Endpoint not found.").response()(scope, receive, send)
        elif mode == "redirect":
            query_string = scope["query_string"].decode("latin-1")
            location = f"{new_path}?{query_string}" if query_string else new_path
            await Reply([b""], status=307, headers={"Location": location})(scope, receive, send)
        else:
            link = f'<{new_path}>; rel="successor-version"'.encode("latin-1")

            async def deprecated(message: Message) -> None:
                if message["type"] == "http.response.start":
                    message = {**message, "headers": [*message["headers"], *_DEPRECATION, (b"link", link)]}
                await send(message)

            await self._app({**scope, "path": new_path}, receive, deprecated)
