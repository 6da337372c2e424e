"""Whether every Parquet file of a lake is whole and ours, told by the last bytes of each."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from .layout import FORMAT, MARK
from .store import File, Store

_TAIL = 64 * 1024
_AT_ONCE = 16
_MAGIC = b"PAR1"


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
