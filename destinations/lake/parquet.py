"""A Parquet lake as a destination: `--destination parquet --bucket-url URL`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import duckdb
from dlt.common.storages import FilesystemConfiguration

from destinations.destination import Condition, Descriptions
from destinations.errors import DestinationForeign

from . import views
from .anew import Columns
from .bucket import BucketDestination
from .compacting import Compacted, compact
from .engine import connection
from .inspection import odd_files
from .layout import FORMAT
from .opening import Opening
from .pipeline import lake
from .reading import LakeReading
from .store import Store

_SHOWN = 5


class Lake(BucketDestination):
    """The Parquet files of one dataset, held for a run."""

    def _made_for_dlt(self, bucket_url: str) -> lake:
        return lake(bucket_url, memory_limit=self._memory_limit)

    def _new_store(self, configuration: FilesystemConfiguration) -> Store:
        return Store(configuration, self.dataset)

    def _new_opening(self) -> Opening:
        return Opening(self._store, self.location, self._memory_limit)

    # -- before a run

    def check(self) -> None:
        """Whether it can be loaded into; makes nothing. Looks at the end of each file."""
        with self._telling():
            self._check_place()
            self._opening.check()
            self._check_files()

    def condition(self) -> Condition:
        """The room that is left on a local disk, and how much is there."""
        with self._telling():
            files = [file for table in self._store.tables() for file in self._store.files(table)]
            free = shutil.disk_usage(self._nearest()).free if self._store.is_local else None
            return Condition(
                is_new=self._opening.is_new,
                used_bytes=sum(file.size for file in files),
                free_bytes=free,
                facts=(f"lake format {FORMAT}", f"{len(files):,} Parquet files"),
            )

    def _check_files(self) -> None:
        odd = odd_files(self._store, self._store.tables())
        for kind, what, advice in _ODDITIES:
            paths = [each.file.path for each in odd if each.kind == kind]
            if paths:
                shown = ", ".join(paths[:_SHOWN]) + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")
                number = f"{len(paths)} files" if len(paths) > 1 else "A file"
                raise DestinationForeign(f"{number} in {self.location}/{self.dataset} {what}: {shown}.", advice)

    # -- after a load

    def finish(self, descriptions: Descriptions) -> None:
        """Writes views.sql, and lake.duckdb on a local disk."""
        with self._telling(), connection(self._store, self._memory_limit, "") as con:
            tables = LakeReading(self._store, con).tables
            url = self._store.url("").rstrip("/")
            sources = {table: views.table_source(url, table) for table in tables}
            columns = {table: [column.name for column in found] for table, found in tables.items()}
            made = list(views.statements(sources, columns, self.dataset, descriptions))
            self._store.write_text("views.sql", ";\n".join([*made, ""]))
            if self._store.is_local:
                scratch = self._store.scratch_file()
                with duckdb.connect(str(scratch)) as database:
                    for statement in made:
                        database.execute(statement)
                self._store.put(scratch, "lake.duckdb")

    def columns(self, table: str) -> Columns:
        """The columns of one table, to be made anew."""
        with self._telling():
            self._opening.open()
            return Columns(self._store, table, self._memory_limit)

    def compact(self, tables: Iterable[str] = ()) -> Iterator[Compacted]:
        """Makes few files of many, in these tables or all."""
        with self._telling():
            self._opening.open()
            for table in tables or self._store.tables():
                yield from compact(self._store, table, self._memory_limit)

    def look(self, sql: str) -> str:
        """By DuckDB's own shell, or by Python where there is none; a local lake only."""
        if not self._store.is_local:
            return ""
        database = os.path.relpath(self._store.path("lake.duckdb"))
        if shutil.which("duckdb"):
            return f'duckdb -readonly {database} "{sql}"'
        python = Path(sys.executable)
        shown = python.relative_to(Path.cwd()) if python.is_relative_to(Path.cwd()) else python
        return f"{shown} -c \"import duckdb; print(duckdb.connect('{database}', read_only=True).sql('{sql}'))\""


_ODDITIES = (
    (
        "newer",
        "were written by a newer version of this program",
        "Install that version, or give another --bucket-url or --dataset; nothing was changed.",
    ),
    (
        "damaged",
        "cannot be read as Parquet (cut off, or no Parquet at all)",
        "Remove it, or bring it back from a copy; rows that were in it are missing then, which the check of the next "
        "run shows. Nothing was changed.",
    ),
    (
        "foreign",
        "were not written by this program",
        "Move it out of the tables' folders: readers would take its rows for PostHog's. Nothing was changed.",
    ),
)
