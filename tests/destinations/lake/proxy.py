"""A real HTTP proxy in front of an object store that fails the request that it is told to fail."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlparse

FAULTS = ("500", "503", "reset", "cut", "hang")
"""An answer of the server's, the connection closed without one or within its body, and no answer at all."""

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


class FailingProxy:
    """The proxy, from `with` to its end."""

    def __init__(self, endpoint: str) -> None:
        self._target = urlparse(endpoint).netloc
        self._lock = threading.Lock()
        self.requests = 0
        self.failed: list[str] = []
        """Paths of the requests that were failed."""
        self._fault = ""
        self._nth = 0
        self._for_good = False
        self._healed = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                body = self._body()
                fault = proxy._next(self.path)
                if fault == "hang":
                    proxy._healed.wait(60)
                if fault in {"reset", "hang"}:
                    self.close_connection = True
                    self.connection.close()
                    return
                if fault.isdigit():
                    self.send_response(int(fault))
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                connection = http.client.HTTPConnection(proxy._target, timeout=60)
                headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
                headers["Host"] = proxy._target
                connection.request(self.command, self.path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                if fault == "cut" and not content:
                    proxy.failed.remove(self.path)  # nothing of this answer is missing
                self.send_response(answer.status)
                length = answer.headers.get("Content-Length")
                for name, value in answer.headers.items():
                    if name.lower() not in _HOP:
                        self.send_header(name, value)
                self.send_header("Content-Length", length if self.command == "HEAD" and length else str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
                self.close_connection = self.close_connection or fault == "cut"
                connection.close()

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass  # noqa: N815 - the names are the server's

            def _body(self) -> bytes | None:
                if "chunked" in self.headers.get("Transfer-Encoding", ""):
                    parts = []
                    while size := int(self.rfile.readline().split(b";")[0], 16):
                        parts.append(self.rfile.read(size))
                        self.rfile.readline()
                    self.rfile.readline()
                    return b"".join(parts)
                length = int(self.headers.get("Content-Length") or 0)
                return self.rfile.read(length) if length else None

            def log_message(self, *_: object) -> None:
                """Keeps quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def fail(self, fault: str, *, nth: int, for_good: bool = False) -> None:
        """From now on the request number `nth` has one of `FAULTS`, and all later ones where it is `for_good`."""
        self._healed.clear()
        with self._lock:
            self.requests, self.failed = 0, []
            self._fault, self._nth, self._for_good = fault, nth, for_good

    def heal(self) -> None:
        """Nothing fails any more."""
        with self._lock:
            self._fault = ""
        self._healed.set()

    def _next(self, path: str) -> str:
        with self._lock:
            self.requests += 1
            is_due = self.requests >= self._nth if self._for_good else self.requests == self._nth
            if not self._fault or not is_due:
                return ""
            self.failed.append(path)
            return self._fault

    def __enter__(self) -> FailingProxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)
