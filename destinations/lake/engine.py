"""DuckDB in memory, as what reads and writes the Parquet files of a lake: bounded memory, whatever is merged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from ..duckdb_sql import literal
from .store import File, Store

DEFAULT_MEMORY_LIMIT = "400MB"


@contextmanager
def connection(
    store: Store, memory_limit: str = DEFAULT_MEMORY_LIMIT, folder: str | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection of one's own; what does not fit in `memory_limit` goes to the lake's scratch folder.

    In an object store it reads the files of `folder` as they are now; None: it reads files of this machine only.
    """
    with duckdb.connect(
        config={
            "memory_limit": memory_limit,
            # What its allocator keeps for later does not count for that limit: 128 MB a thread by default.
            "allocator_flush_threshold": "16MB",
            "preserve_insertion_order": False,
            # Each thread holds rows of its own while it sorts and writes; what is left of the cores reads ahead.
            "threads": 1,
            "temp_directory": str(store.scratch / "spill"),
        }
    ) as opened:
        opened.execute("SET TimeZone = 'UTC'")
        # A join keeps its right side in memory, which is the narrow one in all that is asked here: DuckDB would guess.
        opened.execute("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        if folder is not None and not store.is_local:
            opened.register_filesystem(store.listed(folder))
        yield opened


def scan(paths: Iterable[Path | str], more: str = "") -> str:
    """`read_parquet` of some files, whose columns are told by name; columns that paths would give are left out."""
    # Glob characters in a path stand for themselves.
    listed = ", ".join(literal(_plain(str(path))) for path in paths)
    return f"read_parquet([{listed}], union_by_name = true, hive_partitioning = false{more})"


def scan_files(store: Store, files: Iterable[File], more: str = "") -> str:
    """`read_parquet` of files of the lake."""
    return scan([store.url(file.path) for file in files], more)


def _plain(path: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in path)
