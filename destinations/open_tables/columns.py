"""Columns of a table made anew from another column of it: the whole table is replaced, in one entry of its log."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa

from ..lake.column_backfill import LakeColumns
from ..lake.engine import connection
from .store import TableStore

_BATCH_ROWS = 4_000


class TableColumns(LakeColumns):
    """The columns of one table that is held."""

    def __init__(self, store: TableStore, table: str, memory_limit: str) -> None:
        super().__init__(store, table, memory_limit)
        self._format = store.format

    def replace(self, types: Mapping[str, str], pages: Iterable[pa.Table]) -> None:
        """Makes columns anew, each of dlt's type `types[name]`, out of `pages`. All of them, or none."""
        made = self._store.scratch_file()
        try:
            is_any = self._written(made, list(types), pages)
            with connection(self._store, self._memory_limit, self._table) as con:
                if not is_any:
                    self._write_none(con, made, types)
                rows = [
                    self._anew(con, number, self._store.url(file.path), made, types)
                    for number, file in enumerate(self._files)
                ]
                found = con.execute(" UNION ALL BY NAME ".join(rows)).to_arrow_reader(_BATCH_ROWS)
                self._format.replace(self._table, found)
        finally:
            made.unlink(missing_ok=True)
