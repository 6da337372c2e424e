"""Which recordings grew since they were read, found by one HogQL query, whenever that was after their end.

PostHog's list of recordings tells nothing of when a recording changed, and asks for many requests to be read again. Its
table of replay events has what a recording is made of: when it began and ended, clicks, keys, seconds of activity. All
of these only grow. So the sums over the recordings that began in one hour of UTC say whether any of them did, and the
hours with another sum than at their last reading are listed again. Sums need no function that an older server lacks.
"""

from __future__ import annotations

import logging
from datetime import datetime, timezone
from functools import partial
from typing import Any

from sources.posthog.cells import COUNT, INTEGER, Kind, cells
from sources.posthog.errors import AccessDenied, Narrow, NotFound, QueryRefused, TableMissing
from sources.posthog.hogql.dialect import select
from sources.posthog.hogql.windows import DAY, HOUR, to_micros
from sources.posthog.lacking import refused_as
from sources.posthog.run import Run

logger = logging.getLogger(__name__)

TABLE = "raw_session_replay_events"
_SLACK = 2 * DAY
"""How far before the span parts of recordings are read as well, in microseconds: else a recording that began before it
would seem to begin in it. All parts lie within a day (PostHog ends a session after 24 hours)."""
_FIGURES = (
    *("click_count", "keypress_count", "mouse_activity_count", "active_milliseconds"),
    *("console_log_count", "console_warn_count", "console_error_count"),
)


def recording_marks(run: Run, low: int, high: int) -> dict[int, str] | None:
    """A mark for each hour from `low` to `high` (microseconds UTC) in which recordings began, by its number since 1970.

    None where PostHog cannot be asked: the key may not query, the server has no such table, or the query is too much
    for it.
    """
    if run.settings.engine == "listing" or run.lacking.error(TABLE) is not None:
        return None
    try:
        return _marks(run, low, high)
    except (AccessDenied, NotFound, Narrow) as error:
        logger.info("Recordings that grew cannot be asked for: %s", error)
    except QueryRefused as refused:
        # A server that names these columns otherwise gives no marks, and is not asked again.
        logger.info("Recordings that grew cannot be asked for: %s", refused)
        run.lacking.add(TABLE, refused_as(TableMissing, refused))
    return None


def _marks(run: Run, low: int, high: int) -> dict[int, str]:
    dialect = run.dialect
    figures = " + ".join(f"sum({name})" for name in _FIGURES)
    began = "min(min_first_timestamp)"
    bounds = " AND ".join(dialect.time_bounds("min_first_timestamp", low - _SLACK, high + DAY))
    inner = (
        f"SELECT session_id, substring({dialect.time_text(began)}, 1, 13) AS hour, toUnixTimestamp({began}) AS began, "
        f"toUnixTimestamp(max(max_last_timestamp)) AS ended, {figures} AS figures FROM {TABLE} "
        f"WHERE {bounds} GROUP BY session_id"
    )
    marks: dict[int, str] = {}
    beyond = [f"hour >= '{_text(low)}'", f"hour <= '{_text(high)}'"]
    while True:
        sql = select(
            ["hour", "count()", "sum(began)", "sum(ended)", "sum(figures)"],
            f"({inner})",
            beyond,
            group_by="hour",
            order_by="hour",
            limit=dialect.max_rows,
        )
        read = partial(cells, kinds=_KINDS)
        name = "posthog-warehouse session_recordings"
        rows = run.client.query(sql, modifiers=dialect.modifiers, name=name, read=read)
        for hour, *sums in rows:
            marks[hour // HOUR] = " ".join(map(str, sums))
        if len(rows) < dialect.max_rows:
            return marks
        beyond[0] = f"hour > '{_text(rows[-1][0])}'"


def _text(micros: int) -> str:
    return datetime.fromtimestamp(micros // HOUR * 3600, timezone.utc).strftime("%Y-%m-%d %H")


def _hour(cell: Any) -> int:
    """Microseconds UTC of the start of an hour as text. Raises ValueError and TypeError for what is none."""
    if not isinstance(cell, str):
        raise TypeError
    return to_micros(datetime.strptime(cell, "%Y-%m-%d %H").replace(tzinfo=timezone.utc))


_KINDS = (Kind("an hour", _hour), COUNT, INTEGER, INTEGER, INTEGER)
