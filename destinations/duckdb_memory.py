"""How much memory a DuckDB connection may take, and keep."""

from __future__ import annotations

import re

import duckdb

_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_UNITS |= {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_COLUMN_BYTES = 1_000_000
"""A change of a table holds blocks of 256 KiB for each of its columns, some of them more than one, and so does a row
group of Parquet while it is made (DuckDB 1.5)."""


def at_least(limit: str, least: int) -> str:
    """`limit`, as DuckDB writes sizes, or `least` bytes, whichever is more. What is no size is for DuckDB to refuse."""
    size = _bytes_of(limit)
    return limit if size is None or size >= least else f"{least}B"


def room_for(columns: int, limit: str) -> str | None:
    """SQL that lifts the limit, now `limit`, where a table of so many columns could not be written within it."""
    size = _bytes_of(limit)
    if size is None or size >= columns * _COLUMN_BYTES:
        return None
    return f"SET memory_limit = '{columns * _COLUMN_BYTES}B'"


def make_room_for(connection: duckdb.DuckDBPyConnection, columns: int) -> None:
    """Lifts the limit where a table of so many columns could not be written within it."""
    row = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    if lift := room_for(columns, str(row[0]) if row else ""):
        connection.execute(lift)


def give_back() -> None:
    """Gives back to the system what DuckDB's allocator keeps for later, after a merge some 250 MB.

    It does so by itself once it is used again by the same thread; dlt merges each package on another one. A database
    that is closed frees what all of the process have left behind (DuckDB 1.5), and takes ten milliseconds.
    """
    duckdb.connect(config={"threads": 1}).close()


def _bytes_of(size: str) -> float | None:
    found = re.fullmatch(r"([\d.]+) *(\w+)", size.strip())
    return float(found[1]) * _UNITS[found[2]] if found and found[2] in _UNITS else None
