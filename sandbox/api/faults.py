"""Faults on request: what a network, a proxy or an overloaded server can do to an answer.

A fault is chosen by the path (a regular expression over the path with its query string) and by counting the
matching requests: at the n-th, every k-th, with a probability (seeded, so a run can be repeated), or always.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from . import sockets
from .envelope import ApiError, reply

KINDS = frozenset({"status", "drop", "truncate", "slow", "malformed", "content_type", "redirect", "next_elsewhere"})

#: Where ``redirect`` and ``next_elsewhere`` point: a name that never resolves (RFC 2606).
ELSEWHERE = "http://elsewhere.invalid"

_DETAILS: Mapping[int, tuple[str, str, str]] = {
    400: ("validation_error", "invalid_input", "Invalid request."),
    401: (
        "authentication_error",
        "authentication_failed",
        "Personal API key found in request Authorization header is invalid.",
    ),
    403: ("authentication_error", "permission_denied", "This action does not support personal API key access"),
    404: ("invalid_request", "not_found", "Endpoint not found."),
    429: ("throttled_error", "throttled", "Request was throttled. Expected available in 1 second."),
    512: ("server_error", "error", "Query estimated execution time is too long. Try a smaller time range."),
    513: (
        "server_error",
        "clickhouse_memory_limit_exceeded",
        "Query has reached the max memory limit before completing.",
    ),
    503: ("server_error", "error", "Queries are a little too busy right now. Please try again later."),
    504: ("server_error", "error", "Query has hit the max execution time before completing."),
}
_UNNAMED = ("server_error", "error", "A server error occurred.")


@dataclass
class Fault:
    """One fault and when it strikes."""

    id: int
    kind: str
    path: re.Pattern[str]
    at: frozenset[int]
    every: int | None
    probability: float | None
    always: bool
    times: int | None
    options: Mapping[str, Any]
    random: random.Random
    seen: int = field(default=0)
    struck: int = field(default=0)

    def strikes(self, target: str) -> bool:
        """Count a request, and say whether this fault hits it."""
        if not self.path.search(target):
            return False
        self.seen += 1
        if self.times is not None and self.struck >= self.times:
            return False
        hit = (
            self.always
            or self.seen in self.at
            or (self.every is not None and self.seen % self.every == 0)
            or (self.probability is not None and self.random.random() < self.probability)
        )
        self.struck += hit
        return hit


def parse(fault_id: int, spec: Mapping[str, Any]) -> Fault:
    """A fault from the control API's words.

    Raises:
        ValueError: an unknown kind or field, or no word on when it strikes.
    """
    kind = spec.get("fault")
    if kind not in KINDS:
        raise ValueError(f"There is no fault {kind!r}. Known: {', '.join(sorted(KINDS))}")
    known = {"fault", "path", "at", "every", "probability", "always", "seed", "times"}
    options = {"status", "body", "headers", "reset", "seconds", "after_bytes", "to", "content_type"}
    unknown = set(spec) - known - options
    if unknown:
        raise ValueError(f"A fault has no {min(unknown)!r}. Known: {', '.join(sorted(known | options))}")
    every = spec.get("every")
    if not (spec.get("at") or every or spec.get("probability") is not None or spec.get("always")):
        raise ValueError("Say when the fault strikes: at, every, probability or always")
    return Fault(
        id=fault_id,
        kind=str(kind),
        path=re.compile(str(spec.get("path", ""))),
        at=frozenset(int(n) for n in spec.get("at", ())),
        every=None if every is None else max(1, int(every)),
        probability=None if spec.get("probability") is None else float(spec["probability"]),
        always=bool(spec.get("always", False)),
        times=None if spec.get("times") is None else int(spec["times"]),
        options={name: value for name, value in spec.items() if name in options},
        random=random.Random(spec.get("seed", 0)),  # noqa: S311 - repeatable on purpose
    )


class Faults:
    """The faults that are switched on."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._next_id = 1

    def add(self, spec: Mapping[str, Any]) -> int:
        """Switch a fault on and return its id.

        Raises:
            ValueError: a spec that cannot be understood.
        """
        fault = parse(self._next_id, spec)
        self._next_id += 1
        self._faults.append(fault)
        return fault.id

    def clear(self) -> None:
        """Switch all faults off."""
        self._faults.clear()

    def describe(self) -> list[dict[str, Any]]:
        """What is on, and how often it struck."""
        return [
            {"id": fault.id, "fault": fault.kind, "seen": fault.seen, "struck": fault.struck} for fault in self._faults
        ]

    def pick(self, target: str) -> Fault | None:
        """The first fault that strikes this request. All faults count it."""
        hits = [fault for fault in self._faults if fault.strikes(target)]
        return hits[0] if hits else None


async def before(fault: Fault, scope: Scope, receive: Receive, send: Send) -> bool:
    """Faults that replace the answer without running the request. True if the request is dealt with."""
    options = fault.options
    if fault.kind == "status":
        status = int(options.get("status", 503))
        headers = {str(name): str(value) for name, value in dict(options.get("headers") or {}).items()}
        body = options.get("body")
        if body is None:
            kind, code, detail = _DETAILS.get(status, _UNNAMED)
            body = ApiError(status, kind, code, detail).body()
        answer = reply(body, status=status, headers=headers)
        if isinstance(body, str):
            answer.parts = [body.encode()]
            answer.headers["content-length"] = str(answer.length)
            answer.headers["content-type"] = str(options.get("content_type", "text/html"))
        await answer(scope, receive, send)
        return True
    if fault.kind == "redirect":
        location = str(options.get("to", ELSEWHERE)) + scope["path"]
        answer = reply(None, status=int(options.get("status", 302)), headers={"Location": location})
        await answer(scope, receive, send)
        return True
    if fault.kind == "drop":
        sockets.close(scope, reset=bool(options.get("reset", False)))
        await _wait_for_disconnect(receive)
        return True
    return False


class FaultySend:
    """Stands between the application and the socket, and spoils the answer on its way out."""

    def __init__(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        self._fault = fault
        self._scope = scope
        self._receive = receive
        self._send = send
        self._start: Message = {}
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        """Take one ASGI message of the answer."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._finish(bytes(self._body))

    async def _finish(self, body: bytes) -> None:
        options = self._fault.options
        kind = self._fault.kind
        if kind == "slow":
            await self._slowly(body, float(options.get("seconds", 2.0)))
            return
        if kind == "truncate":
            keep = int(options.get("after_bytes", len(body) // 2))
            await self._send(self._start)
            await self._send({"type": "http.response.body", "body": body[:keep], "more_body": True})
            sockets.close(self._scope, reset=bool(options.get("reset", False)))
            await _wait_for_disconnect(self._receive)
            return
        headers = {name.decode(): value.decode() for name, value in self._start["headers"]}
        if headers.pop("content-encoding", None) == "gzip":
            body = gzip.decompress(body)
        if kind == "malformed":
            # Cut in the middle, with an honest Content-Length: a proxy did it, not the network.
            body = body[: max(1, len(body) // 2)]
            if not body.lstrip().startswith((b"{", b"[")):
                body = b'{"results": [['
        elif kind == "content_type":
            headers["content-type"] = str(options.get("content_type", "text/html; charset=utf-8"))
            body = str(options.get("body", "<html><body>Bad gateway</body></html>")).encode()
        elif kind == "next_elsewhere":
            body = _point_elsewhere(body, str(options.get("to", ELSEWHERE)))
        headers["content-length"] = str(len(body))
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({**self._start, "headers": raw})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def _slowly(self, body: bytes, seconds: float) -> None:
        pieces = 10
        step = max(1, -(-len(body) // pieces))
        await self._send(self._start)
        for start in range(0, len(body), step):
            await asyncio.sleep(seconds / pieces)
            await self._send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def _point_elsewhere(body: bytes, host: str) -> bytes:
    try:
        content = json.loads(body)
    except ValueError:
        return body
    if isinstance(content, dict) and isinstance(content.get("next"), str):
        content["next"] = re.sub(r"^https?://[^/]+", host, content["next"])
    return json.dumps(content).encode()


async def _wait_for_disconnect(receive: Receive) -> None:
    """Let uvicorn notice that the connection is gone, so that it does not complain of a missing answer."""
    while (await receive())["type"] != "http.disconnect":
        pass
