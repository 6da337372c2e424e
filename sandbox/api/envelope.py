"""PostHog's error envelope and JSON answers.

Every error is ``{type, code, detail, attr}`` (drf-exceptions-hog, autumn 2026). ``type`` follows from the
class of the exception at PostHog, which is why each kind of error here has its own constructor.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

#: Bodies are handed to the socket in pieces of this size, so that a slow client does not double the memory.
CHUNK_BYTES = 1 << 20

JSON = "application/json"


class ApiError(Exception):
    """An answer other than success, in PostHog's envelope."""

    def __init__(
        self,
        status: int,
        kind: str,
        code: str,
        detail: str,
        *,
        attr: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.code = "invalid_input" if code == "invalid" else code
        self.detail = detail
        self.attr = attr
        self.headers = dict(headers or {})
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """The envelope as PostHog writes it."""
        body: dict[str, Any] = {
            "type": self.kind,
            "code": self.code,
            "detail": self.detail,
            "attr": self.attr,
        }
        if self.extra is not None:
            body["extra"] = dict(self.extra)
        return body

    def response(self) -> Reply:
        """The error as an HTTP answer."""
        return reply(self.body(), status=self.status, headers=self.headers)


def not_found(detail: str) -> ApiError:
    """404 ``not_found``."""
    return ApiError(404, "invalid_request", "not_found", detail)


def permission_denied(detail: str) -> ApiError:
    """403 ``permission_denied``."""
    return ApiError(403, "authentication_error", "permission_denied", detail)


def payment_required() -> ApiError:
    """402 for a feature that the organization does not pay for (EnterpriseFeatureException, autumn 2026)."""
    return ApiError(
        402,
        "server_error",
        "payment_required",
        "This feature is part of the premium PostHog offering. To use it, subscribe to PostHog Cloud with a generous "
        "free tier: https://app.posthog.com/organization/billing",
    )


def parse_error(detail: str) -> ApiError:
    """400 for a body that does not have the expected shape."""
    return ApiError(400, "invalid_request", "parse_error", detail)


def invalid(detail: str, *, code: str = "invalid_input", attr: str | None = None) -> ApiError:
    """400 for a value that is wrong."""
    return ApiError(400, "validation_error", code, detail, attr=attr)


def server_error(status: int, detail: str, *, code: str = "error") -> ApiError:
    """5xx, PostHog's ``server_error``."""
    return ApiError(status, "server_error", code, detail)


def throttled(detail: str, *, retry_after: int | None, code: str = "throttled") -> ApiError:
    """429, with ``Retry-After`` (seconds) only if the limit knows when it ends."""
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    return ApiError(429, "throttled_error", code, detail, headers=headers)


class Reply(Response):
    """An answer whose body is a list of byte strings: a page of rows is never copied to be wrapped."""

    def __init__(
        self,
        parts: Sequence[bytes],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str = JSON,
    ) -> None:
        self.parts = list(parts)
        self.status_code = status
        self.media_type = media_type
        self.background = None
        self.body = b""
        self.init_headers(headers)
        self.headers["content-length"] = str(self.length)

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return sum(len(part) for part in self.parts)

    def replace_body(self, body: bytes, *, encoding: str) -> None:
        """Put an encoded body in place of the plain one."""
        self.parts = [body]
        self.headers["content-length"] = str(len(body))
        self.headers["content-encoding"] = encoding
        self.headers["vary"] = "Accept-Encoding"

    def _chunks(self) -> Iterator[bytes]:
        for part in self.parts:
            if len(part) <= CHUNK_BYTES:
                yield part
                continue
            view = memoryview(part)
            for start in range(0, len(part), CHUNK_BYTES):
                yield bytes(view[start : start + CHUNK_BYTES])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer, as ASGI wants it."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for chunk in self._chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def reply(content: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON answer. Datetimes in UTC are written with ``Z``."""
    return Reply([dumps(content)], status=status, headers=headers)


def dumps(content: object) -> bytes:
    """JSON as PostHog's renderer writes it."""
    return orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
