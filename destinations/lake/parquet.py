"""A Parquet lake as a destination: `--destination parquet --bucket-url URL`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlparse

import duckdb
import pyarrow as pa
from dlt.common.configuration.resolve import resolve_configuration
from dlt.common.destination import Destination
from dlt.common.storages import FilesystemConfiguration

from destinations.destination import Condition, Descriptions
from destinations.errors import DestinationError, DestinationForeign, DestinationUnusable

from . import views
from .anew import Columns, property_types
from .compacting import Compacted, compact
from .engine import DEFAULT_MEMORY_LIMIT, connection
from .failures import explained
from .inspection import odd_files
from .layout import FORMAT
from .opening import Opening
from .pipeline import lake
from .reading import Counter, LakeReading
from .store import Store

_SHOWN = 5


class Lake:
    """The Parquet files of one dataset, held for a run."""

    name = "parquet"
    takes_parquet = True

    def __init__(self, bucket_url: str, dataset: str = "posthog", memory_limit: str = DEFAULT_MEMORY_LIMIT) -> None:
        self.dataset = dataset
        self._bucket_url = bucket_url
        self._memory_limit = memory_limit
        self._dlt = lake(_dlt_url(bucket_url), memory_limit=memory_limit)

    @property
    def location(self) -> str:
        """Where the tables are, for people; without what an address may hold of a login."""
        parsed = urlparse(self._bucket_url)
        if parsed.scheme in {"", "file"} or "@" not in parsed.netloc:
            return self._bucket_url
        return parsed._replace(netloc=parsed.netloc.rsplit("@", 1)[1]).geturl()

    @property
    def identity(self) -> str:
        """What tells this destination from others, on this machine."""
        return f"parquet:{_dlt_url(self._bucket_url)}:{self.dataset}"

    @cached_property
    def _store(self) -> Store:
        with self._telling():
            # Of the same settings as the pipeline's, without what only a pipeline knows.
            configuration = resolve_configuration(
                FilesystemConfiguration(bucket_url=_dlt_url(self._bucket_url)),
                sections=("destination", "filesystem"),
            )
            return Store(configuration, self.dataset)

    @cached_property
    def _opening(self) -> Opening:
        return Opening(self._store, self.location, self._memory_limit)

    @property
    def _counter(self) -> Counter:
        return Counter(self._store, self._memory_limit)

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

    def dlt_destination(self) -> Destination[Any, Any]:
        """For `dlt.pipeline(destination=...)`. Holds the lake from now on, and ends what a killed run left."""
        with self._telling():
            self._opening.open()
            self._dlt.opening = self._opening
        return self._dlt

    def dlt_staging(self) -> Destination[Any, Any] | None:
        """None: files are read where dlt writes them."""
        return None

    def explain(self, error: BaseException) -> DestinationError | None:
        """What to tell of an error that came out of dlt while it loaded."""
        return explained(error, self.location)

    def _check_place(self) -> None:
        if not self._store.is_local:
            bucket = self._store.root.split("/", 1)[0]
            self._store.fs.ls(f"{bucket}/", detail=False)
            return
        folder = self._nearest()
        if not folder.is_dir():
            raise DestinationUnusable(f"{folder} is no folder.", "Give the path of a folder: --bucket-url FOLDER.")
        if not os.access(folder, os.W_OK):
            raise DestinationUnusable(
                f"{folder} cannot be written.", "Change its permissions, or give another --bucket-url."
            )

    def _nearest(self) -> Path:
        """The folder of the dataset, or the nearest one above it that is there."""
        path = Path(self._store.root)
        while not path.exists() and path != path.parent:
            path = path.parent
        return path

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

    def property_types(self, owner: str) -> dict[str, str | None]:
        """What the table property_definitions, where it is there, says of the properties of `owner`."""
        with self._telling():
            return property_types(self._store, owner, self._memory_limit)

    def compact(self, tables: Iterable[str] = ()) -> Iterator[Compacted]:
        """Makes few files of many, in these tables or all."""
        with self._telling():
            self._opening.open()
            for table in tables or self._store.tables():
                yield from compact(self._store, table, self._memory_limit)

    @property
    def tables(self) -> list[str]:
        """The tables that are there."""
        with self._telling():
            return self._store.tables()

    # -- what is there

    def totals(self, tables: Iterable[str]) -> dict[str, int]:
        """Rows of each table that is there."""
        with self._telling():
            return self._counter.totals(tables)

    def count_events(
        self,
        ts_from: datetime | None,
        ts_to: datetime | None,
        created_from: datetime | None,
        created_to: datetime | None,
    ) -> dict[tuple[str, str], int]:
        """Rows of `events` by UTC day (YYYY-MM-DD) and name; bounds are half-open, None is no bound."""
        with self._telling():
            return self._counter.count_events(ts_from, ts_to, created_from, created_to)

    def count_keys(self, table: str, *, has_tombstones: bool) -> int:
        """Rows of a keyed table; tombstones, where it has them, left out."""
        with self._telling():
            return self._counter.count_keys(table, has_tombstones=has_tombstones)

    def known_versions(self, table: str, key: str) -> Iterable[pa.Table]:
        """`key` (text), `version` and `is_deleted` of all rows of a table, in pieces; none: it is not there."""
        return self._counter.known_versions(table, key)

    def known_keys(self, table: str, key: str, start: datetime, end: datetime) -> Iterable[pa.Table]:
        """`key` (text) of the rows with `timestamp` from `start` on and before `end`, in pieces."""
        return self._counter.known_keys(table, key, start, end)

    @contextmanager
    def reading(self) -> Iterator[LakeReading]:
        """To look at what is there. Raises also where nothing is."""
        with self._telling():
            if self._opening.is_new:
                raise DestinationUnusable(
                    f"There is no lake in {self.location}.",
                    "Run `posthog-warehouse sync` first, or give another --bucket-url or --dataset.",
                )
            self._opening.check_format()
            with connection(self._store, self._memory_limit, "") as con:
                yield LakeReading(self._store, con)

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

    def close(self) -> None:
        """Lets go of the lake, and of what is left on this machine of files on their way."""
        self._dlt.close()
        if "_store" in self.__dict__:
            self._opening.close()
            self._store.close()

    def __enter__(self) -> Lake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Makes errors of file systems and stores into words."""
        try:
            yield
        except DestinationError:
            raise
        except Exception as error:
            if (told := explained(error, self.location)) is not None:
                raise told from error
            raise


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


def _dlt_url(bucket_url: str) -> str:
    """The address as dlt wants it: a path of this machine in full."""
    if "://" in bucket_url:
        return bucket_url
    return str(Path(bucket_url).expanduser().resolve())
