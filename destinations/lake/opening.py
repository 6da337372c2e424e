"""A lake taken for writing: its format known, held by this process alone, and what a killed run left there ended."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa

from ..errors import DestinationForeign, DestinationUnusable
from . import write_ahead_log
from .held import Hold
from .layout import FORMAT, SYSTEM
from .store import Store

_FORMAT = f"{SYSTEM}/format.json"


class Opening:
    """The right to write, from `open` to `close`."""

    table_format: str | None = None
    """What keeps the log of the tables' changes; None: nothing does, they are plain files."""

    def __init__(self, store: Store, location: str, memory_limit: str) -> None:
        self.store = store
        self._location = location
        self._memory_limit = memory_limit
        self._is_open = False
        self.without: Collection[str] = ()
        """Tables in which nothing is to be changed, whatever a killed run left there."""
        self._hold = Hold(store, location)

    @property
    def is_new(self) -> bool:
        """Whether there is no lake yet."""
        return not self.store.exists(_FORMAT)

    def check(self) -> None:
        """Raises where the lake cannot be opened now; changes nothing.

        Raises:
            DestinationUnusable: a newer version wrote it.
            DestinationForeign: its tables are of another format.
            DestinationHeld: another process has it.
        """
        self.check_format()
        self._hold.check()

    def check_format(self) -> None:
        """Raises DestinationError where a newer version wrote the lake, or its tables are of another format."""
        found = self.store.read_json(_FORMAT)
        if found is None:
            return
        if found["format"] > FORMAT:
            raise DestinationUnusable(
                f"The lake {self._location} was written by a newer version of this program (format {found['format']}, "
                f"and this one knows {FORMAT}).",
                "Install that version, or give another --bucket-url or --dataset; nothing was changed.",
            )
        there = found.get("table_format")
        if there != self.table_format:
            holds = "plain Parquet files" if there is None else f"{there.capitalize()} tables"
            flag = "Leave --table-format out" if there is None else f"Give --table-format {there}"
            raise DestinationForeign(
                f"The lake {self._location} holds {holds}.",
                f"{flag}, or give another --bucket-url or --dataset; nothing was changed.",
            )

    def open(self, *, package: str | None = None) -> None:
        """Opens the lake, once. `package`: a load package that is about to be taken up again."""
        if self._is_open:
            return
        self.check_format()
        self._hold.take()
        self.store.fence.lease = self._hold.lease
        self.store.sweep()
        self.store.fence.settle(self.fence_table, self.without)
        self.settle(package)
        if self.is_new:
            named = {} if self.table_format is None else {"table_format": self.table_format}
            self.store.write_json(_FORMAT, {"format": FORMAT, **named})
        self._is_open = True

    def settle(self, package: str | None) -> None:
        """Ends what a killed run left, but for the rows of `package`."""
        write_ahead_log.settle(self.store, self._memory_limit, but=package, without=self.without)

    def fence_table(self, table: str, schema: pa.Schema | None) -> None:
        """Makes entries of a table's log impossible that another run has prepared; plain files have no log."""

    def close(self) -> None:
        """Lets go of it; may be called twice."""
        self._hold.release()
        self.store.fence.lease = None
        self._is_open = False
