"""What this program writes into the footer of each Parquet file of a lake."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .layout import FORMAT, MARK

_ORDER = "posthog_warehouse_sorted_by"
_TABLE = "posthog_warehouse_table"
_WRITE = "posthog_warehouse_write"

OPTIONS: dict[str, Any] = {"compression": "zstd", "compression_level": 3, "write_page_index": True}
"""How Parquet files are written (`pyarrow.parquet.ParquetWriter`)."""


def marks(table: str, order: Sequence[str]) -> dict[str, str]:
    """The marks of a new file. No two files have the same: some stores call a file by a hash of its content."""
    return {MARK: str(FORMAT), _TABLE: table, _ORDER: chr(31).join(order), _WRITE: uuid.uuid4().hex}


def order_of(local: Path) -> tuple[str, ...]:
    """By which columns the rows of a file are sorted."""
    told = (pq.read_metadata(local).metadata or {}).get(_ORDER.encode(), b"").decode()
    return tuple(told.split(chr(31))) if told else ()


def sealed(made: Path, schema: pa.Schema | None, of: Path | None = None) -> Path:
    """Writes the file `made` and returns it: with the rows and marks of the file `of`, or without it with no rows, of
    the columns `schema`. Either way it has a mark of its own, so that no other file has the same content.
    """
    if of is None:
        assert schema is not None  # noqa: S101 - one of the two is given
        given = {MARK.encode(): str(FORMAT).encode(), **(schema.metadata or {})}
        with pq.ParquetWriter(made, schema.with_metadata(_anew(given)), **OPTIONS):
            return made
    with pq.ParquetFile(of) as file:
        schema = file.schema_arrow.with_metadata(_anew(file.schema_arrow.metadata or {}))
        with pq.ParquetWriter(made, schema, **OPTIONS) as writer:
            for number in range(file.num_row_groups):
                group = file.read_row_group(number)
                writer.write_table(group.cast(schema), row_group_size=max(1, group.num_rows))
    return made


def _anew(given: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {**given, _WRITE.encode(): uuid.uuid4().hex.encode()}
