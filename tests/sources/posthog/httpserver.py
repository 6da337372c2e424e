"""A real HTTP server on loopback that answers as a test says, down to the socket."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

GATE_SECONDS = 20.0


@dataclass(frozen=True)
class Request:
    """What the server was asked."""

    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def params(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def sql(self) -> str:
        return str(self.json["query"]["query"])


@dataclass(frozen=True)
class Answer:
    """What it answers. A `body` that is not bytes is written as JSON.

    `drop` closes the connection instead of answering ("reset" with an RST), `cut_at` after so many bytes of the body,
    and nothing is sent before `gate` is set.
    """

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: str | None = None
    cut_at: int | None = None
    gate: threading.Event | None = None


Script = Callable[[Request], Answer]


def envelope(status: int, code: str, detail: str, kind: str = "server_error", **more: Any) -> Answer:
    """An error as PostHog writes it."""
    headers = more.pop("headers", {})
    return Answer(status, {"type": kind, "code": code, "detail": detail, "attr": None, **more}, headers)


def page(*rows: list[Any], columns: tuple[str, ...] = ("n",), **more: Any) -> dict[str, Any]:
    """The body of a HogQL query's answer."""
    types = [[column, "UInt64"] for column in columns]
    return {"results": list(rows), "columns": list(columns), "types": types, "error": None, "is_cached": False, **more}


class HttpServer:
    """Answers by `script`; `requests` holds what came."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def asked(self, method: str, path_end: str = "") -> list[Request]:
        with self._lock:
            return [r for r in self.requests if r.method == method and r.path.endswith(path_end)]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet an answer: else Nagle's algorithm makes each of them wait 40 ms

            def respond(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                request = Request(self.command, self.path, self.headers, self.rfile.read(length))
                with server._lock:
                    server.requests.append(request)
                answer = server.script(request)
                if answer.gate is not None:
                    answer.gate.wait(GATE_SECONDS)
                try:
                    self.write(answer)
                except OSError:
                    self.close_connection = True  # the client went away, which some tests are about

            def write(self, answer: Answer) -> None:
                if answer.drop:
                    if answer.drop == "reset":
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    else:
                        self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **answer.headers}
                self.send_response_only(answer.status)
                if "Date" not in headers:
                    self.send_header("Date", self.date_time_string())
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body if answer.cut_at is None else body[: answer.cut_at])
                self.wfile.flush()
                self.close_connection = self.close_connection or answer.cut_at is not None

            do_GET = do_POST = do_DELETE = respond  # noqa: N815 - names of http.server

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name of http.server
                pass

        return Handler


@contextmanager
def serve(script: Script) -> Iterator[HttpServer]:
    """A server for the length of a `with`."""
    server = HttpServer(script)
    try:
        yield server
    finally:
        server.close()


def in_turn(*answers: Answer) -> Script:
    """One answer after another; the last for all that follow."""
    left = list(answers)
    lock = threading.Lock()

    def script(_: Request) -> Answer:
        with lock:
            return left.pop(0) if len(left) > 1 else left[0]

    return script


class FakeClock:
    """A clock that only `sleep` moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.now += seconds
            self.slept.append(seconds)
