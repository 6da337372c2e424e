"""The pages of any PostHog list, in the order in which PostHog gives them.

PostHog pages in five ways (its code of autumn 2026): limit and offset with `count`, `next`, `previous`, `results`; a
cursor or page number inside `next`; `results` without a count; one bare array; and `results` with nothing else. All
are followed alike: the next page is where `next` says, and the list ends where `next` is null. The number of rows
never tells: a page of persons may hold 98 of 100 rows, or none, and still have a next one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ...errors import ListUnreadable, NotFound
from ...http.client import PostHogClient
from ...http.json_values import canonical, shown

# Empty pages, and pages of known rows (as many were inserted as a page holds), do happen; that many never.
_PAGES_WITHOUT_NEWS = 50


@dataclass(frozen=True)
class ListPage:
    """One page: its rows, how many the whole list holds (None where PostHog does not say), the next address."""

    rows: list[Any]
    count: int | None = None
    next: str | None = None
    address: str | None = None
    """Where this page is, for `start`: `?` and its parameters; None: the list's first page."""
    is_cut: bool = False
    """Numbered pages only: this page is gone (404), for the list became shorter while it was read."""


def pages(
    client: PostHogClient,
    path: str,
    params: Mapping[str, Any] | None = None,
    *,
    key: Callable[[Any], Hashable] | None = None,
    rows_in: str = "results",
    start: str | None = None,
    exact: bool = False,
) -> Iterator[ListPage]:
    """The pages of the list at `path` (relative to the project, or from /api/ on), as many as PostHog has.

    `key` tells rows apart (by default their whole content): a list whose `next` leads in circles is ended by it, with
    an error unless all of its `count` rows were seen. `rows_in` is the field that holds the rows. `start` is the
    `address` of a page to begin with: worth keeping only for lists by cursor, where rows do not move between pages.
    `exact` is that of `PostHogClient.get`.

    Raises ListUnreadable for what is no list and for a list without an end, RedirectRefused for a `next` that leads
    to another host, and what `PostHogClient.get` raises.
    """
    identity = key or _content
    seen: set[int] = set()  # a list may be long: hashes take less than keys
    asked: set[str] = set()
    without_news = 0
    first = client.get(path, params, exact=exact) if start is None else _follow(client, path, start, exact=exact)
    page = _page(first, path, rows_in, start)
    while True:
        known = len(seen)
        seen.update(hash(identity(row)) for row in page.rows)
        without_news = 0 if len(seen) > known else without_news + 1
        yield page
        if page.next is None:
            return
        following = page.next
        if following in asked or without_news >= _PAGES_WITHOUT_NEWS:
            if page.count is not None and len(seen) >= page.count:
                return
            raise ListUnreadable(
                f"The list at {path} leads in circles: after {len(seen):,} rows `next` brings nothing new", path=path
            )
        asked.add(following)
        try:
            address = f"?{urlsplit(following).query}"
            page = _page(_follow(client, path, following, exact=exact), path, rows_in, address)
        except NotFound:
            if "page" not in parse_qs(urlsplit(following).query):
                raise
            page = ListPage([], is_cut=True)


def _page(answer: Any, path: str, rows_in: str, address: str | None) -> ListPage:
    if isinstance(answer, list):
        return ListPage(answer)
    rows = answer.get(rows_in) if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ListUnreadable(f"PostHog's answer at {path} is no list: {shown(answer)}", path=path)
    following = answer.get("next")
    if not following and answer.get("has_next"):
        # Following this needs the cursor of that one list; without it the rest would be lost in silence.
        raise ListUnreadable(f"The list at {path} goes on, but does not say where", path=path)
    count = answer.get("count", answer.get("total_count"))
    is_count = isinstance(count, int) and not isinstance(count, bool)
    return ListPage(rows, count if is_count else None, str(following) if following else None, address)


def _follow(client: PostHogClient, path: str, following: str, *, exact: bool) -> Any:
    if following.startswith("?"):
        return client.get(path, parse_qs(following[1:], keep_blank_values=True), exact=exact)
    parts = urlsplit(following)
    scheme, name, _ = client.host.origin
    if scheme == "https" and parts.scheme == "http" and parts.netloc.lower() in {name, f"{name}:80"}:
        # A server behind a proxy that ends TLS often thinks that it was asked over plain http.
        following = parts._replace(scheme=scheme, netloc=name).geturl()
    return client.get_url(following, exact=exact)


def _content(row: Any) -> bytes:
    return canonical(row)
