"""Queries: asked within the budget, followed where they run in the background, read one at a time, and cancelled.

The body of a query is made as the server at hand takes it.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from uuid import uuid4

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt

from sources.posthog import errors
from sources.posthog.errors import RequestRefused
from sources.posthog.http import answers, memory
from sources.posthog.http.answers import Cost, QueryAnswer
from sources.posthog.http.error_mapping import query_status_failure
from sources.posthog.http.rate_limiter import Allowance, Budget
from sources.posthog.http.response_body import decode, decode_rows
from sources.posthog.http.retry import Retrier
from sources.posthog.http.transport import Counts, Exchange, Reply, Wire

Body = dict[str, Any]

_BLOCKING, _IN_BACKGROUND = "force_blocking", "force_async"
"""PostHog's words for a query that is answered at once, and for one that is followed; never from its cache."""


def _without(name: str) -> Callable[[Body], Body]:
    return lambda body: {field: value for field, value in body.items() if field != name}


def _flags(body: Body) -> Body:
    """`refresh` and `async` as booleans: servers of 2023 take no words for `refresh`."""
    is_long = body.get("refresh") == _IN_BACKGROUND
    return {**body, "refresh": True, **({"async": True} if is_long else {})}


FALLBACKS: Mapping[str, Callable[[Body], Body]] = {
    # The query's name in PostHog's query log. Refused by its server code of 4 August 2025.
    "name": _without("name"),
    # The id by which a running query can be cancelled.
    "client_query_id": _without("client_query_id"),
    # Words since 2024; servers since 2025 refuse the flags instead.
    "refresh": _flags,
}

# As pydantic words it: `1 validation error for QueryRequest name Extra inputs are not permitted`. A dot before the
# name would make it a field of something inside.
_REFUSED = re.compile(
    rf"(?<![\w.])({'|'.join(FALLBACKS)}) (?:extra (?:inputs|fields) (?:are )?not permitted|input should be|value )",
    re.IGNORECASE,
)


class QueryBody:
    """Which fields this server refuses, and bodies without them. Safe to use from several threads."""

    def __init__(self) -> None:
        self._refused: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    @property
    def refused(self) -> frozenset[str]:
        """The fields of which the server takes another form, or none."""
        return self._refused

    def refuse(self, fields: Iterable[str]) -> None:
        """Sends these fields in their other form from now on; names that are not in `FALLBACKS` mean nothing."""
        with self._lock:
            self._refused |= FALLBACKS.keys() & set(fields)

    def fitting(self, body: Body) -> tuple[Body, frozenset[str]]:
        """`body` as the server takes it, and the fields that were known to be refused when it was made."""
        known = self._refused
        for name in sorted(known & body.keys()):
            body = FALLBACKS[name](body)
        return body, known

    def learn(self, error: RequestRefused, known: frozenset[str]) -> bool:
        """Whether `error` is about fields that were sent (all but `known`) and can be sent otherwise."""
        named = {name.lower() for name in _REFUSED.findall(error.message)} - known
        self.refuse(named)
        return bool(named)


_CACHE_TRIES = 3
_STOP_SECONDS = 5.0
_POLL_SECONDS = (0.5, 10.0)
_POLL_GROWTH = 1.5
# PostHog keeps the status of a long query for 20 minutes (older servers 10) and runs it for 10 (autumn 2026).
_LONG_SECONDS = 1200.0
_LARGE_BODY = 8_000_000  # decoded, it leaves enough free memory behind to give it back
_SMALL_BODY = 16_384  # a long query that still runs tells so in less; its result is worth reading only once

_Decode = Callable[["bytes | bytearray", str], Any]
_Make = Callable[[dict[str, Any], Cost, str, str, float], Any]
"""Makes something of a checked answer: the document, its cost, the path, the query's id, seconds since it was asked."""


class QueryRunner:
    """Asks queries for all threads of a client. `path` gives the address of the query endpoint."""

    def __init__(
        self,
        *,
        wire: Wire,
        exchange: Exchange,
        retrier: Retrier,
        budget: Budget,
        counts: Counts,
        path: Callable[[], str],
    ) -> None:
        self._wire = wire
        self._exchange = exchange
        self._retrier = retrier
        self._budget = budget
        self._clock = budget.clock
        self._counts = counts
        self._path = path
        self.body = QueryBody()
        self._lock = threading.Lock()
        self._in_flight: set[str] = set()

    def hogql(
        self,
        sql: str,
        *,
        modifiers: Mapping[str, Any] | None,
        values: Mapping[str, Any] | None,
        name: str | None,
        long: bool | type[errors.Narrow],
        read: Callable[[QueryAnswer], Any] | None,
    ) -> Any:
        """The answer to a HogQL query, or what `read` makes of it: see `PostHogClient.query`."""
        question: dict[str, Any] = {"kind": "HogQLQuery", "query": sql}
        if modifiers:
            question["modifiers"] = dict(modifiers)
        if values:
            question["values"] = dict(values)
        body: dict[str, Any] = {"query": question}
        if name:
            body["name"] = name[:128]

        def make(document: dict[str, Any], cost: Cost, path: str, query_id: str, seconds: float) -> Any:
            answer = answers.query_answer(document, cost, path, query_id=query_id, seconds=seconds)
            document.clear()
            return answer if read is None else read(answer)

        def reword() -> None:
            # Caches go by the text, so another text is another question.
            question["query"] = f"/* asked again {uuid4().hex} */ {sql}"

        return self._in_time(body, decode_rows, make, reword, long=long)

    def node(self, node: Mapping[str, Any], *, long: bool | type[errors.Narrow]) -> dict[str, Any]:
        """PostHog's whole answer to a query of any kind: see `PostHogClient.query_node`."""
        answer: dict[str, Any] = self._in_time(
            {"query": dict(node)}, decode, lambda document, *_: document, lambda: None, long=long
        )
        return answer

    def cancel(self, seconds: float) -> None:
        """Stop all queries at PostHog, as far as it answers within `seconds`."""
        deadline = self._clock() + seconds
        with self._lock:
            running = sorted(self._in_flight)
        for query_id in running:
            self._stop(query_id, max(0.5, deadline - self._clock()))

    def _in_time(self, body: dict[str, Any], *how: Any, long: bool | type[errors.Narrow]) -> Any:
        """Ask in the time of a short query, or in that of a long one: at once, or after an error of this class."""
        if not isinstance(long, bool):
            try:
                return self._uncached({**body, "refresh": _BLOCKING}, *how)
            except long:
                long = True
        return self._uncached({**body, "refresh": _IN_BACKGROUND if long else _BLOCKING}, *how)

    def _uncached(self, body: dict[str, Any], decoding: _Decode, make: _Make, reword: Callable[[], None]) -> Any:
        """Ask until the answer is none from a cache, three times at most."""
        again = Retrying(
            retry=retry_if_exception_type(errors.AnswerFromCache), stop=stop_after_attempt(_CACHE_TRIES), reraise=True
        )
        result: Any = None
        for attempt in again:
            with attempt:
                if attempt.retry_state.attempt_number > 1:
                    reword()
                result = self._retrier.call(lambda allowance: self._ask(body, allowance, decoding, make))
        return result

    def _ask(self, body: dict[str, Any], allowance: Allowance, decoding: _Decode, make: _Make) -> Any:
        query_id = str(uuid4())
        started = self._clock()
        with self._registered(query_id), self._budget.query():
            self._counts.add(queries=1)
            first = self._post({**body, "client_query_id": query_id}, allowance)
            last = self._poll(first, query_id, started)
        with memory.one_page, memory.without_collector(), self._exchange.redacting():
            text = last.body.take()
            size = len(text)
            decoded = decoding(text, last.path)
            del text
            document, cost = answers.query_document(decoded, last.path, headers=last.headers, asked_at=first.asked_at)
            del decoded
            self._counts.add(bytes_read=cost.bytes_read or 0)
            if cost.budget_remaining is not None:
                self._budget.note_bytes_remaining(cost.budget_remaining)
            result = make(document, cost, last.path, query_id, self._clock() - started)
            del document
            if size > _LARGE_BODY:
                memory.give_back()
            return result

    def _post(self, body: dict[str, Any], allowance: Allowance) -> Reply:
        """PostHog's first answer to a query, asked again without the fields of `body` that it does not take."""
        while True:
            fitting, known = self.body.fitting(body)
            try:
                return self._exchange.send("POST", self._path(), allowance, json=fitting, is_query=True)
            except errors.RequestRefused as refused:
                if not self.body.learn(refused, known):
                    raise

    def _poll(self, reply: Reply, query_id: str, started: float) -> Reply:
        """Follow a query that runs in the background to its result; any other reply is its own."""
        pause = _POLL_SECONDS[0]
        if "client_query_id" in self.body.refused:
            query_id = _id_given(reply) or query_id
        while _runs(reply):
            if self._clock() - started > _LONG_SECONDS:
                raise errors.QueryTimedOut(f"The query did not end within {_LONG_SECONDS:,.0f} s", path=reply.path)
            self._budget.sleep(pause)
            pause = min(pause * _POLL_GROWTH, _POLL_SECONDS[1])
            reply = self._retrier.call(
                lambda allowance: self._exchange.send(
                    "GET", self._path() + f"{query_id}/", allowance, is_query=True, accept=_tells_of_query
                )
            )
            if reply.status == 404:
                raise errors.ServerFault("PostHog lost the running query", status=404, path=reply.path)
            if reply.status >= 400:
                raise self._exchange.error(reply, is_query=True)
        return reply

    @contextlib.contextmanager
    def _registered(self, query_id: str) -> Iterator[None]:
        """Let `cancel` know of a query. One left by Ctrl-C stays known, for it still runs at PostHog."""
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
            self._wire.send("DELETE", self._path() + f"{query_id}/", timeout_seconds=timeout_seconds)
        self._forget(query_id)


def _runs(reply: Reply) -> bool:
    if reply.status == 202:
        return True
    if len(reply.body) > _SMALL_BODY:
        return False
    document = decode(reply.body.read(), reply.path)
    status = document.get("query_status") or document if isinstance(document, dict) else {}
    return isinstance(status, dict) and status.get("complete") is False


def _id_given(reply: Reply) -> str | None:
    """The id that PostHog itself gave a query that runs in the background; None: it gave none."""
    if reply.status != 202:
        return None
    document = decode(reply.body.read(), reply.path)
    status = document.get("query_status") if isinstance(document, dict) else None
    given = status.get("id") if isinstance(status, dict) else None
    return given if isinstance(given, str) and given else None


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
