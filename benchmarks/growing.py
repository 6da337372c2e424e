"""Rows for a table of events that is to be large: put straight into the file, by no sync."""

from __future__ import annotations

import duckdb

_AT_ONCE = 1_000_000


def grow(connection: duckdb.DuckDBPyConnection, rows: int) -> None:
    """Puts so many events into `posthog.events`: of the last two years, with keys in the order of time (UUIDv7)."""
    held = connection.execute("SELECT count(*) FROM posthog.events").fetchone()
    start = held[0] if held else 0
    for first in range(start, start + rows, _AT_ONCE):
        last = min(first + _AT_ONCE, start + rows)
        # From 1 November 2024 on, in milliseconds: steps so small that they end before any day that is synced.
        connection.execute(
            f"""
            INSERT INTO posthog.events BY NAME
            SELECT
                (printf('%012x', ms) || '7' || substr(md5(number::VARCHAR), 1, 3) || '8'
                    || substr(md5(number::VARCHAR), 4, 15))::UUID AS uuid,
                'event ' || number % 50 AS event,
                make_timestamptz(ms * 1000) AS "timestamp",
                make_timestamptz(ms * 1000) AS created_at,
                'user ' || number % 100000 AS distinct_id,
                '{{"plan": "team", "number": ' || number || '}}' AS properties
            FROM (SELECT range AS number, 1730419200000 + range * 2500 AS ms FROM range({first}, {last}))
            """
        )
    connection.execute("CHECKPOINT")
