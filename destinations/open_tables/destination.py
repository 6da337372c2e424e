"""Delta or Iceberg tables as a destination: `--destination parquet --table-format delta --bucket-url URL`."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple

from ..destination import Condition, Descriptions
from ..dlt_internals.filesystem import FilesystemConfiguration
from ..errors import DestinationError, DestinationForeign, DestinationUnusable, chain_of, first_line
from ..lake.bucket import BucketDestination
from ..lake.compacting import Compacted
from ..lake.engine import DEFAULT_MEMORY_LIMIT
from ..lake.store import File
from .columns import TableColumns
from .formats import require
from .merging import compact, mend
from .opening import TableOpening
from .pipeline import open_tables
from .store import TableStore

_SHOWN = 5
_LIBRARIES = {"deltalake", "pyiceberg", "_internal"}


class OpenTables(BucketDestination):
    """The tables of one dataset, all in one format, held for a run."""

    _store: TableStore

    def __init__(
        self,
        bucket_url: str,
        dataset: str = "posthog",
        memory_limit: str = DEFAULT_MEMORY_LIMIT,
        *,
        table_format: str,
    ) -> None:
        self.table_format = table_format
        super().__init__(bucket_url, dataset, memory_limit)

    def _made_for_dlt(self, bucket_url: str) -> open_tables:
        return open_tables(bucket_url, table_format=self.table_format, memory_limit=self._memory_limit)

    def _new_store(self, configuration: FilesystemConfiguration) -> TableStore:
        require(self.table_format)
        return TableStore(configuration, self.dataset, self.table_format)

    def _new_opening(self) -> TableOpening:
        return TableOpening(self._store, self.location, self._memory_limit, self.table_format)

    def check(self) -> None:
        """Whether it can be loaded into; makes nothing. Looks for the files that the tables' logs name."""
        with self._telling():
            self._check_place()
            self._opening.check()
            tables = self._store.tables()
            if tables and self._opening.is_new:
                raise DestinationForeign(
                    f"{self.location}/{self.dataset} holds tables that this program did not write: "
                    f"{', '.join(tables[:_SHOWN])}{', ...' if len(tables) > _SHOWN else ''}.",
                    "Give another --bucket-url or --dataset; nothing was changed.",
                )
            self._check_files(tables)

    def _check_files(self, tables: Iterable[str]) -> None:
        broken = []
        for table in tables:
            sizes = {file.path: file.size for file in self._store.lying(table)}
            broken += [file.path for file in self._named(table) if sizes.get(file.path) != file.size]
        if broken:
            shown = ", ".join(broken[:_SHOWN]) + (f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else "")
            number = f"{len(broken)} files" if len(broken) > 1 else "A file"
            raise DestinationForeign(
                f"{number} of {self.table_format.capitalize()} tables in {self.location}/{self.dataset} is missing, or "
                f"not what was written: {shown}.",
                "Bring it back from a copy, or load into another --dataset. Nothing was changed.",
            )

    def _named(self, table: str) -> list[File]:
        try:
            return self._store.files(table)
        except Exception as error:
            if not _is_of_library(error):
                raise
            raise DestinationUnusable(
                f"The log of the table {table} in {self.location} cannot be read: {first_line(error)}.",
                "Run the same command again. If it stays so, bring the log back from a copy, or load into another "
                "--dataset; nothing was changed.",
            ) from error

    def condition(self) -> Condition:
        """The room that is left on a local disk, and how much the tables are as they are now."""
        with self._telling():
            files = [file for table in self._store.tables() for file in self._store.files(table)]
            return Condition(
                is_new=self._opening.is_new,
                used_bytes=sum(file.size for file in files),
                free_bytes=shutil.disk_usage(self._nearest()).free if self._store.is_local else None,
                facts=(f"{self.table_format.capitalize()} tables", f"{len(files):,} data files"),
            )

    def explain(self, error: BaseException) -> DestinationError | None:
        """What to tell of an error that came out of dlt, or of a format's library."""
        if (told := super().explain(error)) is not None:
            return told
        for each in chain_of(error):
            if _is_of_library(each):
                return DestinationUnusable(
                    f"{self.location} failed: {type(each).__name__}: {first_line(each)}",
                    "What was loaded before is kept. Run the same command again: it goes on there.",
                )
        return None

    def finish(self, descriptions: Descriptions) -> None:
        """Nothing: views and comments would lie in a catalog, and there is none."""

    def columns(self, table: str) -> TableColumns:
        """The columns of one table, to be made anew."""
        with self._telling():
            self._opening.open()
            return TableColumns(self._store, table, self._memory_limit)

    def mend_repeated(self, table: str, keys: Sequence[str], newest_by: str | None) -> None:
        """Removes rows besides the first of each key, in one entry of the table's log."""
        with self._telling():
            self._opening.open()
            mend(self._store, table, keys, newest_by, self._memory_limit)

    def compact(self, tables: Iterable[str] = ()) -> Iterator[Compacted]:
        """Makes few files of many, in these tables or all."""
        with self._telling():
            self._opening.open()
            for table in tables or self._store.tables():
                for fewer in compact(self._store, table, self._memory_limit):
                    yield Compacted(table, *astuple(fewer))

    def look(self, sql: str) -> str:
        """None: DuckDB reads the tables with an extension of its own."""
        del sql
        return ""


def _is_of_library(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in _LIBRARIES
