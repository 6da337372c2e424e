"""One HTTP exchange with the configured host, from the request to one good answer.

`Wire` sends, reads the body, and says in our own errors what went wrong. `Exchange` asks the rate limiter, follows
redirects, and names refusals.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.cookiejar import DefaultCookiePolicy
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from .. import errors
from .auth.api_key import ApiKey, redact
from .error_mapping import Refusal, diagnose, header_date
from .host import Host
from .rate_limiter import Allowance, Budget
from .response_body import Body

# The proxies before PostHog Cloud cut a silent request at about 300 s (PR#94595), Cloudflare at about 100 s.
_CUT_AFTER_SECONDS = 90.0
_CONNECT_SECONDS = 15.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass
class Reply:
    """An answer with its whole body. `seconds`: from sending to the end of the body."""

    method: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: Body = field(repr=False)
    seconds: float
    asked_at: datetime | None
    """The server's time (UTC, to a second) when we asked; None when it does not tell its time."""


class Wire:
    """Thread-safe. `timeout_seconds` bounds the silence before an answer begins, and three times it the whole."""

    def __init__(
        self,
        key: ApiKey,
        host: Host,
        *,
        timeout_seconds: float,
        clock: Callable[[], float],
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._key = key
        self._host = host
        self._clock = clock
        self._timeout = timeout_seconds
        self._seen: tuple[datetime, float] | None = None
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._interrupted = False
        self._lock = threading.Lock()
        self._http = httpx.Client(
            base_url=host.url,
            auth=_Bearer(key, host),
            headers={
                "Accept": "application/json",
                # PostHog packs with gzip (Django's middleware; settings/web.py, autumn 2026), and only that is kept
                # packed here until it is read. httpx asks for whatever else is installed, and unpacks it at once.
                "Accept-Encoding": "gzip",
                "User-Agent": f"posthog-warehouse/{_version()}",
            },
            timeout=httpx.Timeout(timeout_seconds, connect=min(timeout_seconds, _CONNECT_SECONDS)),
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8),
            follow_redirects=False,
            # A proxy from the environment has no business between us and this machine.
            trust_env=not host.is_loopback,
            transport=transport,
        )
        self._http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # the key is all we are known by

    def send(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        is_query: bool = False,
        timeout_seconds: float | None = None,
    ) -> Reply:
        """One exchange. `url` is a path or an address of this host (`same_host`).

        Raises Retryable faults, HostUnusable when TLS cannot work, and QueryTimedOut when a query was met by silence.
        """
        started = self._clock()
        progress = _Progress()
        content = None if json is None else orjson.dumps(json)
        try:
            with self._http.stream(
                method,
                url,
                params=params,
                content=content,
                headers={"Content-Type": "application/json"} if content is not None else None,
                timeout=httpx.USE_CLIENT_DEFAULT if timeout_seconds is None else timeout_seconds,
                extensions={"trace": self._keep_socket},
            ) as response:
                until = started + (timeout_seconds or 3 * self._timeout)
                return self._read(response, method, started, until, progress)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            fault = self._fault(error, url, self._clock() - started, progress, is_query=is_query)
        # Not raised in the handler: an error must not carry the httpx one, which knows the key, as its context.
        raise fault

    def same_host(self, url: str, of: str = "") -> str:
        """The absolute form of an address that PostHog gave us. Raises RedirectRefused unless it is the same origin."""
        refused = f"PostHog points to {redact(url, self._key)[:200]!r}, which is not {self._host.url}"
        try:
            target = httpx.URL(f"{self._host.url}{of}").join(url)
            origin = (target.scheme, target.host, target.port or {"https": 443, "http": 80}.get(target.scheme, 0))
        except (httpx.InvalidURL, ValueError):
            target, origin = None, None
        if target is None or origin != self._host.origin or target.userinfo:
            raise errors.RedirectRefused(refused, path=of or None)
        return str(target.copy_with(fragment=None))

    def redirected(self, reply: Reply) -> str | None:
        """Where a redirect of this host to itself leads; None for any other answer. Raises RedirectRefused."""
        if reply.status not in _REDIRECTS:
            return None
        target = self.same_host(reply.headers.get("location", ""), of=reply.path)
        if reply.method != "GET" and reply.status not in {307, 308}:
            raise errors.RedirectRefused(
                f"PostHog redirects a {reply.method} request in a way that would lose its body",
                meaning="The host setting probably lacks something, such as https or a part of the name.",
                status=reply.status,
                path=reply.path,
            )
        return target

    def server_time(self) -> datetime | None:
        """The server's time now (UTC), by its last Date header and our clock since; None before any answer."""
        with self._lock:
            if self._seen is None:
                return None
            date, at = self._seen
        return date + timedelta(seconds=self._clock() - at)

    def interrupt(self) -> None:
        """End every exchange in progress, in whatever thread it is."""
        with self._lock:
            self._interrupted = True
            open_sockets = list(self._sockets)
        for connection in open_sockets:
            _shut(connection)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _read(self, response: httpx.Response, method: str, started: float, until: float, progress: _Progress) -> Reply:
        progress.answered = True
        now = self._clock()
        date = header_date(response.headers)
        if date is not None:
            with self._lock:
                self._seen = (date, now)
        is_gzip = response.headers.get("content-encoding", "").strip().lower() in {"gzip", "x-gzip"}
        body = bytearray()
        for chunk in response.iter_raw() if is_gzip else response.iter_bytes():
            body += chunk
            if self._clock() > until:
                progress.dripping = True
                raise httpx.ReadTimeout("the body takes too long")
        return Reply(
            method=method,
            path=response.request.url.path,
            status=response.status_code,
            headers=response.headers,
            body=Body(body, response.request.url.path, is_gzip=is_gzip),
            seconds=self._clock() - started,
            asked_at=date - timedelta(seconds=now - started) if date else None,
        )

    def _fault(
        self, error: Exception, url: str, elapsed: float, progress: _Progress, *, is_query: bool
    ) -> errors.PostHogError:
        path = urlsplit(url).path
        said = redact(" ".join(str(error).split()), self._key) or type(error).__name__
        broken = isinstance(error, (httpx.ReadError, httpx.RemoteProtocolError))
        if tls := _tls_fault(error):
            return errors.HostUnusable(f"No secure connection to {self._host.url}: {tls}", path=path)
        if isinstance(error, httpx.DecodingError):
            return errors.AnswerMalformed(f"The compressed answer is broken: {said}", path=path)
        silent = isinstance(error, httpx.ReadTimeout) or (
            broken and elapsed >= min(_CUT_AFTER_SECONDS, 0.9 * self._timeout)
        )
        if is_query and (progress.dripping or (silent and not progress.answered)):
            return errors.QueryTimedOut(f"The query was not answered within {elapsed:,.0f} s", path=path)
        if progress.answered:
            return errors.AnswerTruncated(f"The answer broke off: {said}", path=path)
        if isinstance(error, httpx.ReadTimeout):
            return errors.ConnectionFailed(f"No answer from {self._host.url} within {elapsed:,.0f} s", path=path)
        return errors.ConnectionFailed(f"The connection to {self._host.url} failed: {said}", path=path)

    def _keep_socket(self, event: str, info: Mapping[str, Any]) -> None:
        """httpx's trace extension: the only documented way to the sockets, which `interrupt` needs."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            connection = info["return_value"].get_extra_info("socket")
            if isinstance(connection, socket.socket):
                with self._lock:
                    self._sockets.add(connection)
                    too_late = self._interrupted
                if too_late:
                    _shut(connection)


@dataclass
class _Progress:
    """How far an exchange came."""

    answered: bool = False
    dripping: bool = False


class _Bearer(httpx.Auth):
    """The key, added to requests for the configured host and to no other."""

    def __init__(self, key: ApiKey, host: Host) -> None:
        self._key = key
        self._origin = host.origin

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        url = request.url
        if (url.scheme, url.host, url.port or {"https": 443, "http": 80}[url.scheme]) == self._origin:
            request.headers["Authorization"] = f"Bearer {self._key.reveal()}"
        yield request


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        connection.shutdown(socket.SHUT_RDWR)


def _tls_fault(error: BaseException) -> str | None:
    """What is wrong with TLS for good; None for passing faults."""
    for cause in errors.chain_of(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid here ({cause.verify_message})"
        if isinstance(cause, ssl.SSLError) and cause.reason in {"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"}:
            return "it speaks plain http on that port"
    return None


def _version() -> str:
    try:
        return version("posthog-warehouse")
    except PackageNotFoundError:
        return "0"


_REDIRECTS_FOLLOWED = 5


class Counts:
    """What a client used: requests, queries, bytes_read, retries. Thread-safe."""

    def __init__(self) -> None:
        self._counts = {"requests": 0, "queries": 0, "bytes_read": 0, "retries": 0}
        self._lock = threading.Lock()

    def add(self, **more: int) -> None:
        """Add to some of them."""
        with self._lock:
            for name, count in more.items():
                self._counts[name] += count

    def taken(self) -> dict[str, int]:
        """All of them, at one moment."""
        with self._lock:
            return dict(self._counts)


class Exchange:
    """Sends one request within the budget and gives its answer, or the error that the answer stands for."""

    def __init__(self, wire: Wire, budget: Budget, key: ApiKey, counts: Counts) -> None:
        self._wire = wire
        self._budget = budget
        self._key = key
        self._counts = counts

    def send(
        self,
        method: str,
        url: str,
        allowance: Allowance,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        is_query: bool = False,
        is_json: bool = True,
        accept: Callable[[Reply], bool] = lambda _: False,
    ) -> Reply:
        """A good answer in JSON (or anything: `is_json`), or one that `accept` takes; redirects within the host are
        followed.

        Raises what the wire, the budget and `diagnose` raise, WrongContentType and RedirectRefused.
        """
        for _ in range(_REDIRECTS_FOLLOWED + 1):
            self._budget.request(allowance)
            self._counts.add(requests=1)
            try:
                reply = self._wire.send(method, url, params=params, json=json, is_query=is_query)
            except errors.PostHogError:
                self._budget.check()  # a connection that was cut by `cancel_all` did not fail
                raise
            target = self._wire.redirected(reply)
            if target is None:
                break
            url, params = target, None
        else:
            raise errors.RedirectRefused("PostHog redirects in a circle", meaning="", path=reply.path)
        if reply.status >= 400:
            if accept(reply):
                return reply
            raise self.error(reply, is_query=is_query)
        content_type = reply.headers.get("content-type", "application/json")
        if is_json and "json" not in content_type.lower():
            raise errors.WrongContentType(
                f"PostHog answered with {redact(content_type, self._key)[:80]} instead of JSON",
                status=reply.status,
                path=reply.path,
            )
        return reply

    def error(self, reply: Reply, *, is_query: bool) -> errors.PostHogError:
        """What a refusal stands for, without the key even where PostHog quotes it."""
        now = self._wire.server_time() or datetime.now(timezone.utc)
        error = diagnose(
            Refusal(reply.status, reply.headers, reply.body.read(), reply.path, is_query=is_query, now=now)
        )
        return self._redacted(error)

    @contextmanager
    def redacting(self) -> Iterator[None]:
        """Keep the key out of the errors of whoever reads an answer: they may quote it."""
        try:
            yield
        except errors.PostHogError as error:
            self._redacted(error)
            raise

    def _redacted(self, error: errors.PostHogError) -> errors.PostHogError:
        error.message = redact(error.message, self._key)
        error.args = (error.message,)
        return error
