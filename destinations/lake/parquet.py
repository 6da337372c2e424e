"""A Parquet lake as a destination: `--destination parquet --bucket-url URL`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import duckdb

from ..destination import Condition, Descriptions
from ..dlt_internals.filesystem import FilesystemConfiguration
from ..errors import TableUnusable
from . import integrity_check, repeats, views
from .bucket import BucketDestination
from .column_backfill import LakeColumns
from .compacting import Compacted, compact
from .engine import connection
from .integrity_check import Oddity, odd_files
from .layout import FORMAT
from .opening import Opening
from .pipeline import lake
from .reading import LakeReading
from .store import Store


class Lake(BucketDestination):
    """The Parquet files of one dataset, held for a run."""

    _odd: Sequence[Oddity] = ()

    def _made_for_dlt(self, bucket_url: str) -> lake:
        return lake(bucket_url, memory_limit=self._memory_limit)

    def _new_store(self, configuration: FilesystemConfiguration) -> Store:
        return Store(configuration, self.dataset)

    def _new_opening(self) -> Opening:
        return Opening(self._store, self.location, self._memory_limit)

    # -- before a run

    def check(self) -> None:
        """Whether it can be loaded into; makes nothing. Looks at the end of each file: see `unusable_tables`."""
        with self._telling():
            self._check_place()
            self._opening.check()
            self._odd = odd_files(self._store, self._store.tables())
            integrity_check.refuse_newer(self._odd, f"{self.location}/{self.dataset}")
            self._opening.without = self._odd_tables
            self._unread = {each.file.path for each in self._odd if each.kind == "damaged"}

    def unusable_tables(self) -> Sequence[TableUnusable]:
        """After `check`: files of tables that are damaged or not ours. Nothing is changed in these tables."""
        return integrity_check.told(self._odd, f"{self.location}/{self.dataset}")

    @property
    def _odd_tables(self) -> set[str]:
        return {each.table for each in self._odd}

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

    # -- after a load

    def finish(self, descriptions: Descriptions) -> None:
        """Writes views.sql, and lake.duckdb on a local disk."""
        if self._odd:
            return  # no view can be made of a table with a file that is none: the old ones stay
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

    def columns(self, table: str) -> LakeColumns:
        """The columns of one table, to be made anew."""
        with self._telling():
            self._opening.open()
            return LakeColumns(self._store, table, self._memory_limit)

    def mend_repeated(self, table: str, keys: Sequence[str], newest_by: str | None) -> None:
        """Removes rows besides the first of each key, file by file."""
        with self._telling():
            self._opening.open()
            repeats.mend(self._store, table, keys, newest_by, self._memory_limit)

    def property_types(self, owner: str) -> dict[str, str | None]:
        """What the table property_definitions, where it is there and usable, says of the properties of `owner`."""
        return {} if "property_definitions" in self._odd_tables else super().property_types(owner)

    def compact(self, tables: Iterable[str] = ()) -> Iterator[Compacted]:
        """Makes few files of many, in these tables or all; tables that are unusable are left out."""
        with self._telling():
            self._opening.open()
            for table in [name for name in tables or self._store.tables() if name not in self._odd_tables]:
                yield from compact(self._store, table, self._memory_limit)

    def totals(self, tables: Iterable[str]) -> dict[str, int]:
        """Rows of each table that is there and usable."""
        return super().totals(set(tables) - self._odd_tables)

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
