"""How much memory a DuckDB connection may take."""

from __future__ import annotations

import re

import duckdb

_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_COLUMN_BYTES = 1_000_000
"""A change of a table holds blocks of 256 KiB for each of its columns, some of them more than one (DuckDB 1.5)."""


def make_room_for(connection: duckdb.DuckDBPyConnection, columns: int) -> None:
    """Lifts the limit where a table of so many columns could not be written within it."""
    row = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    found = re.fullmatch(r"([\d.]+) (\w+)", str(row[0]) if row else "")
    if found is None or found[2] not in _UNITS:
        return
    if float(found[1]) * _UNITS[found[2]] < columns * _COLUMN_BYTES:
        connection.execute(f"SET memory_limit = '{columns * _COLUMN_BYTES}B'")
