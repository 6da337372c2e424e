"""Answers of the query API as Arrow: one call per column, no Python loop over cells where Arrow or C can do it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sources.posthog.http import memory
from sources.posthog.json_text import json_text, parsable
from sources.posthog.tables import Column, Table

_MANY_ROWS = 10_000
"""A decoded page of more leaves so much free memory behind that it is worth giving back."""

_PIECE_ROWS = 4_096
"""Texts of a page are copied into arrays of so many: one that grows to 80 MB is itself copied over and over, which
costs 2 CPU seconds a million events, and 160 MB."""

UTC_MICROS = pa.timestamp("us", tz="UTC")

_ARROW_TYPES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "json": pa.string(),
    "timestamp": UTC_MICROS,
    "bigint": pa.int64(),
    "bool": pa.bool_(),
    "double": pa.float64(),
    "date": pa.date32(),
    "binary": pa.binary(),
}


class ColumnMismatch(ValueError):
    """A column of an answer does not hold what its type says."""


def times(values: Sequence[Any]) -> pa.Array:
    """ISO texts (a space or a T, an offset or none: UTC) as UTC microseconds."""
    array = pa.array(values, pa.string())
    if len(array) and pc.any(pc.match_substring_regex(array, r"(?:Z|[+-]\d\d:?\d\d)$")).as_py():
        return array.cast(UTC_MICROS)
    return array.cast(pa.timestamp("us")).cast(UTC_MICROS)


def texts(values: Sequence[str | None]) -> pa.Array | pa.ChunkedArray:
    """Texts as they are; many of them in pieces."""
    if len(values) <= _PIECE_ROWS:
        return pa.array(values, pa.string())
    starts = range(0, len(values), _PIECE_ROWS)
    return pa.chunked_array([pa.array(values[start : start + _PIECE_ROWS], pa.string()) for start in starts])


def json_texts(values: Sequence[Any]) -> pa.Array | pa.ChunkedArray:
    """JSON as text. PostHog gives `properties` as text today and means to give objects (native JSON columns)."""
    try:
        return texts(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return texts([v if v is None or isinstance(v, str) else json_text(v) for v in values])


def column_array(values: Sequence[Any], wanted: pa.DataType) -> pa.Array | pa.ChunkedArray:
    """One column of decoded JSON as Arrow of type `wanted`."""
    if pa.types.is_timestamp(wanted):
        return times(values)
    if pa.types.is_date(wanted) or pa.types.is_decimal(wanted):
        return pa.array(values, pa.string()).cast(wanted)
    if pa.types.is_boolean(wanted):
        # Comparisons and Int8 flags come as 0 and 1.
        return pa.array(values).cast(pa.bool_()) if len(values) else pa.array([], pa.bool_())
    if pa.types.is_floating(wanted):
        # JSON writes a whole float as an integer, and Arrow refuses those beyond 2^53 in a column of floats.
        return pa.array([float(v) if isinstance(v, int) else v for v in values], wanted)
    if pa.types.is_signed_integer(wanted):
        # Not `pa.array(values, wanted)`, which cuts 1.5 to 1 in silence.
        return pa.array(values).cast(wanted)
    return texts(values) if pa.types.is_string(wanted) else pa.array(values, wanted)


def declared_table(types: Sequence[str], rows: list[Any], columns: Sequence[Column]) -> pa.Table:
    """The rows of an answer, which selected `columns` in this order, as a table of their declared types.

    `rows` are lists of cells, and gone afterwards: memory is not to hold a decoded page and what is made of it.

    Raises:
        ColumnMismatch: the answer has other columns, or a value is not of the declared type.
    """
    cells: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    is_large = len(rows) > _MANY_ROWS
    rows.clear()
    if len(cells) != len(columns) or len(types) != len(columns):
        raise ColumnMismatch(f"The answer has {len(cells)} columns where {len(columns)} were asked for.")
    arrays, fields = [], []
    cells.reverse()
    for column, server_type in zip(columns, types, strict=True):
        try:
            values = cells.pop()
            is_json = column.data_type == "json"
            array = json_texts(values) if is_json else column_array(values, _ARROW_TYPES[column.data_type])
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
            raise ColumnMismatch(
                f"Column {column.name} ({server_type} on the server) does not fit {column.data_type}: {error}"
            ) from None
        if column.empty_is_null:
            array = pc.if_else(pc.equal(array, ""), pa.scalar(None, pa.string()), array)
        arrays.append(array)
        fields.append(pa.field(column.name, array.type, nullable=column.nullable))
    del values
    if is_large:
        memory.give_back()
    for place, column in enumerate(columns):
        if column.data_type == "json":
            arrays[place] = parsable(arrays[place])
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def empty_table(table: Table) -> pa.Table:
    """No rows, with the columns of `table`."""
    return declared_table([""] * len(table.columns), [], table.columns)
