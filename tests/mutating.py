"""Answers of a real server that are changed on their way: what a faulty server, or a proxy, might send."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import httpx
import orjson

Change = Callable[[httpx.Request, Any], Any]
"""Told the request and the JSON of its answer: what is to arrive. JSON, or bytes or a whole response as they are."""


class Mutating(httpx.BaseTransport):
    """An httpx transport that hands each answer in JSON to `change`, which may alter it in place or give another.

    `changed` counts the answers that did not arrive as they were sent.
    """

    def __init__(self, change: Change) -> None:
        self._change = change
        self._inner = httpx.HTTPTransport()
        self._lock = threading.Lock()
        self.changed = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self._inner.handle_request(request)
        body = response.read()
        response.close()
        if response.status_code < 400 and "json" in response.headers.get("content-type", ""):
            with self._lock:
                answer = self._change(request, json.loads(body))
                self.changed += isinstance(answer, httpx.Response)
            if isinstance(answer, httpx.Response):
                return answer
            # Python's own writer: it takes whole numbers of any size, and writes NaN as servers of 2023 did.
            sent = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            if sent != json.dumps(json.loads(body)).encode():
                self.changed += 1
                body = sent
        headers = [(n, v) for n, v in response.headers.multi_items() if n not in {"content-encoding", "content-length"}]
        return httpx.Response(response.status_code, headers=headers, content=body)

    def close(self) -> None:
        self._inner.close()


def asked(request: httpx.Request) -> str:
    """The text of the HogQL query that a request asks, or its path where it asks none."""
    if request.method == "POST" and request.url.path.endswith("/query/"):
        query = orjson.loads(request.content).get("query", {})
        return str(query.get("query", ""))
    return request.url.path
