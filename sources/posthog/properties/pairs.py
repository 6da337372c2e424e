"""The keys and values of a page of JSON objects, flat: one parse of each text, whatever and however many its keys.

DuckDB turns each object into a list of keys and of values as JSON; from there on Arrow and NumPy work on all values of
the page at once. A struct of wanted keys would be no faster, confuses `Plan` with `plan`, and makes a 5 out of "5".
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.posthog.json_text import parsable

PIECE_BYTES = 32_000_000
"""JSON worked on at once: needs some eight times that in memory. Pieces of a quarter cost a tenth more time."""

_QUOTE, _BACKSLASH = ord('"'), ord("\\")
_STRUCTURE = '"MAP(VARCHAR,JSON)"'


@dataclass(frozen=True)
class Pairs:
    """All (row, key) pairs that have a value other than null, each once, ordered by key and row."""

    keys: list[str]
    bounds: np.ndarray
    """The pairs of `keys[i]` are those from `bounds[i]` to `bounds[i + 1]`."""
    rows: np.ndarray
    """The row of each pair."""
    places: np.ndarray
    """Where each pair's value is in `texts`."""
    first_bytes: np.ndarray
    """Of each value as JSON: a quote tells "5" from 5."""
    texts: pa.Array
    """Strings are as decoded, all else is JSON as DuckDB writes it: 1.10 is 1.1, spaces are gone."""

    def of(self, index: int) -> Cells:
        """The values of `keys[index]`."""
        part = slice(int(self.bounds[index]), int(self.bounds[index + 1]))
        return Cells(self.texts, self.rows[part], self.places[part], self.first_bytes[part])


@dataclass(frozen=True)
class Cells:
    """The values of one key: one for each row that has it."""

    source: pa.Array
    rows: np.ndarray
    """Their rows, ascending."""
    places: np.ndarray
    """Where they are in `source`."""
    first_bytes: np.ndarray
    """Of each value as JSON."""

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def texts(self) -> pa.Array:
        """Strings as they are, all else as JSON."""
        return self.source.take(pa.array(self.places))

    def filter(self, mask: np.ndarray) -> Cells:
        """Those for which `mask` is true."""
        return Cells(self.source, self.rows[mask], self.places[mask], self.first_bytes[mask])


class Parser:
    """Takes JSON texts apart. Safe to use from several threads: each has a DuckDB of its own, with one thread."""

    def __init__(self) -> None:
        self._local = threading.local()

    def pairs(self, texts: pa.Array) -> Pairs:
        """The pairs of `texts`. NULL and JSON that is no object have none; of a key that comes twice, the last counts.

        What no parser takes is mended first (`sources.posthog.json_text`), and so has a string's pairs: none.
        """
        return _pairs(self.maps(texts), self.connection)

    def maps(self, texts: pa.Array) -> pa.MapArray:
        """Each object as a map of keys to values as JSON, in its order; NULL for what is no object."""
        sql = f"SELECT json_transform(json_text, '{_STRUCTURE}') FROM page"
        try:
            return run(self.connection, sql, texts)
        except duckdb.InvalidInputException:
            return run(self.connection, sql, parsable(texts))

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """This thread's."""
        connection: duckdb.DuckDBPyConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            # What its allocator keeps for later is 128 MB a thread by default.
            config: dict[str, Any] = {"threads": 1, "allocator_flush_threshold": "16MB"}
            connection = self._local.connection = duckdb.connect(":memory:", config=config)
        return connection


def run(connection: duckdb.DuckDBPyConnection, sql: str, texts: pa.Array, values: Sequence[object] = ()) -> pa.Array:
    """One column out of the one column `json_text` of `page`."""
    connection.register("page", pa.table({"json_text": texts}))
    try:
        column = connection.execute(sql, list(values)).to_arrow_table().column(0)
    finally:
        connection.unregister("page")
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def pieces(texts: pa.Array | pa.ChunkedArray, most: int) -> Iterator[pa.Array]:
    """`texts` in pieces of about `most` bytes, one at least."""
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    for chunk in chunks or [pa.array([], pa.string())]:
        ends = np.cumsum(pc.fill_null(pc.binary_length(chunk), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
        start = 0
        while start < len(chunk) or len(chunk) == 0:
            read = int(ends[start - 1]) if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, read + most, side="right")))
            yield chunk.slice(start, stop - start)
            if len(chunk) == 0:
                break
            start = stop


def _pairs(maps: pa.MapArray, connection: duckdb.DuckDBPyConnection) -> Pairs:
    lengths = np.diff(maps.offsets.to_numpy())
    rows = np.repeat(np.arange(len(maps), dtype=np.int32), lengths)
    base = maps.offsets[0].as_py() if len(maps) else 0
    keys = maps.keys.slice(base, len(rows)).dictionary_encode()
    values = maps.items.slice(base, len(rows))
    first_bytes, texts, places = _decoded(values, connection)
    codes = keys.indices.to_numpy()
    small = codes.astype(np.int16) if len(keys.dictionary) < 2**15 else codes
    order = np.argsort(small, kind="stable")
    codes, rows = codes[order], rows[order]
    is_counted = np.append((codes[1:] != codes[:-1]) | (rows[1:] != rows[:-1]), np.ones(min(len(codes), 1), bool))
    if values.null_count:
        is_counted &= values.is_valid().to_numpy(zero_copy_only=False)[order]
    if not is_counted.all():
        order, codes, rows = order[is_counted], codes[is_counted], rows[is_counted]
    bounds = np.searchsorted(codes, np.arange(len(keys.dictionary) + 1))
    return Pairs(keys.dictionary.to_pylist(), bounds, rows, places[order], first_bytes[order], texts)


def _decoded(values: pa.Array, connection: duckdb.DuckDBPyConnection) -> tuple[np.ndarray, pa.Array, np.ndarray]:
    """First bytes of JSON values; an array with their texts, strings without quotes and escapes; and places in it."""
    offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    if not len(values) or not len(data):
        return np.zeros(len(values), np.uint8), pa.array([""], pa.string()), np.zeros(len(values), np.int32)
    # A NULL has no byte of its own; at the end there may be none at all.
    first_bytes = data[np.minimum(offsets[:-1], len(data) - 1)]
    is_string = first_bytes == _QUOTE
    if values.null_count:
        is_string &= values.is_valid().to_numpy(zero_copy_only=False)
    # Each value and the quotes between it and the next one, in turn, over the same bytes: nothing is copied.
    edges = np.empty(2 * len(values) + 1, np.int32)
    edges[0:-1:2] = offsets[:-1] + is_string
    edges[1::2] = offsets[1:] - is_string
    edges[-1] = offsets[-1]
    texts = pa.StringArray.from_buffers(2 * len(values), pa.py_buffer(edges), values.buffers()[2])
    places = np.arange(0, 2 * len(values), 2, dtype=np.int32)
    escapes = np.flatnonzero(data[offsets[0] : offsets[-1]] == _BACKSLASH) + offsets[0]
    if len(escapes):
        escaped = np.unique(np.searchsorted(offsets, escapes, side="right") - 1)
        escaped = escaped[is_string[escaped]]
        plain = run(connection, "SELECT json_text ->> '$' FROM page", values.take(pa.array(escaped)))
        places[escaped] = len(texts) + np.arange(len(escaped), dtype=np.int32)
        texts = pa.concat_arrays([texts, plain.cast(pa.string())])
    return first_bytes, texts, places
