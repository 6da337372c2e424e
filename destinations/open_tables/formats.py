"""What is asked of a table format, and which there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from ..dlt_internals.filesystem import FilesystemConfiguration
from ..dlt_internals.settings import import_library
from ..errors import DestinationUnready
from ..lake.store import File

if TYPE_CHECKING:
    from .store import TableStore

_PACKAGES = {"delta": ("deltalake", "dlt[deltalake]"), "iceberg": ("pyiceberg", "dlt[pyiceberg]")}
"""By format: the package that writes it, and what to install for it."""

LARGE_BYTES = 128 * 1024 * 1024
"""A file of this size stays as it is when small ones are put together."""


class Change(Protocol):
    """Rows of a table that give way to others, or to nothing. The files that hold them are written anew."""

    @property
    def files(self) -> list[File]:
        """Files of the table that hold such rows."""

    def rewritten(self) -> pa.RecordBatchReader:
        """All rows that are to be in the place of `files`: those that stay, and the new ones."""


RowsOf = Callable[[Sequence[File]], pa.RecordBatchReader]


@dataclass(frozen=True)
class Fewer:
    """A table that has fewer files now, or takes less room."""

    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    removed: int = 0
    """Files that were part of the table once, or never, and nobody needs any more."""


class TableFormat(Protocol):
    """The tables of one dataset in one format. Each change is one entry of the table's log: all of it, or none."""

    def files(self, table: str) -> list[File]:
        """The data files of a table as it is now; none: it is not there, or has no rows.

        Raises:
            DestinationForeign: another program changed the table in a way that these files do not show.
        """

    def schema(self, table: str) -> pa.Schema | None:
        """The columns of a table; None: it is not there."""

    def append(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Adds rows; makes the table, and columns that it does not have."""

    def replace(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Puts rows in the place of all there are; columns become what they are in these."""

    def change(self, table: str, change: Change) -> None:
        """Puts rows in the place of some."""

    def version(self, table: str) -> int | None:
        """What the log calls the table as it is now; None: it has no rows and never had."""

    def take_back(self, table: str, version: int | None) -> None:
        """Makes the table what it was at that version."""

    def mend(self, table: str) -> None:
        """Removes what a killed run left half written of the log."""

    def fence(self, table: str, schema: pa.Schema | None) -> None:
        """One entry that changes nothing, so that one which was prepared before does not fit any more. Where there is
        no table, one without rows is made, of these columns.
        """

    def compact(self, table: str, rows_of: RowsOf, large_bytes: int = LARGE_BYTES) -> Iterator[Fewer]:
        """Makes few files of those below `large_bytes`, removes what is of no use any more; `rows_of` reads files."""


def is_same(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether two types are one to a table format."""
    return _kind(one) == _kind(other)


def _kind(kind: pa.DataType) -> str:
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "text"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return "binary"
    return str(kind)


def require(name: str) -> None:
    """Raises DestinationUnready where the package for a format is missing."""
    package, extra = _PACKAGES[name]
    try:
        import_library(package)
        if name == "iceberg":
            __import__("sqlalchemy")
    except ImportError:
        raise DestinationUnready(
            f"--table-format {name} needs the package {package}, which is missing.",
            f'Install it: pip install "{extra}". Nothing was asked of PostHog yet.',
        ) from None
    if name == "delta":
        try:
            from deltalake.transaction import RemoveAction  # noqa: F401, PLC0415 - which older ones do not have
        except ImportError:
            raise DestinationUnready(
                "--table-format delta needs deltalake 1.6.6 or newer.",
                'Install it: pip install "deltalake>=1.6.6". Nothing was asked of PostHog yet.',
            ) from None


def format_of(name: str, configuration: FilesystemConfiguration, store: TableStore) -> TableFormat:
    """The format of that name, for the tables in the folder of `store`. Raises DestinationUnready."""
    require(name)
    if name == "delta":
        from .delta import Delta  # noqa: PLC0415 - its package may be missing

        return Delta(configuration, store)
    from .iceberg import Iceberg  # noqa: PLC0415 - its package may be missing

    return Iceberg(configuration, store)
