"""Lists as PostHog serves them, over real HTTP, that may change between two pages."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlencode

from tests.sources.posthog.httpserver import Answer, Request, envelope

Style = Literal["offset", "offset without count", "numbered", "cursor", "bare", "results"]
PAGED: tuple[Style, ...] = ("offset", "offset without count", "numbered", "cursor")
STYLES: tuple[Style, ...] = (*PAGED, "bare", "results")
Row = dict[str, Any]


@dataclass
class ServedList:
    """One list; `rows` is what the server holds, in the order in which it lists them.

    `before_page` is called with the number of requests so far before each answer: it may change `rows`.
    """

    rows: list[Row]
    style: Style = "offset"
    page_size: int = 100
    key: str = "id"
    before_page: Callable[[int], None] | None = None
    asked: int = 0
    params: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, request: Request) -> Answer:
        self.params.append(request.params)
        if self.before_page is not None:
            self.before_page(self.asked)
        self.asked += 1
        if self.style in {"bare", "results"}:
            return Answer(body=self.rows if self.style == "bare" else {"results": self.rows})
        size = min(int(request.params.get("limit", self.page_size)), self.page_size)
        if self.style == "numbered":
            return self._numbered(request, size)
        if self.style == "cursor":
            return self._cursor(request, size)
        start = int(request.params.get("offset", 0))
        rows = self.rows[start : start + size]
        more = start + size < len(self.rows)
        body = {"next": self._next(request, limit=size, offset=start + size) if more else None, "results": rows}
        return Answer(body=body if "without" in self.style else {"count": len(self.rows), "previous": None, **body})

    def _numbered(self, request: Request, size: int) -> Answer:
        number = int(request.params.get("page", 1))
        rows = self.rows[(number - 1) * size : number * size]
        if not rows and number > 1:
            return envelope(404, "not_found", "Invalid page.", "invalid_request")
        more = number * size < len(self.rows)
        return Answer(
            body={
                "count": len(self.rows),
                "next": self._next(request, page=number + 1) if more else None,
                "previous": None,
                "results": rows,
            }
        )

    def _cursor(self, request: Request, size: int) -> Answer:
        """By key: what is inserted or deleted elsewhere moves nothing."""
        after = base64.b64decode(request.params.get("cursor", "")).decode()
        left = sorted((row for row in self.rows if str(row[self.key]) > after), key=lambda row: str(row[self.key]))
        rows = left[:size]
        following = None
        if len(left) > size:
            following = self._next(request, cursor=base64.b64encode(str(rows[-1][self.key]).encode()).decode())
        return Answer(body={"next": following, "previous": None, "results": rows})

    @staticmethod
    def _next(request: Request, **params: Any) -> str:
        query = urlencode({**request.params, **params})
        return f"http://{request.headers['Host']}{request.path}?{query}"
