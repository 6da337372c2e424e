"""Which recordings are wanted, of the tables that are read for chosen recordings only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sources.posthog.errors import NothingRequested
from sources.posthog.hogql.windows import DAY
from sources.posthog.listing.recording_pages import PAGE_ROWS, bounds, recording_pages
from sources.posthog.run import Run

_LOOK_BACK = 30 * DAY
_PAGING = frozenset({"limit", "offset", "after"})


def chosen_recordings(run: Run) -> list[str]:
    """The ids that `[sources.posthog.requests]` names, else the newest that its filter finds, the newest first.

    Without `date_from` the filter looks at the span of the run (`since`), or at the last 30 days. Raises
    NothingRequested for a filter that says how to page, and what the list of recordings raises.
    """
    return run.shared("recordings", lambda: _chosen(run))


def _chosen(run: Run) -> list[str]:
    requests = run.requests
    if requests.recording_ids:
        return list(dict.fromkeys(requests.recording_ids))
    if paging := _PAGING & requests.recording_filter.keys():
        raise NothingRequested(
            f"recording_filter holds {min(paging)}, which says how to page and not what is wanted",
            advice="Use recording_limit to say how many recordings are wanted.",
        )
    now = run.clock.now if run.until is None else min(run.until, run.clock.now)
    since = now - _LOOK_BACK if run.since is None else run.since
    params = {**bounds(since, now), **_encoded(requests.recording_filter)}
    found: list[str] = []
    for page in recording_pages(run.client, params, limit=min(requests.recording_limit, PAGE_ROWS)):
        found += [str(row["id"]) for row in page.rows]
        if len(found) >= requests.recording_limit:
            break
    return found[: requests.recording_limit]


def _encoded(fields: Mapping[str, Any]) -> dict[str, str]:
    """PostHog reads each field of a query string as JSON where it can."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
