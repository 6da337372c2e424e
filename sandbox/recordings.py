"""Session recordings, as the rows that ingestion writes: several partial ones a session, summed up on reading.

Source: posthog/session_recordings and the session_replay_events table of PostHog/posthog, autumn 2026.
"""

from __future__ import annotations

from posthog_warehouse.sandbox.ddl import TEAM_ID
from posthog_warehouse.sandbox.recipe import Recipe, constant, pick, time_of

_SECOND = 1_000_000

_LOG_TEXTS = (
    "Loaded files in 212 ms",
    "Datei größer als 5 GB 🦔",
    '{"status":200,"path":"/api/files?limit=10"}',
    'Warning: Each child in a list should have a unique "key" prop.',
    "TypeError: Cannot read properties of undefined (reading 'id')\n    at render (app.js:1:2)",
    "",
)

_RETENTION_DAYS = (30, 30, 30, 90, 365)


def insert_recordings(recipe: Recipe, sessions: str, last: int, until_us: int) -> str:
    """Return the INSERT of partial rows for three sessions in ten, and for all from number `last` on.

    Args:
        recipe: hashes of the seed.
        sessions: a SELECT giving SESSION_COLUMNS.
        last: the number of the first session still going on at the end.
        until_us: the end, microseconds since 1970; nothing was ingested later.
    """
    draw = recipe.hash
    piece = "(n0 + i)"
    return f"""
INSERT INTO session_replay_events
SELECT
    {recipe.session_id()} AS session_id,
    {TEAM_ID},
    distinct_id,
    {time_of("start_us + intDiv(duration_us * toInt64(i), pieces)")},
    {time_of("piece_end_us")},
    {recipe.url(piece)} AS url,
    [url, {recipe.url("(n0 + i + 1)")}],
    {draw("clicks", piece)} % 12,
    {draw("keys", piece)} % 30,
    {draw("moves", piece)} % 90,
    least({draw("active", piece)} % 40000, intDiv(duration_us, pieces * 1000)),
    {draw("logs", piece)} % 5,
    {draw("warnings", piece)} % 3,
    {draw("errors", piece)} % 20 = 0,
    2000 + {draw("bytes", piece)} % 90000,
    5 + {draw("snapshots", piece)} % 60,
    1 + {draw("messages", piece)} % 4,
    if({draw("source", "s")} % 10 = 0, 'mobile', 'web'),
    {pick(_RETENTION_DAYS, "cityHash64(distinct_id)")},
    toDateTime({time_of(f"least(piece_end_us + {2 * _SECOND}, {until_us})")})
FROM (
    SELECT
        *,
        i,
        toInt64(1 + intDiv(size, 4)) AS pieces,
        start_us + intDiv(duration_us * toInt64(i + 1), pieces) AS piece_end_us
    FROM ({sessions})
    ARRAY JOIN range(toUInt64(1 + intDiv(size, 4))) AS i
    WHERE {draw("replay", "s")} % 10 < 3 OR s >= {last}
)"""


def insert_logs(seed: int, pieces: str = "1") -> str:
    """Return the INSERT of the console's lines of recordings: as many as the rows count.

    Args:
        seed: equal seeds give equal lines.
        pieces: SQL on session_replay_events: of which rows.
    """
    line = f"intHash64(cityHash64(session_id, min_first_timestamp, i) + {constant('console', seed)})"
    length = "toUnixTimestamp64Micro(max_last_timestamp) - toUnixTimestamp64Micro(min_first_timestamp)"
    return f"""
INSERT INTO log_entries (team_id, log_source, log_source_id, instance_id, timestamp, level, message, _timestamp)
SELECT
    team_id,
    'session_replay',
    session_id,
    '',
    min_first_timestamp + toIntervalMicrosecond(intDiv(({length}) * (i + 1), many + 1)),
    multiIf(i < console_log_count, 'info', i < console_log_count + console_warn_count, 'warn', 'error'),
    {pick(_LOG_TEXTS, line)},
    _timestamp
FROM (
    SELECT *, toInt64(console_log_count + console_warn_count + console_error_count) AS many, i
    FROM session_replay_events
    ARRAY JOIN range(toUInt64(console_log_count + console_warn_count + console_error_count)) AS i
    WHERE team_id = {TEAM_ID} AND ({pieces})
)"""
