"""Tables with a log taken for writing: by one process, without what a killed run left there.

A change of the log is whole, or not there. What is left to be done is rows without a key: those of a package that does
not count are taken back, else the next run would bring them a second time.

    _posthog_warehouse/appends/<load id>/<table>.json    the version of the table ahead of that package's rows
"""

from __future__ import annotations

import posixpath

import pyarrow as pa

from ..lake.layout import SYSTEM
from ..lake.opening import Opening
from ..lake.write_ahead_log import counting
from .store import TableStore

_APPENDS = f"{SYSTEM}/appends"


class TableOpening(Opening):
    """The right to write tables of one format."""

    def __init__(self, store: TableStore, location: str, memory_limit: str, table_format: str) -> None:
        super().__init__(store, location, memory_limit)
        self._tables = store
        self.table_format = table_format

    def fence_table(self, table: str, schema: pa.Schema | None) -> None:
        """Makes entries of a table's log impossible that another run has prepared: one more comes before them."""
        self._tables.format.fence(table, schema)

    def settle(self, package: str | None) -> None:
        """Ends what a killed run left, but for the rows of `package`."""
        store = self._tables
        for table in store.tables():
            store.format.mend(table)
        counted: set[str] | None = None
        for file in store.files(_APPENDS, ".json"):
            load_id = posixpath.basename(posixpath.dirname(file.path))
            if load_id == package:
                continue
            counted = counting(store) if counted is None else counted
            if load_id not in counted:
                take_back(store, file.path)
            store.delete(file.path)


def note_append(store: TableStore, table: str, load_id: str) -> None:
    """Notes what `table` is ahead of the rows of a package; takes them back where some are there already."""
    path = f"{_APPENDS}/{load_id}/{table}.json"
    if store.exists(path):
        take_back(store, path)
    else:
        store.write_json(path, {"table": table, "version": store.format.version(table)})


def take_back(store: TableStore, path: str) -> None:
    """Makes the table of a note what it was then."""
    noted = store.read_json(path)
    if noted is not None:
        store.format.take_back(noted["table"], noted["version"])
