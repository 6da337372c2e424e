"""Which recordings are wanted, of the tables that are read for chosen recordings only, and two of these tables.

How chosen recordings are shared is one small object each. What their consoles said comes by HogQL: PostHog finds the
lines of a recording by its id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from ..clock import DAY
from ..errors import AnswerMalformed, EndpointNotFound, NotFound, NothingRequested
from ..pages.arrow import empty_table
from ..sql.dialect import text_literal
from ..tables.recordings import ConsoleLines
from .base import Noted, State, TableReading, nothing
from .keyset import Rows
from .rest.recordings import PAGE_ROWS, bounds, recording_pages
from .rest.rows import Shape
from .run import Run

_LOOK_BACK = 30 * DAY
_PAGING = frozenset({"limit", "offset", "after"})


def chosen_recordings(run: Run) -> list[str]:
    """The ids that `[sources.posthog.requests]` names, else the newest that its filter finds, the newest first.

    Without `date_from` the filter looks at the span of the run (`since`), or at the last 30 days. Raises
    NothingRequested for a filter that says how to page, and what the list of recordings raises.
    """
    if run.chosen_recordings is None:
        run.chosen_recordings = _chosen(run)
    return run.chosen_recordings


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


def read_sharing(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The engine: the settings of each chosen recording that PostHog has."""
    shape = Shape(reading.table, dict(state.get("types", {})))
    rows: list[dict[str, Any]] = []
    gone = 0
    for recording_id in chosen_recordings(run):
        path = f"session_recordings/{quote(recording_id, safe='')}/sharing"
        try:
            answer = run.client.get(path)
        except EndpointNotFound:
            raise
        except NotFound:
            gone += 1
            continue
        # PostHog's reference calls it a list, and shows one object.
        settings = answer[0] if isinstance(answer, list) and answer else answer
        if not isinstance(settings, dict):
            raise AnswerMalformed("PostHog's answer does not say how a recording is shared", path=path)
        rows.append(shape.row(settings, {"recording_id": recording_id}))
        run.progress.fetched(reading.table.name, 1)
    if gone:
        reading.notes.append(f"PostHog does not have {gone:,} of the chosen recordings")
    reading.answered.columns = shape.more_columns
    reading.evidence.held = len(rows)

    def noted(state: State) -> None:
        if shape.types:
            state["types"] = shape.types

    yield rows, noted


_RECORDINGS_A_QUERY = 200


def read_console(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """The engine: all lines of the chosen recordings, each once."""
    del state  # lines come as long as a recording goes on, and are few: all are read again
    table = reading.table
    if not isinstance(table.reads, ConsoleLines):
        raise TypeError(f"{table.name} does not hold lines of consoles")
    rows = Rows(run, table, table.reads.table)
    ids = chosen_recordings(run)
    columns = ", ".join(column.hogql for column in table.columns)
    total = 0
    for start in range(0, len(ids), _RECORDINGS_A_QUERY):
        some = ", ".join(map(text_literal, ids[start : start + _RECORDINGS_A_QUERY]))
        conditions = ["log_source = 'session_replay'", f"log_source_id IN ({some})"]
        # A line that was sent twice is there twice until ClickHouse merges it.
        for page in rows.by_key(conditions, group_by=columns):
            run.progress.fetched(table.name, page.num_rows)
            total += page.num_rows
            yield page, nothing
    reading.evidence.held = total
    yield empty_table(table), nothing
