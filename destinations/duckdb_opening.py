"""How a DuckDB file is opened: what it may take, how it stores rows, and words for a file that cannot be opened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb

from .duckdb_sql import identifier, literal
from .errors import DestinationForeign, DestinationHeld, DestinationUnusable

ROW_GROUP = 40_960
"""Rows of a row group; DuckDB's default is 122,880, and groups of any size live side by side in a table. DuckDB holds
a row group as it came until it is full, then packs it: 122,880 events of 2 KB do not fit into the default memory limit,
and went through a temporary file."""

_HOLDER = re.compile(r"Conflicting lock is held in (.+?) \(PID (\d+)\)")


def open_file(path: str, location: str, memory_limit: str, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    """A connection to the file at `path`, or to `:memory:`; `location` is what people know it by.

    Raises:
        DestinationHeld: another process has the file open.
        DestinationForeign: the file is not DuckDB's.
        DestinationUnusable: it cannot be opened for another reason.
    """
    config: dict[str, Any] = {
        "memory_limit": memory_limit,
        # What its allocator keeps for later does not count for that limit: 128 MB a thread by default.
        "allocator_flush_threshold": "16MB",
        # Rows have no order in these tables, and keeping one costs memory in every merge.
        "preserve_insertion_order": False,
    }
    if not read_only:
        # A file made with DuckDB 1.5's default version stores zstd columns uncompressed, in silence.
        config["storage_compatibility_version"] = "latest"
        # A second thread needs row groups of its own, which do not fit: a merge of a hundred columns then takes
        # more than twice the CPU time, and longer by the clock (benchmarks/README.md). Pages are decoded meanwhile.
        config["threads"] = 1
        # Else a checkpoint may make the whole table anew to save a few row groups: see `DuckDbFile._tidy`.
        config["max_vacuum_tasks"] = 0
    try:
        connection = duckdb.connect(path, read_only=read_only, config=config)
        connection.execute("SET TimeZone = 'UTC'")
        if not read_only and path != ":memory:":
            _attach_anew(connection, path)
    except duckdb.IOException as error:
        text = str(error)
        if holder := _HOLDER.search(text):
            raise DestinationHeld(
                f"{location} is held by another process: {Path(holder[1]).name} (PID {holder[2]}).",
                "Close it there, or wait until it is done, and run the same command again; nothing is lost.",
            ) from None
        if "not a valid DuckDB database file" in text:
            raise DestinationForeign(
                f"{location} is not a DuckDB file.", "Give another --database; this file was not touched."
            ) from None
        raise DestinationUnusable(f"{location} cannot be opened: {text}", "Give another --database.") from None
    except duckdb.Error as error:
        raise DestinationUnusable(
            f"{location} cannot be opened: {error}", "Check the file, or give another --database."
        ) from None
    return connection


def _attach_anew(connection: duckdb.DuckDBPyConnection, path: str) -> None:
    """Attaches the file that `connection` has open again: the size of row groups can only be given with ATTACH.

    It keeps its name, so it also stays the database of all cursors.
    """
    row = connection.execute("SELECT current_database()").fetchone()
    name, aside = identifier(str(row and row[0])), identifier(f"{row and row[0]} aside")
    for statement in (
        f"ATTACH ':memory:' AS {aside}",
        f"USE {aside}",
        f"DETACH {name}",
        f"ATTACH {literal(path)} AS {name} (ROW_GROUP_SIZE {ROW_GROUP})",
        f"USE {name}",
        f"DETACH {aside}",
    ):
        connection.execute(statement)
