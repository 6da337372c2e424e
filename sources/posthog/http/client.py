"""The client of the PostHog API: typed results, one tree of errors, limits kept, the key sent to one host only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar, overload
from urllib.parse import quote

import httpx

from .. import errors
from . import answers
from .answers import Identity, Project, QueryAnswer, Usage
from .auth.api_key import ApiKey
from .host import Host, resolve_host
from .query_runner import QueryRunner, hogql_question, node_question
from .rate_limiter import Budget
from .response_body import decode
from .retry import Retrier
from .transport import Counts, Exchange, Wire

T = TypeVar("T")

CURRENT_PROJECT = "@current"

_STOP_SECONDS = 5.0


class PostHogClient:
    """One project of one PostHog, for all threads of a run.

    with PostHogClient(key, "eu") as client:
        client.query("select event, count() from events group by event limit 1000").rows

    `api_key`: any kind that PostHog takes. `host`: `us`, `eu` or an address. `project_id`: a number, or `@current`
    for the project that the key's owner looked at last. `timeout_seconds`: how long PostHog may be silent before an
    answer. `attempts`: how often a faulty exchange is tried in all, with random pauses that grow between
    `backoff_seconds`. `transport` is httpx's, for tests.

    Raises KeyMissing, KeyMalformed, HostUnusable and ProjectNotFound for settings that cannot be right. Every method
    that talks to PostHog raises `posthog.errors`, of which Retryable and Waitable only inside: they are waited
    out, and end as Unreachable or WaitTooLong.
    """

    def __init__(
        self,
        api_key: str | ApiKey,
        host: str | Host = "us",
        project_id: str | int = CURRENT_PROJECT,
        *,
        allow_http: bool = False,
        budget: Budget | None = None,
        timeout_seconds: float = 310.0,
        attempts: int = 6,
        backoff_seconds: tuple[float, float] = (1.0, 60.0),
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._key = api_key if isinstance(api_key, ApiKey) else ApiKey(api_key)
        self.host = host if isinstance(host, Host) else resolve_host(host, allow_http=allow_http)
        self._project_id = _project_id(project_id)
        self._ask_project = self._project_id == CURRENT_PROJECT
        self.budget = budget or Budget()
        clock = self.budget.clock
        self._wire = Wire(self._key, self.host, timeout_seconds=timeout_seconds, clock=clock, transport=transport)
        self._counts = Counts()
        self._exchange = Exchange(self._wire, self.budget, self._key, self._counts)
        self._retrier = Retrier(
            self.budget,
            attempts=attempts,
            backoff_seconds=backoff_seconds,
            on_retry=lambda: self._counts.add(retries=1),
        )
        self._queries = QueryRunner(
            wire=self._wire,
            exchange=self._exchange,
            retrier=self._retrier,
            budget=self.budget,
            counts=self._counts,
            path=lambda: self._path("query"),
        )

    def __repr__(self) -> str:
        return f"PostHogClient({self.host.url!r}, project_id={self.project_id!r})"

    def __enter__(self) -> PostHogClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections. Queries still running at PostHog go on: `cancel_all` stops them."""
        self._wire.close()

    @property
    def project_id(self) -> str:
        """The project's number as text, or `@current` as long as `project()` was not asked."""
        return self._project_id

    @property
    def usage(self) -> Usage:
        """What was used so far, by this client; waits are those of its budget."""
        return Usage(
            **self._counts.taken(),
            waited_seconds=self.budget.waited_seconds,
            budget_remaining=self.budget.bytes_remaining,
        )

    @property
    def refused_fields(self) -> frozenset[str]:
        """The fields of a query's body that this server does not take as they are (`http.query_body`)."""
        return self._queries.body.refused

    def refuse_fields(self, fields: Iterable[str]) -> None:
        """Has these fields sent in their other form, or left out, from the first query on."""
        self._queries.body.refuse(fields)

    def server_time(self) -> datetime | None:
        """PostHog's time now (UTC, up to a second behind), by its last answer; None before any."""
        return self._wire.server_time()

    @overload
    def query(
        self,
        sql: str,
        *,
        modifiers: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        name: str | None = None,
        long: bool | type[errors.Narrow] = False,
        read: None = None,
    ) -> QueryAnswer: ...

    @overload
    def query(
        self,
        sql: str,
        *,
        modifiers: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        name: str | None = None,
        long: bool | type[errors.Narrow] = False,
        read: Callable[[QueryAnswer], T],
    ) -> T: ...

    def query(
        self,
        sql: str,
        *,
        modifiers: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        name: str | None = None,
        long: bool | type[errors.Narrow] = False,
        read: Callable[[QueryAnswer], Any] | None = None,
    ) -> Any:
        """The answer to a HogQL query, never one from PostHog's cache; or what `read` makes of it.

        `read` runs while no other answer is decoded in this process, so turn large answers into something small in
        it. It may raise Retryable to have the query asked again. `values` fill `{name}` in the text, `name` shows up in
        PostHog's query log, `long` runs the query in the background (10 minutes instead of 10 to 60 s) and polls; a
        class of errors has it asked so only once it has failed of one of these.

        Raises Narrow errors when the query asks for too much, QueryRefused, AnswerFromCache, and the general ones.
        """
        self._know_project()
        return self._queries.ask(hogql_question(sql, modifiers, values, name, read), long=long)

    def query_node(self, node: Mapping[str, Any], *, long: bool | type[errors.Narrow] = False) -> dict[str, Any]:
        """PostHog's whole answer to a query of any kind (`{"kind": "TrendsQuery", ...}`), never one from its cache.

        Asks, waits and raises as `query`.
        """
        self._know_project()
        answer: dict[str, Any] = self._queries.ask(node_question(node), long=long)
        return answer

    def get(self, path: str, params: Mapping[str, Any] | None = None, *, exact: bool = False) -> Any:
        """The JSON of a REST list or item: `path` is relative to the project (`cohorts`), or begins with /api/.

        `exact`: whole numbers of more than 64 bits stay what they are, which not every writer of JSON takes; else they
        are floats.
        """
        return self._get_json(self._path(path), params, exact=exact)

    def get_url(self, next_url: str, *, exact: bool = False) -> Any:
        """The JSON at an address from an answer (`next`). Raises RedirectRefused for any host but the configured."""
        return self._get_json(self._wire.same_host(next_url), None, exact=exact)

    def get_bytes(self, path: str, params: Mapping[str, Any] | None = None) -> tuple[str, bytes]:
        """The content type and the bytes of a file at `path`, which is as for `get`."""
        allowance = self.budget.allowance()
        for attempt in self._retrier.attempts(allowance):
            with attempt:
                reply = self._exchange.send("GET", self._path(path), allowance, params=params, is_json=False)
                found = reply.headers.get("content-type", ""), bytes(reply.body.take())
        return found

    def project(self) -> Project:
        """The project; from then on `@current` stays this one. Needs the scope project:read."""
        path = self._path("")
        project = answers.project(self._get_json(path, None), path)
        self._project_id = str(project.id)
        self._ask_project = False
        return project

    def project_number(self) -> int | None:
        """The number of the project, for a key without project:read; from then on `@current` stays this one.

        PostHog tells it with the status of queries. None: the key may ask no queries either. Then nobody knows which
        project is read: `@current` is the one that the key's owner looked at last.
        """
        if not self._project_id.isdigit():
            with contextlib.suppress(errors.AccessDenied, errors.NotFound, errors.RequestRefused):
                number = self._queries.project_number()
                if number is not None:
                    self._project_id = str(number)
                    self._ask_project = False
        return int(self._project_id) if self._project_id.isdigit() else None

    def whoami(self) -> Identity:
        """Whose key it is. Needs the scope user:read."""
        path = "/api/users/@me/"
        return answers.identity(self._get_json(path, None), path)

    def cancel_all(self) -> None:
        """Stop everything, queries at PostHog too if it answers within seconds. Later calls raise Cancelled."""
        self.budget.cancel()
        self._queries.cancel(_STOP_SECONDS)
        self._wire.interrupt()

    def _know_project(self) -> None:
        """PostHog compresses answers to queries only under a numeric project id (settings/web.py, autumn 2026)."""
        if self._ask_project:
            # Two threads may both ask, which does no harm; a key without project:read goes on with @current.
            with contextlib.suppress(errors.AccessDenied, errors.NotFound, errors.ProjectNotFound):
                self.project()
            self._ask_project = False

    def _path(self, path: str) -> str:
        if path.startswith("/api/"):
            return path if path.endswith("/") else f"{path}/"
        relative = path.strip("/")
        return f"/api/projects/{self._project_id}/" + (f"{quote(relative, safe='/@$:')}/" if relative else "")

    def _get_json(self, url: str, params: Mapping[str, Any] | None, *, exact: bool = False) -> Any:
        allowance = self.budget.allowance()
        for attempt in self._retrier.attempts(allowance):
            with attempt:
                reply = self._exchange.send("GET", url, allowance, params=params)
                with self._exchange.redacting():
                    document = decode(reply.body.read(), reply.path, exact=exact)
        return document


def _project_id(given: str | int) -> str:
    text = str(given).strip()
    if text == CURRENT_PROJECT or (text.isascii() and text.isdigit()):
        return text
    raise errors.ProjectNotFound(
        "The project id is not a number",
        meaning="PostHog knows a project by the number in its address (/project/12345), not by its name or token.",
    )
