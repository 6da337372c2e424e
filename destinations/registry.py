"""The kinds of destinations, declared as data: a new one costs one declaration.

Without imports of weight, for help lists them: what a kind needs is imported when one is made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from destinations.destination import Destination, Place


@dataclass(frozen=True)
class Declaration:
    """A kind of destination."""

    name: str
    """As `--destination` has it."""
    make: Callable[[Place], Destination]
    """Makes one; nothing is opened yet, and no driver asked for."""
    settings: frozenset[str] = frozenset()
    """What it takes of `[sync]`, besides the dataset: `database`, `bucket_url`, `memory_limit`."""


def _duckdb(place: Place) -> Destination:
    from destinations.duckdb import DuckDbFile  # noqa: PLC0415 - see above

    return DuckDbFile(place.database, place.dataset, place.memory_limit)


DESTINATIONS: dict[str, Declaration] = {
    declared.name: declared
    for declared in (
        Declaration("duckdb", _duckdb, settings=frozenset({"database", "memory_limit"})),
        # `parquet` plugs in here: `destinations.lake.Lake(bucket_url, dataset, ...)`, with the setting bucket_url.
    )
}
"""By name, in the order in which they are listed."""
