"""Arrow batches as PostgreSQL's COPY takes them.

COPY's text format, written column by column with Arrow, loses nothing (in CSV an empty text and NULL are the same), and
is the fastest way in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_NULL = "\\N"
_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\N{REPLACEMENT CHARACTER}"))
_TAB, _LINE_END, _UTC, _NOTHING = (pa.scalar(text, pa.large_string()) for text in ("\t", "\n", "+00", ""))


def copy(cursor: Any, target: str, batch: pa.RecordBatch) -> None:
    """Copies rows into `target`, a table and its columns as COPY names them, by a cursor of psycopg2."""
    cursor.copy_expert(
        f"COPY {target} FROM STDIN WITH (FORMAT text, ENCODING 'utf8')", pa.BufferReader(copy_text(batch))
    )


def copy_text(batch: pa.RecordBatch) -> pa.Buffer:
    """Rows in the text format of COPY."""
    cells = [pc.fill_null(_text(column), _NULL) for column in batch.columns]
    cells[-1] = pc.binary_join_element_wise(cells[-1], _LINE_END, _NOTHING)
    lines = pc.binary_join_element_wise(*cells, _TAB)
    # Arrow keeps the texts of an array one behind the other, which is what is wanted.
    _, offsets, text = lines.buffers()
    ends = pa.Array.from_buffers(pa.int64(), len(lines) + 1, [None, offsets])
    return text.slice(ends[0].as_py(), ends[len(lines)].as_py() - ends[0].as_py())


def _text(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.dictionary_decode(), kind.value_type
    if pa.types.is_timestamp(kind):
        naive = column.cast(pa.timestamp("us")).cast(pa.large_string())
        return naive if kind.tz is None else pc.binary_join_element_wise(naive, _UTC, _NOTHING)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        hexed: Sequence[str | None] = [None if value is None else rf"\\x{value.hex()}" for value in column.to_pylist()]
        return pa.array(hexed, pa.large_string())
    text = column.cast(pa.large_string())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        for found, instead in _ESCAPES:
            text = pc.replace_substring(text, found, instead)
    return text
