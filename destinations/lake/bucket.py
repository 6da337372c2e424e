"""What destinations in a folder or a bucket have in common: where it is, who works on it, and what is counted there."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlparse

import pyarrow as pa

from ..destination import Bounds, Cell
from ..dlt_internals.filesystem import FilesystemConfiguration
from ..dlt_internals.loading import Destination as DltDestination
from ..dlt_internals.settings import resolve_configuration
from ..errors import DestinationError, DestinationUnusable, telling
from . import repeats
from .column_backfill import property_types
from .engine import DEFAULT_MEMORY_LIMIT, connection
from .failures import explained, no_bucket
from .opening import Opening
from .pipeline import lake
from .reading import Counter, LakeReading
from .store import Store

Self = TypeVar("Self", bound="BucketDestination")


class BucketDestination(ABC):
    """The tables of one dataset as files, held for a run."""

    name = "parquet"
    takes_parquet = True
    _unread: Collection[str] = ()
    """Paths of files that are not to be opened."""

    def __init__(self, bucket_url: str, dataset: str = "posthog", memory_limit: str = DEFAULT_MEMORY_LIMIT) -> None:
        self.dataset = dataset
        self._bucket_url = bucket_url
        self._memory_limit = memory_limit
        self._dlt = self._made_for_dlt(dlt_url(bucket_url))

    @abstractmethod
    def _made_for_dlt(self, bucket_url: str) -> lake:
        """The destination that dlt loads into."""

    @abstractmethod
    def _new_store(self, configuration: FilesystemConfiguration) -> Store:
        """The folder of the dataset."""

    @abstractmethod
    def _new_opening(self) -> Opening:
        """The right to write there, not taken yet."""

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
        return f"parquet:{dlt_url(self._bucket_url)}:{self.dataset}"

    @cached_property
    def _store(self) -> Store:
        with self._telling():
            # Of the same settings as the pipeline's, without what only a pipeline knows.
            configuration = resolve_configuration(
                FilesystemConfiguration(bucket_url=dlt_url(self._bucket_url)),
                sections=("destination", "filesystem"),
            )
            return self._new_store(configuration)

    @cached_property
    def _opening(self) -> Opening:
        return self._new_opening()

    @property
    def _counter(self) -> Counter:
        return Counter(self._store, self._memory_limit)

    def dlt_destination(self) -> DltDestination[Any, Any]:
        """For `dlt.pipeline(destination=...)`. Holds the lake from now on, and ends what a killed run left."""
        with self._telling():
            self._opening.open()
            self._dlt.opening = self._opening
        return self._dlt

    def dlt_staging(self) -> DltDestination[Any, Any] | None:
        """None: files are read where dlt writes them."""
        return None

    def explain(self, error: BaseException) -> DestinationError | None:
        """What to tell of an error that came out of dlt while it loaded."""
        return explained(error, self.location)

    def _check_place(self) -> None:
        if not self._store.is_local:
            if not self._store.has_bucket():
                raise no_bucket(self.location)
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

    def count_events(self, bounds: Bounds) -> dict[Cell, int]:
        """Rows of `events` within bounds, by UTC day and name."""
        with self._telling():
            return self._counter.count_events(bounds)

    def count_keys(self, table: str, *, has_tombstones: bool) -> int:
        """Rows of a keyed table; tombstones, where it has them, left out."""
        with self._telling():
            return self._counter.count_keys(table, has_tombstones=has_tombstones)

    def count_repeated(self, table: str, keys: Sequence[str]) -> int:
        """Rows of a table besides the first of each key."""
        with self._telling():
            return repeats.count(self._store, table, keys, self._memory_limit)

    def known_versions(self, table: str, key: str) -> Iterable[pa.Table]:
        """`key` (text), `version` and `is_deleted` of all rows of a table, in pieces; none: it is not there."""
        return self._counter.known_versions(table, key)

    def known_keys(self, table: str, key: str, start: datetime, end: datetime) -> Iterable[pa.Table]:
        """`key` (text) of the rows with `timestamp` from `start` on and before `end`, in pieces."""
        return self._counter.known_keys(table, key, start, end)

    def property_types(self, owner: str) -> dict[str, str | None]:
        """What the table property_definitions, where it is there, says of the properties of `owner`."""
        with self._telling():
            return property_types(self._store, owner, self._memory_limit)

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
                yield LakeReading(self._store, con, self._unread)

    def close(self) -> None:
        """Lets go of the lake, and of what is left on this machine of files on their way."""
        self._dlt.close()
        if "_store" in self.__dict__:
            self._opening.close()
            self._store.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _telling(self) -> AbstractContextManager[None]:
        """Makes errors of file systems and stores into words."""
        return telling(self.explain)


def dlt_url(bucket_url: str) -> str:
    """The address as dlt wants it: a path of this machine in full."""
    if "://" in bucket_url:
        return bucket_url
    return str(Path(bucket_url).expanduser().resolve())
