"""Pages that wait for the last one, out of memory: a table that is replaced is loaded only once all of it was read."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa

SMALL_BYTES = 1_000_000
"""Pages below this are not worth a file."""


def spooled(table: pa.Table, small_bytes: int = SMALL_BYTES) -> pa.Table:
    """The same table, in a file that is mapped into memory and has no name any more: it goes with the table."""
    if table.nbytes < small_bytes:
        return table
    with tempfile.TemporaryDirectory(prefix="posthog-warehouse-") as folder:
        path = str(Path(folder) / "page.arrow")
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return pa.ipc.open_file(pa.memory_map(path)).read_all()
