"""The client of the PostHog API: typed results, one tree of errors, limits kept, the key sent to one host only."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, TypeVar, overload
from urllib.parse import quote
from uuid import uuid4

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from sources.posthog import answers, errors
from sources.posthog.answers import Identity, Project, QueryAnswer, Usage
from sources.posthog.budget import Allowance, Budget
from sources.posthog.host import Host, resolve_host
from sources.posthog.http import memory
from sources.posthog.http.decoding import decode
from sources.posthog.http.diagnosis import query_status_failure
from sources.posthog.http.exchange import Counts, Exchange
from sources.posthog.http.retry import Retrier
from sources.posthog.http.wire import Reply, Wire
from sources.posthog.keys import ApiKey

T = TypeVar("T")

CURRENT_PROJECT = "@current"

# A decoded page is some 0.4 GB: one at a time in this process, whatever the number of clients and threads.
_decoding = threading.RLock()

_CACHE_TRIES = 3
_STOP_SECONDS = 5.0
_POLL_SECONDS = (0.5, 10.0)
_POLL_GROWTH = 1.5
# PostHog keeps the status of a long query for 20 minutes (older servers 10) and runs it for 10 (autumn 2026).
_LONG_SECONDS = 1200.0
_LARGE_BODY = 8_000_000  # decoded, it leaves enough free memory behind to give it back
_SMALL_BODY = 16_384  # a long query that still runs tells so in less; its result is worth reading only once


class PostHogClient:
    """One project of one PostHog, for all threads of a run.

    with PostHogClient(key, "eu") as client:
        client.query("select event, count() from events group by event limit 1000").rows

    `api_key`: any kind that PostHog takes. `host`: `us`, `eu` or an address. `project_id`: a number, or `@current`
    for the project that the key's owner looked at last. `timeout_seconds`: how long PostHog may be silent before an
    answer. `attempts`: how often a faulty exchange is tried in all, with random pauses that grow between
    `backoff_seconds`. `transport` is httpx's, for tests.

    Raises KeyMissing, KeyMalformed, HostUnusable and ProjectNotFound for settings that cannot be right. Every method
    that talks to PostHog raises `sources.posthog.errors`, of which Retryable and Waitable only inside: they are waited
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
        self._clock = self.budget.clock
        self._wire = Wire(self._key, self.host, timeout_seconds=timeout_seconds, clock=self._clock, transport=transport)
        self._counts = Counts()
        self._exchange = Exchange(self._wire, self.budget, self._key, self._counts)
        self._retrier = Retrier(
            self.budget,
            attempts=attempts,
            backoff_seconds=backoff_seconds,
            on_retry=lambda: self._counts.add(retries=1),
        )
        self._lock = threading.Lock()
        self._in_flight: set[str] = set()

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
        long: bool = False,
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
        long: bool = False,
        read: Callable[[QueryAnswer], T],
    ) -> T: ...

    def query(
        self,
        sql: str,
        *,
        modifiers: Mapping[str, Any] | None = None,
        values: Mapping[str, Any] | None = None,
        name: str | None = None,
        long: bool = False,
        read: Callable[[QueryAnswer], Any] | None = None,
    ) -> Any:
        """The answer to a HogQL query, never one from PostHog's cache; or what `read` makes of it.

        `read` runs while no other answer is decoded in this process, so turn large answers into something small in
        it. It may raise Retryable to have the query asked again. `values` fill `{name}` in the text, `name` shows up in
        PostHog's query log, `long` runs the query in the background (10 minutes instead of 10 to 60 s) and polls.

        Raises Narrow errors when the query asks for too much, QueryRefused, AnswerFromCache, and the general ones.
        """
        self._know_project()
        question: dict[str, Any] = {"kind": "HogQLQuery", "query": sql}
        if modifiers:
            question["modifiers"] = dict(modifiers)
        if values:
            question["values"] = dict(values)
        body: dict[str, Any] = {"query": question, "refresh": "force_async" if long else "force_blocking"}
        if name:
            body["name"] = name[:128]

        again = Retrying(
            retry=retry_if_exception_type(errors.AnswerFromCache), stop=stop_after_attempt(_CACHE_TRIES), reraise=True
        )
        result: Any = None
        for attempt in again:
            with attempt:
                if attempt.retry_state.attempt_number > 1:
                    # Caches go by the text, so another text is another question.
                    question["query"] = f"/* asked again {uuid4().hex} */ {sql}"
                result = self._retrier.call(lambda allowance: self._ask(body, allowance, read))
        return result

    def post_query(self, question: Mapping[str, Any]) -> Any:
        """The decoded answer to a query of any kind, a node of PostHog's query schema, as PostHog gives it."""
        self._know_project()
        query_id = str(uuid4())

        def once(allowance: Allowance) -> Any:
            body = {"query": dict(question), "refresh": "force_blocking", "client_query_id": query_id}
            with self._registered(query_id), self.budget.query():
                self._counts.add(queries=1)
                reply = self._exchange.send("POST", self._path("query"), allowance, json=body, is_query=True)
            with _decoding, self._exchange.redacting():
                return decode(reply.body.read(), reply.path)

        return self._retrier.call(once)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON of a REST list or item: `path` is relative to the project (`cohorts`), or begins with /api/."""
        return self._get_json(self._path(path), params)

    def get_url(self, next_url: str) -> Any:
        """The JSON at an address from an answer (`next`). Raises RedirectRefused for any host but the configured."""
        return self._get_json(self._wire.same_host(next_url), None)

    def get_bytes(self, path: str, params: Mapping[str, Any] | None = None) -> tuple[str, bytes]:
        """The content type and the bytes of a file at `path`, which is as for `get`."""

        def once(allowance: Allowance) -> tuple[str, bytes]:
            reply = self._exchange.send("GET", self._path(path), allowance, params=params, is_json=False)
            return reply.headers.get("content-type", ""), bytes(reply.body.take())

        return self._retrier.call(once)

    def project(self) -> Project:
        """The project; from then on `@current` stays this one. Needs the scope project:read."""
        path = self._path("")
        project = answers.project(self._get_json(path, None), path)
        self._project_id = str(project.id)
        self._ask_project = False
        return project

    def whoami(self) -> Identity:
        """Whose key it is. Needs the scope user:read."""
        path = "/api/users/@me/"
        return answers.identity(self._get_json(path, None), path)

    def cancel_all(self) -> None:
        """Stop everything, queries at PostHog too if it answers within seconds. Later calls raise Cancelled."""
        self.budget.cancel()
        deadline = self._clock() + _STOP_SECONDS
        with self._lock:
            running = sorted(self._in_flight)
        for query_id in running:
            self._stop(query_id, max(0.5, deadline - self._clock()))
        self._wire.interrupt()

    def _know_project(self) -> None:
        """PostHog compresses answers to queries only under a numeric project id (settings/web.py, autumn 2026)."""
        if self._ask_project:
            # Two threads may both ask, which does no harm; a key without project:read goes on with @current.
            with contextlib.suppress(errors.AccessDenied, errors.NotFound):
                self.project()
            self._ask_project = False

    def _path(self, path: str) -> str:
        if path.startswith("/api/"):
            return path if path.endswith("/") else f"{path}/"
        relative = path.strip("/")
        return f"/api/projects/{self._project_id}/" + (f"{quote(relative, safe='/@$:')}/" if relative else "")

    def _ask(self, body: dict[str, Any], allowance: Allowance, read: Callable[[QueryAnswer], Any] | None) -> Any:
        query_id = str(uuid4())
        started = self._clock()
        with self._registered(query_id), self.budget.query():
            self._counts.add(queries=1)
            first = self._exchange.send(
                "POST", self._path("query"), allowance, json={**body, "client_query_id": query_id}, is_query=True
            )
            last = self._poll(first, query_id, started)
        with _decoding, self._exchange.redacting():
            text = last.body.take()
            size = len(text)
            document = decode(text, last.path)
            del text
            answer = answers.query_answer(
                document,
                last.path,
                headers=last.headers,
                query_id=query_id,
                seconds=self._clock() - started,
                asked_at=first.asked_at,
            )
            del document
            self._counts.add(bytes_read=answer.bytes_read or 0)
            if answer.budget_remaining is not None:
                self.budget.note_bytes_remaining(answer.budget_remaining)
            if read is None:
                return answer
            result = read(answer)
            del answer
            if size > _LARGE_BODY:
                memory.give_back()
            return result

    def _poll(self, reply: Reply, query_id: str, started: float) -> Reply:
        """Follow a query that runs in the background to its result; any other reply is its own."""
        pause = _POLL_SECONDS[0]
        while _runs(reply):
            if self._clock() - started > _LONG_SECONDS:
                raise errors.QueryTimedOut(f"The query did not end within {_LONG_SECONDS:,.0f} s", path=reply.path)
            self.budget.sleep(pause)
            pause = min(pause * _POLL_GROWTH, _POLL_SECONDS[1])
            reply = self._retrier.call(
                lambda allowance: self._exchange.send(
                    "GET", self._path(f"query/{query_id}"), allowance, is_query=True, accept=_tells_of_query
                )
            )
            if reply.status == 404:
                raise errors.ServerFault("PostHog lost the running query", status=404, path=reply.path)
            if reply.status >= 400:
                raise self._exchange.error(reply, is_query=True)
        return reply

    def _get_json(self, url: str, params: Mapping[str, Any] | None) -> Any:
        def once(allowance: Allowance) -> Any:
            reply = self._exchange.send("GET", url, allowance, params=params)
            with self._exchange.redacting():
                return decode(reply.body.read(), reply.path)

        return self._retrier.call(once)

    @contextlib.contextmanager
    def _registered(self, query_id: str) -> Iterator[None]:
        """Let `cancel_all` know of a query. One left by Ctrl-C stays known, for it still runs at PostHog."""
        with self._lock:
            self._in_flight.add(query_id)
        try:
            yield
        except errors.QueryTimedOut as error:
            if error.status is None:
                self._stop(query_id, _STOP_SECONDS)  # we gave it up; PostHog has not, and it holds a place
            self._forget(query_id)
            raise
        except Exception as error:
            if not isinstance(error, errors.Cancelled):
                self._forget(query_id)
            raise
        self._forget(query_id)

    def _forget(self, query_id: str) -> None:
        with self._lock:
            self._in_flight.discard(query_id)

    def _stop(self, query_id: str, timeout_seconds: float) -> None:
        self._counts.add(requests=1)
        with contextlib.suppress(errors.PostHogError):
            self._wire.send("DELETE", self._path(f"query/{query_id}"), timeout_seconds=timeout_seconds)
        self._forget(query_id)


def _project_id(given: str | int) -> str:
    text = str(given).strip()
    if text == CURRENT_PROJECT or (text.isascii() and text.isdigit()):
        return text
    raise errors.ProjectNotFound(
        "The project id is not a number",
        meaning="PostHog knows a project by the number in its address (/project/12345), not by its name or token.",
    )


def _runs(reply: Reply) -> bool:
    if reply.status == 202:
        return True
    if len(reply.body) > _SMALL_BODY:
        return False
    document = decode(reply.body.read(), reply.path)
    status = document.get("query_status") or document if isinstance(document, dict) else {}
    return isinstance(status, dict) and status.get("complete") is False


def _tells_of_query(reply: Reply) -> bool:
    """Whether a refusal is about the query and not about the asking: the same poll would get it again."""
    if reply.status == 404:
        return True
    if reply.status not in {400, 500}:
        return False
    try:
        document = decode(reply.body.read(), reply.path)
    except errors.Retryable:
        return False
    return isinstance(document, dict) and query_status_failure(document, reply.path) is not None
