"""The list of recordings, page by page: by cursor, by `next` or by offset, whichever the server answers with.

Three shapes are known (PostHog's code of autumn 2026, its documentation, a server of December 2023):
`{results, has_next, next_cursor}`, `{count, next, previous, results}` and `{results, has_next}`. Whether there is more
is read from these words, never from the number of rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sources.posthog.client import PostHogClient
from sources.posthog.errors import ListUnreadable
from sources.posthog.hogql.windows import SECOND, to_datetime
from sources.posthog.shown import shown

PATH = "session_recordings"

PAGE_ROWS = 500
"""Recordings asked for at once: PostHog allows few requests for this list (12 a minute for free, autumn 2026)."""

_PAGES_WITHOUT_NEWS = 20
_IDS_A_REQUEST = 50


@dataclass(frozen=True)
class RecordingPage:
    """Rows that no page before had, and whether offsets lead to the next page: rows may move between such pages."""

    rows: list[dict[str, Any]]
    has_next: bool
    is_by_offset: bool
    count: int | None = None


def bounds(low: int, high: int) -> dict[str, str]:
    """Both bounds on `start_time` (microseconds UTC), to the second, so wide that they hold `low` to `high`."""
    return {"date_from": _time(low // SECOND), "date_to": _time(-(-high // SECOND))}


def recording_pages(
    client: PostHogClient, params: Mapping[str, Any], limit: int = PAGE_ROWS
) -> Iterator[RecordingPage]:
    """All pages of the list with these parameters, newest recordings first.

    Raises ListUnreadable for what is no list, and where the way to the next page leads in circles.
    """
    asked: set[str] = set()
    seen: set[str] = set()
    offset = without_news = 0
    first = {**params, "limit": limit}
    answer = client.get(PATH, first, exact=True)
    while True:
        rows = _rows(answer)
        new = {str(row["id"]): row for row in rows if str(row["id"]) not in seen}
        seen |= new.keys()
        without_news = 0 if new else without_news + 1
        cursor, address = answer.get("next_cursor"), answer.get("next")
        more = bool(cursor or address or answer.get("has_next"))
        count = answer.get("count")
        yield RecordingPage(list(new.values()), more, not cursor, count if isinstance(count, int) else None)
        if not more:
            return
        # A page may be short; only an empty one does not say how far it went.
        offset += len(rows) or limit
        following = str(cursor or address or f"offset {offset}")
        if following in asked or without_news >= _PAGES_WITHOUT_NEWS:
            raise ListUnreadable(
                f"The list of recordings leads in circles: after {len(seen):,} the next page brings nothing new",
                path=PATH,
            )
        asked.add(following)
        if cursor:
            answer = client.get(PATH, {**first, "after": cursor}, exact=True)
        elif address:
            answer = client.get_url(str(address), exact=True)
        else:
            answer = client.get(PATH, {**first, "offset": offset}, exact=True)


def recordings_by_id(client: PostHogClient, ids: Sequence[str], low: int, high: int) -> Iterator[list[dict[str, Any]]]:
    """The recordings of these ids that PostHog still has and that started between `low` and `high`."""
    for start in range(0, len(ids), _IDS_A_REQUEST):
        some = list(ids[start : start + _IDS_A_REQUEST])
        params = {**bounds(low, high), "session_ids": json.dumps(some)}
        for page in recording_pages(client, params, limit=len(some)):
            yield page.rows


def _rows(answer: Any) -> list[dict[str, Any]]:
    rows = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise ListUnreadable(f"PostHog's answer is no list of recordings: {shown(answer)}", path=PATH)
    if odd := [row for row in rows if not isinstance(row, dict) or not isinstance(row.get("id"), str) or not row["id"]]:
        raise ListUnreadable(f"PostHog's answer is no list of recordings: one is {shown(odd[0])}", path=PATH)
    return rows


def _time(second: int) -> str:
    return to_datetime(second * SECOND).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
