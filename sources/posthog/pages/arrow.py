"""Answers of the query API as Arrow: one call per column, no Python loop over cells where Arrow or C can do it.

Answers of few cells (counts, hashes, days, texts) become Python values, each checked for being what was asked for. A
count that is text or a day that is none says nothing of PostHog's data, so nothing is made of it: it is an
`AnswerMalformed`, which names the column, what came there and what was due.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import AnswerMalformed
from ..http import memory
from ..http.answers import QueryAnswer
from ..http.json_values import json_text, plain, shown
from ..tables import Column, Table
from .json_text import parsable

_MANY_ROWS = 10_000
"""A decoded page of more leaves so much free memory behind that it is worth giving back."""

_PIECE_ROWS = 4_096
"""Texts of a page are copied into arrays of so many: one that grows to 80 MB is itself copied over and over, which
costs 2 CPU seconds a million events, and 160 MB."""

UTC_MICROS = pa.timestamp("us", tz="UTC")

ARROW_TYPES: Mapping[str, pa.DataType] = {
    "text": pa.string(),
    "json": pa.string(),
    "timestamp": UTC_MICROS,
    "bigint": pa.int64(),
    "bool": pa.bool_(),
    "double": pa.float64(),
    "date": pa.date32(),
    "binary": pa.binary(),
}
"""dlt's types in pages."""


_UUID = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$"


MISFITS = (pa.ArrowException, ValueError, TypeError, OverflowError)
"""What is raised where values are not of the type that is wanted."""


class ColumnMismatch(AnswerMalformed):
    """A column of an answer does not hold what was asked for."""


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
    """One column of decoded JSON as Arrow of type `wanted`.

    Raises Arrow's errors, ValueError, TypeError and OverflowError for what is not of that type in JSON already: Arrow
    would make numbers of texts and of true, and true of any number.
    """
    if pa.types.is_timestamp(wanted):
        return times(values)
    if pa.types.is_date(wanted) or pa.types.is_decimal(wanted):
        return pa.array(values, pa.string()).cast(wanted)
    if pa.types.is_boolean(wanted):
        # Comparisons and Int8 flags come as 0 and 1.
        _require(values, bool, int)
        flags = pa.array(values, pa.int8() if int in {*map(type, values)} else pa.bool_())
        if flags.type == pa.int8() and not pc.all(pc.is_in(flags, pa.array([0, 1, None], pa.int8()))).as_py():
            raise ValueError("not all are 0 or 1")
        return flags.cast(pa.bool_())
    if pa.types.is_floating(wanted):
        _require(values, float, int)
        # JSON writes a whole float as an integer, and Arrow refuses those beyond 2^53 in a column of floats.
        return pa.array([float(v) if isinstance(v, int) else v for v in values], wanted)
    if pa.types.is_signed_integer(wanted):
        _require(values, float, int)
        # Not `pa.array(values, wanted)`, which cuts 1.5 to 1 in silence.
        return pa.array(values).cast(wanted) if len(values) else pa.array([], wanted)
    return texts(values) if pa.types.is_string(wanted) else pa.array(values, wanted)


def uuids(values: Sequence[Any]) -> pa.Array | pa.ChunkedArray:
    """UUIDs as text. Raises ValueError for what is none."""
    array = texts(values)
    if not pc.all(pc.match_substring_regex(array, _UUID)).as_py() and len(array) > array.null_count:
        raise ValueError("not all are UUIDs")
    return array


def odd_value(read: Callable[[Sequence[Any]], object], values: Sequence[Any]) -> str:
    """The first of `values` that `read` refuses when it stands alone, as a text for an error."""
    return next((shown(value) for value in values if not _fits(read, value)), "values of several types")


def _fits(read: Callable[[Sequence[Any]], object], value: Any) -> bool:
    try:
        read([value])
    except MISFITS:
        return False
    return True


def declared_table(types: Sequence[str], rows: list[Any], columns: Sequence[Column], path: str = "") -> pa.Table:
    """The rows of an answer, which selected `columns` in this order, as a table of their declared types.

    `rows` are lists of cells, and gone afterwards: memory is not to hold a decoded page and what is made of it. `types`
    are the server's, for errors only; they may be missing. `path` is the endpoint's.

    Raises:
        ColumnMismatch: the answer has other columns, or a value is not of the declared type.
    """
    cells: list[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    is_large = len(rows) > _MANY_ROWS
    rows.clear()
    if len(cells) != len(columns):
        raise ColumnMismatch(f"PostHog answered {len(cells)} columns where {len(columns)} were asked for", path=path)
    if len(types) != len(columns):
        types = [""] * len(columns)
    arrays, fields = [], []
    cells.reverse()
    for column, server_type in zip(columns, types, strict=True):
        values = cells.pop()
        read = partial(_declared, column)
        try:
            array = read(values)
        except MISFITS:
            raise ColumnMismatch(
                f"PostHog answered {odd_value(read, values)} in the column {column.name}, where "
                f"{'a UUID' if column.is_uuid else column.data_type} was due"
                + (f" (on the server it is {plain(server_type, 80)})" if server_type else ""),
                path=path,
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


def _declared(column: Column, values: Sequence[Any]) -> pa.Array | pa.ChunkedArray:
    if column.data_type == "json":
        return json_texts(values)
    array = uuids(values) if column.is_uuid else column_array(values, ARROW_TYPES[column.data_type])
    if array.null_count and not column.nullable:
        raise ValueError("it is never NULL")
    return array


def _require(values: Sequence[Any], *kinds: type) -> None:
    """Raises TypeError unless each is of one of these kinds, or None."""
    if not {*map(type, values)} <= {*kinds, type(None)}:
        raise TypeError(f"not all are {kinds[0].__name__}")


def empty_table(table: Table) -> pa.Table:
    """No rows, with the columns of `table`."""
    return declared_table([""] * len(table.columns), [], table.columns)


def arrow_schema(table: Table) -> pa.Schema:
    """The columns of `table`, for rows that are made here and come from no answer."""
    return pa.schema(
        [pa.field(each.name, ARROW_TYPES[each.data_type], nullable=each.nullable) for each in table.columns]
    )


_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Kind:
    """What a cell is to be: `read` gives its value, or raises ValueError or TypeError."""

    name: str
    read: Callable[[Any], Any]


def _whole(cell: Any, bits: int) -> int:
    if type(cell) is not int or not 0 <= cell < 2**bits:
        raise ValueError
    return cell


def _integer(cell: Any) -> int:
    if type(cell) is not int or not -(2**63) <= cell < 2**64:
        raise ValueError
    return cell


def _flag(cell: Any) -> bool | int:
    if type(cell) not in {bool, int} or cell not in {0, 1}:
        raise ValueError
    return cell  # type: ignore[no-any-return]  # looked at above


def _text(cell: Any) -> str:
    if not isinstance(cell, str):
        raise TypeError
    return cell


def _day(cell: Any) -> int:
    moment = datetime.strptime(_text(cell)[:10], "%Y-%m-%d").replace(tzinfo=timezone.utc)
    return (moment - _EPOCH).days * 86_400_000_000


COUNT = Kind("a count", partial(_whole, bits=63))
HASH = Kind("a hash", partial(_whole, bits=64))
INTEGER = Kind("a whole number", _integer)
"""Of 64 bits, signed or not."""
FLAG = Kind("0 or 1", _flag)
TEXT = Kind("a text", _text)
DAY = Kind("a day", _day)
"""A text that begins with `YYYY-MM-DD`; its value is the start of that day, microseconds UTC."""
ANY = Kind("anything", lambda cell: cell)


def cells(answer: QueryAnswer, kinds: Sequence[Kind], *, is_one: bool = False) -> list[tuple[Any, ...]]:
    """The rows of an answer that was asked for columns of these kinds. `is_one`: it must have one row, as of a count.

    Raises AnswerMalformed.
    """
    if is_one and len(answer.rows) != 1:
        raise AnswerMalformed(f"PostHog answered {len(answer.rows):,} rows where one was due", path=answer.path)
    if answer.rows and len(answer.rows[0]) != len(kinds):
        raise AnswerMalformed(
            f"PostHog answered {len(answer.rows[0])} columns where {len(kinds)} were asked for", path=answer.path
        )
    return cells_from(answer, kinds, 0)


def cells_from(answer: QueryAnswer, kinds: Sequence[Kind], first: int) -> list[tuple[Any, ...]]:
    """The same, but only the columns from the place `first` on (0: all), which are of these kinds.

    Raises AnswerMalformed.
    """
    if not answer.rows:
        return []
    columns = [*zip(*answer.rows, strict=True)][first:]
    read = [
        _column(answer, place, values, kind)
        for place, (values, kind) in enumerate(zip(columns, kinds, strict=True), first)
    ]
    return [*zip(*read, strict=True)]


def _column(answer: QueryAnswer, place: int, values: tuple[Any, ...], kind: Kind) -> list[Any]:
    def read(some: Sequence[Any]) -> list[Any]:
        return [*map(kind.read, some)]

    try:
        return read(values)
    except MISFITS:
        odd = odd_value(read, values)
    raise AnswerMalformed(
        f"PostHog answered {odd} in the column {plain(answer.columns[place], 80)}, where {kind.name} was due",
        path=answer.path,
    )
