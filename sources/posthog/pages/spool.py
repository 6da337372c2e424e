"""Pages that wait for their load package on disk: Parquet files, written by the threads that fetch.

A page of events is 100 to 200 MB of Arrow. As a file it takes no memory while the package before it is merged, and dlt
takes the file over as it is (`dlt.mark.with_file_import`) instead of writing one, on the thread that merges.

`mapped` is for pages that are in memory and wait for the last one: a table that is replaced is loaded only once all of
it was read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

_PLAIN = frozenset({"properties", "uuid", "distinct_id"})
"""Columns in which values hardly ever come twice: a dictionary of them is only built to be thrown away."""


@dataclass(frozen=True)
class SpooledPage:
    """A page in a file. Whoever takes the page removes the file."""

    path: Path
    schema: pa.Schema
    num_rows: int
    kept: pa.Table
    """Those of its columns that are wanted before it is loaded."""

    def __len__(self) -> int:
        return self.num_rows

    def table(self) -> pa.Table:
        """The whole page, read back."""
        return pq.read_table(self.path, schema=self.schema)


class Spool:
    """Writes pages into `folder`, which is there. `kept` columns of each stay in memory as well."""

    def __init__(self, folder: Path, kept: Sequence[str]) -> None:
        self._folder = folder
        self._kept = list(kept)

    def __call__(self, page: pa.Table) -> SpooledPage:
        """`page` as a file of its own."""
        path = self._folder / f"{uuid4().hex}.parquet"
        # It lives for seconds: to pack it costs more than to write and read what is there.
        coded = [field.name for field in page.schema if pa.types.is_string(field.type) and field.name not in _PLAIN]
        pq.write_table(
            page,
            path,
            compression="none",
            use_dictionary=coded,
            write_statistics=False,
            row_group_size=max(1, page.num_rows),
        )
        return SpooledPage(path, page.schema, page.num_rows, page.select(self._kept).combine_chunks())


SMALL_BYTES = 1_000_000
"""Pages below this are not worth a file."""


def mapped(table: pa.Table, small_bytes: int = SMALL_BYTES) -> pa.Table:
    """The same table, in a file that is mapped into memory and has no name any more: it goes with the table."""
    if table.nbytes < small_bytes:
        return table
    with tempfile.TemporaryDirectory(prefix="posthog-warehouse-") as folder:
        path = str(Path(folder) / "page.arrow")
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
        return pa.ipc.open_file(pa.memory_map(path)).read_all()
