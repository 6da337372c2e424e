"""Whether every Parquet file of a lake is whole and ours, told by the last bytes of each.

Also what to tell of those that are not, and of the tables that they make unusable.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import DestinationUnusable, TableUnusable
from .layout import FORMAT, MARK, NO_DATE, shape_of
from .store import File, Store

_TAIL = 64 * 1024
_AT_ONCE = 16
_MAGIC = b"PAR1"
_SHOWN = 5
"""Files of one table and kind that are named; there may be thousands."""

_WHAT = {
    "damaged": "cannot be read as Parquet: cut off, or no Parquet at all",
    "foreign": "was not written by this program: readers take its rows for PostHog's",
}
_ADVICE = {
    "damaged": (
        "Once a sync has told of it, bring it back from a copy or delete it, and sync again: that asks PostHog for its "
        "rows again."
    ),
    "foreign": "Move it out of the table's folder, and run the same command again.",
}


@dataclass(frozen=True)
class Oddity:
    """A file in a table's folder that no reader should get there."""

    file: File
    kind: Literal["damaged", "foreign", "newer"]

    @property
    def table(self) -> str:
        """The table in whose folder it lies."""
        return self.file.path.split("/", 1)[0]


def odd_files(store: Store, tables: list[str]) -> list[Oddity]:
    """Files that are no whole Parquet files, or that this program did not write, or a newer one did."""
    files = [file for table in tables for file in store.files(table)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        kinds = pool.map(lambda file: _kind(store, file), files)
    return [Oddity(file, kind) for file, kind in zip(files, kinds, strict=True) if kind is not None]


def _kind(store: Store, file: File) -> Literal["damaged", "foreign", "newer"] | None:
    tail = store.tail(file, _TAIL)
    if len(tail) < 12 or not tail.endswith(_MAGIC):
        return "damaged"
    (length,) = struct.unpack("<I", tail[-8:-4])
    if length + 8 > len(tail):
        tail = store.tail(file, length + 8)
    try:
        footer = pq.read_metadata(pa.BufferReader(_MAGIC + tail))
    except (pa.ArrowException, OSError):
        return "damaged"
    mark = (footer.metadata or {}).get(MARK.encode())
    if mark is None or not mark.isdigit():
        return "foreign"
    if int(mark) > FORMAT:
        return "newer"
    # A hole in the middle does not show here; a file that was cut and closed again does.
    end = max(
        (
            footer.row_group(group).column(column).data_page_offset
            for group in range(footer.num_row_groups)
            for column in range(footer.num_columns)
        ),
        default=0,
    )
    return "damaged" if end > file.size else None


def refuse_newer(odd: Sequence[Oddity], place: str) -> None:
    """Raises DestinationUnusable where a newer version of this program has written files: it knows what they mean."""
    newer = [each.file.path for each in odd if each.kind == "newer"]
    if newer:
        raise DestinationUnusable(
            f"{len(newer):,} {'files' if len(newer) > 1 else 'file'} in {place} written by a newer version of this "
            f"program: {_listed(newer)}.",
            "Install that version, or give another --bucket-url or --dataset; nothing was changed.",
        )


def told(odd: Sequence[Oddity], place: str) -> list[TableUnusable]:
    """One error for each file, of the first few of a table and kind; the last of them tells how many more there are."""
    by_kind: dict[tuple[str, str], list[Oddity]] = {}
    for each in odd:
        by_kind.setdefault((each.table, each.kind), []).append(each)
    errors = []
    for (table, kind), files in by_kind.items():
        more = f" {len(files) - _SHOWN:,} more files there are like it." if len(files) > _SHOWN else ""
        lost = _lost(table, files) if kind == "damaged" else ()
        for number, each in enumerate(files[:_SHOWN], 1):
            message = f"{place}/{each.file.path} {_WHAT[kind]}.{more if number == _SHOWN else ''} It was left as it is."
            errors.append(TableUnusable(table, message, _ADVICE[kind], lost=lost))
    return errors


def _lost(table: str, files: Sequence[Oddity]) -> list[str] | None:
    """The days of the rows that damaged files of a table may have held; None: any."""
    if shape_of(table).dated_by is None:
        return None
    # A file of such a table that lies in no day's folder is none of ours.
    days = {each.file.partition for each in files} - {None}
    return None if NO_DATE in days else sorted(day for day in days if day is not None)


def _listed(paths: Sequence[str]) -> str:
    return ", ".join(paths[:_SHOWN]) + (f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else "")
