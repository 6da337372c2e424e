"""From an HTTP request to an action: key, project, scope, throttle, method, and gzip on the way out."""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request

from . import auth
from .auth import Key, Project
from .envelope import ApiError, Reply, invalid, not_found, parse_error, payment_required, permission_denied
from .request_log import Entry
from .state import State

#: Largest request body (posthog/settings/web.py, autumn 2026).
MAX_BODY_BYTES = 20 * 1024 * 1024

#: Django compresses nothing shorter.
GZIP_FROM_BYTES = 200

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

#: Answers that PostHog compresses (GZIP_* lists in posthog/settings/web.py, autumn 2026). The query endpoint
#: is there with digits only, so ``@current`` and ``/query/<Kind>/`` are never compressed.
_GZIPPED = tuple(
    re.compile(pattern)
    for pattern in (
        r"^/api/(environments|projects)/\d+/query/?$",
        r"^/api/(environments|projects)/[^/]+/session_recordings(/.*)?$",
        r"^/api/(environments|projects)/[^/]+/persons/?$",
        r"^/api/(environments|projects)/[^/]+/(event_definitions|insights|dashboards|actions|cohorts)/?$",
        r"^/api/(environments|projects)/[^/]+/exports/\d+/content/?$",
    )
)


#: What stands before the name of an endpoint.
_ABOVE_ENDPOINT = re.compile(r"^/api/(projects/[^/]+/(?=.))?")


@dataclass
class Call:
    """A request that passed all checks.

    ``path`` is what the client asked for, ``base_url`` scheme and host as the client named them.
    """

    state: State
    request: Request
    path: str
    base_url: str
    params: Mapping[str, str]
    key: Key
    project: Project
    raw_body: bytes
    entry: Entry

    @property
    def arguments(self) -> Mapping[str, str]:
        """The query string; of a repeated name the last value counts, as in Django."""
        return dict(self.request.query_params.multi_items())

    def json(self) -> object:
        """The body.

        Raises:
            ApiError: 400 ``parse_error``.
        """
        return parse_json(self.raw_body)

    def url(self, changes: Mapping[str, object]) -> str:
        """This request's absolute URL with other arguments; None takes an argument out."""
        url = self.request.url.include_query_params(
            **{name: str(value) for name, value in changes.items() if value is not None}
        ).remove_query_params([name for name, value in changes.items() if value is None])
        query = f"?{url.query}" if url.query else ""
        return f"{self.base_url}{self.request.scope['path']}{query}"


Handler = Callable[[Call], Awaitable[Reply]]


@dataclass(frozen=True)
class Action:
    """One method of one endpoint.

    Attributes:
        handler: what answers.
        scopes: the scopes a key needs.
        throttle: the class of limits that counts it.
        secret_keys: project secret keys (``phs_``) may use it.
        any_url: keys limited to projects may use it although it has no project in its URL.
    """

    handler: Handler
    scopes: Sequence[str]
    throttle: str = "crud"
    secret_keys: bool = False
    any_url: bool = False


def endpoint(actions: Mapping[str, Action]) -> Callable[[Request], Awaitable[Reply]]:
    """An endpoint from its actions by method."""

    async def answer(request: Request) -> Reply:
        state: State = request.scope["sandbox.state"]
        entry: Entry = request.scope["sandbox.entry"]
        try:
            call, action = await _admit(state, entry, request, actions)
            response = await action.handler(call)
        except ApiError as error:
            response = error.response()
        await _compress(state, request, response)
        return response

    return answer


async def _admit(state: State, entry: Entry, request: Request, actions: Mapping[str, Action]) -> tuple[Call, Action]:
    if _among(state.behaviour.missing_endpoints, request):
        raise not_found("Endpoint not found.")
    if _among(state.behaviour.endpoints_taken_for_ids, request):
        raise invalid("The ID provided does not look like a personID, distinct_id or UUID", code="invalid")
    raw_body = await request.body()
    if len(raw_body) > MAX_BODY_BYTES:
        raise ApiError(413, "invalid_request", "request_too_large", "Request body is larger than 20 MB.")
    base_url = f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"
    body = None if "authorization" in request.headers else parse_json(raw_body) if raw_body else None
    key = auth.authenticate(state.keys, request.headers, body, request.url.query, base_url)
    entry.key_hint = key.hint
    reference = request.path_params.get("project_id")
    project = None if reference is None else auth.find_project(state.project, reference, request.query_params)
    # HEAD is answered as GET without its body, as everywhere on the web.
    action = actions.get("GET" if request.method == "HEAD" else request.method)
    if action is None:
        raise ApiError(405, "invalid_request", "method_not_allowed", f'Method "{request.method}" not allowed.')
    if key.kind == "phs" and not (action.secret_keys and state.behaviour.project_secret_keys):
        raise permission_denied("This action does not support project secret API key access")
    closed = state.behaviour.closed_actions
    auth.check_scopes(key, action.scopes, project=project, any_url=action.any_url, closed=closed)
    if _among(state.behaviour.closed_endpoints, request):
        raise permission_denied("This action does not support Personal API Key access")
    if _among(state.behaviour.forbidden_endpoints, request):
        raise permission_denied("You do not have viewer access to this resource.")
    if _among(state.behaviour.unpaid_endpoints, request):
        raise payment_required()
    state.throttle.check(state.behaviour, action.throttle, key.value)
    call = Call(
        state=state,
        request=request,
        path=request.scope["sandbox.path"],
        base_url=base_url,
        params=request.path_params,
        key=key,
        project=project or state.project,
        raw_body=raw_body,
        entry=entry,
    )
    return call, action


def _among(endpoints: frozenset[str], request: Request) -> bool:
    """Whether the request asks one of these endpoints or what lies below it."""
    path = _ABOVE_ENDPOINT.sub("", request.scope["path"]).strip("/")
    return any(f"{path}/".startswith(f"{endpoint.strip('/')}/") for endpoint in endpoints)


def parse_json(raw: bytes) -> object:
    """A JSON body; an empty one is an empty object.

    Raises:
        ApiError: 400 ``parse_error``.
    """
    if not raw.strip():
        return {}
    try:
        content: object = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise parse_error(f"JSON parse error - {error}") from None
    return content


async def _compress(state: State, request: Request, response: Reply) -> None:
    path = request.scope["sandbox.path"]
    if (
        not state.behaviour.gzip
        or response.length < GZIP_FROM_BYTES
        or not re.search(r"\bgzip\b", request.headers.get("accept-encoding", ""))
        or not any(pattern.match(path) for pattern in _GZIPPED)
    ):
        return
    body = await state.in_thread(_gzip, response.parts)
    response.replace_body(body, encoding="gzip")


def _gzip(parts: Sequence[bytes]) -> bytes:
    # 16 on top of the window size asks zlib for a gzip header.
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    packed = [packer.compress(part) for part in parts]
    packed.append(packer.flush())
    return b"".join(packed)


def integer(arguments: Mapping[str, Any], name: str, default: int) -> int:
    """A whole number of 0 or more from the query string; anything else is the default, as at PostHog."""
    try:
        value = int(arguments.get(name, default))
    except ValueError:
        return default
    return value if value >= 0 else default
