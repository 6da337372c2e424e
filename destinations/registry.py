"""The kinds of destinations, declared as data: a new one costs one declaration.

Without imports of weight, for help lists them: what a kind needs is imported when one is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .kinds import BY_NAME, KINDS, Kind

if TYPE_CHECKING:
    from .destination import Destination, Place


@dataclass(frozen=True)
class Declaration:
    """A kind of destination."""

    name: str
    """As `--destination` has it."""
    make: Callable[[Place], Destination]
    """Makes one; nothing is opened yet, and no driver asked for."""
    settings: frozenset[str] = frozenset()
    """What it takes of `[sync]`, besides the dataset: `database`, `bucket_url`, `memory_limit`, `table_format`."""


def _duckdb(place: Place) -> Destination:
    from .duckdb import DuckDbFile  # noqa: PLC0415 - see above

    return DuckDbFile(place.database, place.dataset, place.memory_limit)


TABLE_FORMATS = ("delta", "iceberg")
"""What may keep a log of the changes of tables that are files."""


def _parquet(place: Place) -> Destination:
    if place.table_format is not None:
        from .open_tables import OpenTables  # noqa: PLC0415 - see above

        return OpenTables(place.bucket_url, place.dataset, place.memory_limit, table_format=place.table_format)
    from .lake import Lake  # noqa: PLC0415 - see above

    return Lake(place.bucket_url, place.dataset, place.memory_limit)


def _postgres(place: Place) -> Destination:
    from .postgres import Postgres  # noqa: PLC0415 - see above

    return Postgres(BY_NAME["postgres"], place)


def _ducklake(place: Place) -> Destination:
    from .ducklake import DuckLake  # noqa: PLC0415 - see above

    return DuckLake(BY_NAME["ducklake"], place)


_OWN: dict[str, Callable[[Place], Destination]] = {"postgres": _postgres, "ducklake": _ducklake}
"""Of dlt's destinations those that have a class of their own."""


def _dlt(kind: Kind) -> Declaration:
    def make(place: Place) -> Destination:
        from .sql import SqlDestination  # noqa: PLC0415 - see above

        return SqlDestination(kind, place)

    settings = frozenset({"memory_limit"} if kind.name == "ducklake" else ())
    return Declaration(kind.name, _OWN.get(kind.name, make), settings)


DESTINATIONS: dict[str, Declaration] = {
    declared.name: declared
    for declared in (
        Declaration("duckdb", _duckdb, settings=frozenset({"database", "memory_limit"})),
        Declaration("parquet", _parquet, settings=frozenset({"bucket_url", "memory_limit", "table_format"})),
        *map(_dlt, KINDS),
    )
}
"""By name, in the order in which they are listed."""
