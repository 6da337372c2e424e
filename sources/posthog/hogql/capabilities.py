"""What the server at hand understands, found by asking it once for each run.

Today's servers answer one query; older ones refuse it, and are then asked piece by piece.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone

from sources.posthog.answers import QueryAnswer
from sources.posthog.client import PostHogClient
from sources.posthog.errors import AnswerMalformed, QueryRefused, RequestRefused, ServerFault
from sources.posthog.hogql.dialect import FEWEST_ROWS, Dialect
from sources.posthog.hogql.windows import to_micros
from sources.posthog.shown import shown

MODERN_MODIFIERS: Mapping[str, object] = {
    # Without it datetimes are in the project's zone and filters on them skip less (posthog-api 6.7, autumn 2026).
    "convertToProjectTimezone": False,
    # The person as stored at ingestion: no join on the server, and an answer that a later merge does not change.
    "personsOnEventsMode": "person_id_no_override_properties_on_events",
}
_MODIFIERS_TO_TRY: tuple[Mapping[str, object], ...] = (
    MODERN_MODIFIERS,
    {"personsOnEventsMode": "person_id_no_override_properties_on_events"},
    # The name of the same mode in December 2023.
    {"personsOnEventsMode": "v1_enabled"},
    {},
)
_MODERN = Dialect(modifiers=MODERN_MODIFIERS)
_PROBE_TIME = "2000-01-01 00:00:00.000001"
_TYPED_TIME = f"toString(toTimeZone(toDateTime64('{_PROBE_TIME}', 6, 'UTC'), 'UTC'))"
_HASHES = "groupBitXor(cityHash64('a'))"
_OLD_SERVER_ROWS = 10_000
"""The silent cap of December 2023, assumed where it cannot be found out and the hashes are missing."""


def probe(client: PostHogClient) -> tuple[Dialect, int]:
    """The server's dialect and its clock (microseconds since 1970 UTC).

    Raises:
        PostHogError: the server cannot be asked at all.
    """
    try:
        answer = _ask(client, f"SELECT toString(now(), 'UTC'), {_TYPED_TIME}, {_HASHES} LIMIT 1", MODERN_MODIFIERS)
        if answer.rows and answer.rows[0][1:2] == [_PROBE_TIME]:
            return _with_row_cap(client, _MODERN), _clock(answer)
    except (QueryRefused, RequestRefused):
        pass
    return _probe_piece_by_piece(client)


def _probe_piece_by_piece(client: PostHogClient) -> tuple[Dialect, int]:
    modifiers = next(
        (candidate for candidate in _MODIFIERS_TO_TRY if _knows(client, "1", candidate)), _MODIFIERS_TO_TRY[-1]
    )
    has_zoned_text = _knows(client, "toString(now(), 'UTC')", modifiers)
    has_hashes = _knows(client, _HASHES, modifiers)
    dialect = Dialect(
        modifiers=modifiers,
        has_hashes=has_hashes,
        has_typed_times=_knows(client, _TYPED_TIME, modifiers, expect=_PROBE_TIME),
        has_zoned_text=has_zoned_text,
        max_rows=_MODERN.max_rows if has_hashes else _OLD_SERVER_ROWS,
    )
    answer = _ask(client, f"SELECT {dialect.time_text('now()')} LIMIT 1", modifiers)
    return _with_row_cap(client, dialect), _clock(answer)


def _with_row_cap(client: PostHogClient, dialect: Dialect) -> Dialect:
    """Finds out how many rows one answer may have: a larger LIMIT is lowered in silence, so it asks for that many."""
    most = _MODERN.max_rows
    try:
        answer = _ask(client, f"SELECT arrayJoin(range({most})) LIMIT {most}", dialect.modifiers)
    except (QueryRefused, RequestRefused, ServerFault):
        return dialect
    rows = len(answer.rows)
    return replace(dialect, max_rows=rows, proven_rows=rows) if rows >= FEWEST_ROWS else dialect


def _knows(client: PostHogClient, expression: str, modifiers: Mapping[str, object], expect: object = None) -> bool:
    try:
        answer = _ask(client, f"SELECT {expression} LIMIT 1", modifiers)
    except (QueryRefused, RequestRefused, ServerFault):
        return False
    return expect is None or (bool(answer.rows) and answer.rows[0][0] == expect)


def _ask(client: PostHogClient, sql: str, modifiers: Mapping[str, object]) -> QueryAnswer:
    return client.query(sql, modifiers=modifiers, name="posthog-warehouse probe")


def _clock(answer: QueryAnswer) -> int:
    """The time that PostHog answered in the first cell, microseconds UTC."""
    text = answer.rows[0][0] if answer.rows and answer.rows[0] else None
    try:
        return to_micros(datetime.strptime(str(text)[:19], "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc))
    except ValueError:
        fault = f"PostHog answered {shown(text)} when it was asked for its time"
    raise AnswerMalformed(fault, path=answer.path)
