"""Queries: asked within the budget, followed where they run in the background, read one at a time, and cancelled.

The body of a query is made as the server at hand takes it.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from .. import errors
from ..errors import RequestRefused
from . import answers, memory
from .answers import Cost, QueryAnswer
from .error_mapping import query_status_failure
from .rate_limiter import Allowance, Budget
from .response_body import decode, decode_rows
from .retry import Retrier
from .transport import Counts, Exchange, Reply, Wire

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


@dataclass
class Question:
    """A query, without how it is to be run, and what becomes of its answer."""

    body: Body
    decode: _Decode
    make: _Make
    reword: Callable[[], None] = lambda: None
    """Makes it another one to caches, which go by the text."""


def hogql_question(
    sql: str,
    modifiers: Mapping[str, Any] | None,
    values: Mapping[str, Any] | None,
    name: str | None,
    read: Callable[[QueryAnswer], Any] | None,
) -> Question:
    """A HogQL query, and what `read` makes of its answer: see `PostHogClient.query`."""
    query: dict[str, Any] = {"kind": "HogQLQuery", "query": sql}
    if modifiers:
        query["modifiers"] = dict(modifiers)
    if values:
        query["values"] = dict(values)

    def make(document: dict[str, Any], cost: Cost, path: str, query_id: str, seconds: float) -> Any:
        answer = answers.query_answer(document, cost, path, query_id=query_id, seconds=seconds)
        document.clear()
        return answer if read is None else read(answer)

    def reword() -> None:
        query["query"] = f"/* asked again {uuid4().hex} */ {sql}"

    return Question({"query": query, **({"name": name[:128]} if name else {})}, decode_rows, make, reword)


def node_question(node: Mapping[str, Any]) -> Question:
    """A query of any kind, and PostHog's whole answer to it: see `PostHogClient.query_node`."""
    return Question({"query": dict(node)}, decode, lambda document, *_: document)


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

    def ask(self, question: Question, *, long: bool | type[errors.Narrow] = False) -> Any:
        """What is made of the answer: asked in other words as long as it comes from a cache, three times at most, and
        in the background after an error of the class `long`."""
        tries, refresh = 0, _IN_BACKGROUND if long is True else _BLOCKING
        while True:
            tries += 1
            try:
                allowance = self._budget.allowance()
                for attempt in self._retrier.attempts(allowance):
                    with attempt:
                        query_id, started = str(uuid4()), self._clock()
                        with self._registered(query_id), self._budget.query():
                            self._counts.add(queries=1)
                            body = {**question.body, "refresh": refresh, "client_query_id": query_id}
                            first = self._post(body, allowance)
                            last = self._poll(first, query_id, started)
                        result = self._read(question, first, last, query_id, started)
            except errors.AnswerFromCache:
                if tries == _CACHE_TRIES:
                    raise
                question.reword()
            except errors.Narrow as fault:
                if isinstance(long, bool) or not isinstance(fault, long):
                    raise
                tries, refresh, long = 0, _IN_BACKGROUND, True
            else:
                return result

    def project_number(self) -> int | None:
        """The number of the project that is asked, as the status of a query in the background has it; None: it has
        none."""
        body = {"query": {"kind": "HogQLQuery", "query": "SELECT 1"}, "refresh": _IN_BACKGROUND}
        allowance = self._budget.allowance()
        for attempt in self._retrier.attempts(allowance):
            with attempt, self._budget.query():
                self._counts.add(queries=1)
                reply = self._post({**body, "client_query_id": str(uuid4())}, allowance)
        document = decode(reply.body.read(), reply.path)
        status = document.get("query_status") or document if isinstance(document, dict) else {}
        number = status.get("team_id") if isinstance(status, dict) else None
        return number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else None

    def cancel(self, seconds: float) -> None:
        """Stop all queries at PostHog, as far as it answers within `seconds`."""
        deadline = self._clock() + seconds
        with self._lock:
            running = sorted(self._in_flight)
        for query_id in running:
            self._stop(query_id, max(0.5, deadline - self._clock()))

    def _read(self, question: Question, first: Reply, last: Reply, query_id: str, started: float) -> Any:
        """What is made of the `last` reply: no other one is decoded meanwhile."""
        with memory.one_page, memory.without_collector(), self._exchange.redacting():
            text = last.body.take()
            size = len(text)
            decoded = question.decode(text, last.path)
            del text
            document, cost = answers.query_document(decoded, last.path, headers=last.headers, asked_at=first.asked_at)
            del decoded
            self._counts.add(bytes_read=cost.bytes_read or 0)
            if cost.budget_remaining is not None:
                self._budget.note_bytes_remaining(cost.budget_remaining)
            result = question.make(document, cost, last.path, query_id, self._clock() - started)
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
            allowance = self._budget.allowance()
            for attempt in self._retrier.attempts(allowance):
                with attempt:
                    reply = self._exchange.send(
                        "GET", self._path() + f"{query_id}/", allowance, is_query=True, accept=_tells_of_query
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
