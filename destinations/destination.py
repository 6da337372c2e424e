"""What the program asks of a destination, whatever kind it is.

A kind of destination is a class that has all of `Destination`, and one line in `destinations.registry`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Protocol, TypeVar, runtime_checkable

import pyarrow as pa

from .dlt_internals.loading import Destination as DltDestination
from .errors import DestinationError, TableUnusable

Descriptions = Mapping[str, tuple[str, Mapping[str, str]]]
"""`{table: (description, {column: description})}`."""

Self = TypeVar("Self", bound="Destination")


Cell = tuple[str, str]
"""A UTC day (YYYY-MM-DD) and an event name."""


@dataclass(frozen=True)
class Bounds:
    """Which events are meant: from the one moment on, and before the other. None is no bound."""

    ts_from: datetime | None = None
    ts_to: datetime | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None

    def conditions(self, timestamp: str, created_at: str, mark: str) -> dict[str, datetime]:
        """A condition in SQL for each bound, with `mark` in the place of its value, and that value."""
        bounds = {
            f"{timestamp} >= {mark}": self.ts_from,
            f"{timestamp} < {mark}": self.ts_to,
            f"{created_at} >= {mark}": self.created_from,
            f"{created_at} < {mark}": self.created_to,
        }
        return {condition: bound for condition, bound in bounds.items() if bound is not None}


@dataclass(frozen=True)
class Place:
    """Where the tables are to go, out of `[sync]`. Each kind of destination takes of it what it needs."""

    dataset: str
    database: str
    bucket_url: str
    memory_limit: str
    table_format: str | None = None


@dataclass(frozen=True)
class Condition:
    """What `doctor` tells of a destination that passed its check. None: it does not say."""

    is_new: bool | None = None
    """Whether it is still to be made."""
    used_bytes: int | None = None
    free_bytes: int | None = None
    facts: tuple[str, ...] = ()
    """What else is to be said: versions, above all."""


@dataclass(frozen=True)
class StoredColumn:
    """A column as the destination has it."""

    name: str
    type: str
    """The destination's own name of the type."""
    is_time: bool
    """Whether it holds moments."""
    comment: str = ""


class Reading(Protocol):
    """A look at what a destination holds, which changes nothing there."""

    @property
    def tables(self) -> Mapping[str, Sequence[StoredColumn]]:
        """The columns of each table of the dataset in their order, dlt's own tables and the views left out."""

    def table(self, name: str) -> str:
        """How a query calls the table."""

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """What a query answers. It is written in DuckDB's SQL, as far as sqlglot can say it in the destination's own;
        tables are named by `table`, and each column has a name."""


class Destination(Protocol):
    """Where the tables go: opened when it is first needed, and held for a run.

    Every method may raise DestinationError.
    """

    @property
    def name(self) -> str:
        """Its kind, as `--destination` has it."""

    @property
    def dataset(self) -> str:
        """The schema (or folder) that holds the tables."""

    @property
    def location(self) -> str:
        """Where the tables are, for people. Never with a password."""

    @property
    def identity(self) -> str:
        """What tells this destination and dataset from others, on this machine."""

    @property
    def takes_parquet(self) -> bool:
        """Whether it loads Parquet files that dlt did not write itself, as they are (`dlt.mark.with_file_import`)."""

    def check(self) -> None:
        """Whether it can be loaded into; makes nothing. What is wrong is known here, before PostHog is asked."""

    def condition(self) -> Condition:
        """What `doctor` tells of it after `check`."""

    def dlt_destination(self) -> DltDestination[Any, Any]:
        """For `dlt.pipeline(destination=...)`."""

    def dlt_staging(self) -> DltDestination[Any, Any] | None:
        """For `dlt.pipeline(staging=...)`: where files wait for it, for those that read them from a bucket only."""

    def explain(self, error: BaseException) -> DestinationError | None:
        """What to tell of an error that came out of dlt while it loaded; None: it is not the destination's."""

    def finish(self, descriptions: Descriptions) -> None:
        """After a sync: makes the views, and comments on tables and columns, as far as it has such things."""

    def totals(self, tables: Iterable[str]) -> dict[str, int]:
        """Rows of each table that is there."""

    def count_events(self, bounds: Bounds) -> dict[Cell, int]:
        """Rows of `events` within bounds, by UTC day and name."""

    def count_keys(self, table: str, *, has_tombstones: bool) -> int:
        """Rows of a keyed table; tombstones, where it has them, left out."""

    def count_repeated(self, table: str, keys: Sequence[str]) -> int:
        """Rows of a table besides the first of each key; 0: each key is there once, or there is no table."""

    def known_versions(self, table: str, key: str) -> Iterable[pa.Table]:
        """`key` (text), `version` and `is_deleted` of all rows of a table, in pieces; none: it is not there."""

    def known_keys(self, table: str, key: str, start: datetime, end: datetime) -> Iterable[pa.Table]:
        """`key` (text) of the rows with `timestamp` from `start` on and before `end`, in pieces."""

    def reading(self) -> AbstractContextManager[Reading]:
        """To look at what is there. Raises also where nothing is."""

    def look(self, sql: str) -> str:
        """A command line that shows what `sql` answers; empty: there is none to recommend."""

    def close(self) -> None:
        """Lets go of it. May be called twice."""

    def __enter__(self: Self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class NamesUnusableTables(Protocol):
    """A destination that can be loaded into although some of its tables cannot."""

    def unusable_tables(self) -> Sequence[TableUnusable]:
        """After `check`: what is wrong with which table; several errors may be of one."""


@runtime_checkable
class KnowsItsOwn(Protocol):
    """A destination that can tell tables of ours from others of the same name."""

    def refuse_foreign(self, tables: Iterable[str]) -> None:
        """After `check`: raises DatasetTaken where loading `tables` would touch what is not ours. Changes nothing."""


def refuse_foreign(destination: Destination, tables: Iterable[str]) -> None:
    """Raises DatasetTaken where loading `tables` into a destination that passed its check would touch what is not
    ours."""
    if isinstance(destination, KnowsItsOwn):
        destination.refuse_foreign(tables)


@runtime_checkable
class MendsRepeated(Protocol):
    """A destination that can remove rows whose key another row of the table has."""

    def mend_repeated(self, table: str, keys: Sequence[str], newest_by: str | None) -> None:
        """Leaves one row of each key: the newest by the column `newest_by`; None: any."""


def unusable_tables(destination: Destination) -> Sequence[TableUnusable]:
    """What is wrong with which table of a destination that passed its check."""
    return destination.unusable_tables() if isinstance(destination, NamesUnusableTables) else ()


@runtime_checkable
class TellsDropped(Protocol):
    """A destination whose tables somebody may drop behind dlt's back."""

    def dropped_tables(self) -> Sequence[str]:
        """After `check`: tables that were loaded, and that are not there any more."""


def dropped_tables(destination: Destination) -> Sequence[str]:
    """Tables that were loaded into a destination that passed its check, and that are not there any more."""
    return destination.dropped_tables() if isinstance(destination, TellsDropped) else ()


@runtime_checkable
class TellsColumnTypes(Protocol):
    """A destination that can be asked of which types its columns are, whatever dlt's schema says."""

    def column_types(self, table: str) -> Mapping[str, str]:
        """dlt's type of each column of a table, as it is there; columns of types that dlt does not have are left out.

        Empty where the table is not there.
        """


def column_types(destination: Destination, table: str) -> Mapping[str, str]:
    """dlt's type of each column of a table; empty where the destination cannot tell: in Parquet files JSON is text."""
    return destination.column_types(table) if isinstance(destination, TellsColumnTypes) else {}
