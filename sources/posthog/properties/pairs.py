"""The keys and values of a page of JSON objects, flat: one parse of each text, whatever and however many its keys.

DuckDB checks the texts and undoes escapes; Arrow and NumPy work on all values of the page at once. DuckDB's own way to
columns, a struct of wanted keys, costs more, confuses `Plan` with `plan`, makes a 5 out of "5" and a 2 out of 1.5.

`tokens` finds where the keys and values of JSON objects begin and end, for a whole page at once.

The texts are known to be JSON, so a quote that is not escaped opens or closes a string, a string before a colon is a
key, and braces outside of strings give the depth: a few passes over the bytes, in blocks that stay in the processor's
cache. Nothing is copied or spelled anew: 1.10 stays 1.10.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..pages.json_text import column_of, parsable

_QUOTE_BYTE, _BACKSLASH, _COLON, _COMMA, _CLOSE, _SPACE_BYTE = (ord(sign) for sign in '"\\:,} ')
# Of [ ] { }, the bits in which they differ from the first, and the one that the opening ones have.
_BRACKET, _BRACE_BITS, _OPEN_BIT = np.uint8(ord("[")), np.uint8(0b100010), np.uint8(0b10)
_BLOCK_BYTES = 500_000


@dataclass(frozen=True)
class Tokens:
    """The (row, key) pairs of objects, in the order of the texts; all places are in `data`."""

    data: pa.Buffer
    rows: np.ndarray
    key_starts: np.ndarray
    """Behind the opening quote."""
    key_ends: np.ndarray
    value_starts: np.ndarray
    value_ends: np.ndarray
    escapes: np.ndarray
    """Where backslashes are."""
    spaced: np.ndarray
    """Rows with white space between tokens, or more commas than JSON has: their pairs are not right."""


def tokens(texts: pa.Array) -> Tokens:
    """The pairs of `texts`, which are JSON without white space between tokens, or NULL."""
    if texts.null_count and pc.any(pc.and_(texts.is_null(), pc.greater(_lengths(texts), 0))).as_py():
        # Arrow may leave bytes behind a NULL; those that are taken have none.
        texts = texts.take(pa.array(np.arange(len(texts))))
    _, offsets_buffer, data = texts.buffers()
    offsets = np.frombuffer(offsets_buffer or b"\0\0\0\0", np.int32)[texts.offset : texts.offset + len(texts) + 1]
    ends = offsets[1:]
    parts = [[np.empty(0, np.int32)] * 7]
    row = 0
    while row < len(texts):
        stop = max(row + 1, int(np.searchsorted(ends, offsets[row] + _BLOCK_BYTES, side="right")))
        start, end = int(offsets[row]), int(offsets[stop])
        if end > start:
            block = np.frombuffer(data, np.uint8)[start:end]
            found = _block(block, offsets[row : stop + 1] - start)
            shifts = (row, start, start, start, start, start, row)
            parts.append([(array + shift).astype(np.int32) for array, shift in zip(found, shifts, strict=True)])
        row = stop
    return Tokens(data, *(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _lengths(texts: pa.Array) -> pa.Array:
    """Bytes of each text, also of those that are NULL."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return pa.array(np.diff(offsets))


def _block(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, ...]:
    """The fields of `Tokens` behind `data`, for the texts between `offsets`."""
    quotes = np.flatnonzero(data == _QUOTE_BYTE).astype(np.int32)
    escapes = np.flatnonzero(data == _BACKSLASH)
    if len(escapes):
        quotes = quotes[~_are_escaped(data, quotes)]
    opening, closing = quotes[0::2], quotes[1::2]
    behind = data[np.minimum(closing + 1, len(data) - 1)]
    is_key = np.flatnonzero((behind == _COLON) & (_depths(data, quotes) == 1))
    starts, ends = opening[is_key], closing[is_key]
    counts = np.diff(np.searchsorted(starts, offsets))
    rows = np.repeat(np.arange(len(counts)), counts)
    filled = np.flatnonzero(counts)
    last = np.cumsum(counts)[filled] - 1
    first = last - counts[filled] + 1
    value_starts = ends + 2
    value_ends = np.roll(starts, -1) - 1
    value_ends[last] = offsets[filled + 1] - 1
    # Where tokens stand side by side, each of these bytes is known, and values touch no space.
    is_odd = (
        (data[value_starts] <= _SPACE_BYTE) | (data[value_ends - 1] <= _SPACE_BYTE) | (data[value_ends - 1] == _COMMA)
    )
    expected = np.full(len(starts), _COMMA, np.uint8)
    expected[last] = _CLOSE
    is_odd |= data[value_ends] != expected
    is_odd[first] |= starts[first] != offsets[filled] + 1
    spaced = np.concatenate([rows[is_odd], np.searchsorted(offsets, closing[behind <= _SPACE_BYTE], side="right") - 1])
    return rows, starts + 1, ends, value_starts, value_ends, escapes, np.unique(spaced)


def _are_escaped(data: np.ndarray, quotes: np.ndarray) -> np.ndarray:
    """Which quotes follow an odd number of backslashes."""
    are_escaped = np.zeros(len(quotes), bool)
    places = np.flatnonzero((quotes > 0) & (data[quotes - 1] == _BACKSLASH))
    before = quotes[places] - 1
    while len(places):
        are_escaped[places] ^= True
        before = before - 1
        goes_on = (before >= 0) & (data[before] == _BACKSLASH)
        places, before = places[goes_on], before[goes_on]
    return are_escaped


def _depths(data: np.ndarray, quotes: np.ndarray) -> np.ndarray:
    """How many objects and lists each string lies in."""
    braces = np.flatnonzero(((data - _BRACKET) & ~_BRACE_BITS) == 0)
    before = np.searchsorted(quotes, braces)
    is_outside = before % 2 == 0
    opens = (data[braces[is_outside]] & _OPEN_BIT) != 0
    strings = before[is_outside] // 2
    count = len(quotes) // 2 + 1
    steps = np.bincount(strings[opens], minlength=count) - np.bincount(strings[~opens], minlength=count)
    return np.cumsum(steps)[:-1]


PIECE_BYTES = 8_000_000
"""JSON worked on at once: needs some eight times that in memory. Larger pieces are no faster."""

_QUOTE, _NULL = ord('"'), ord("n")
_SPACE = r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+'
"""White space, or a string as the first group."""
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
    """Strings are as decoded, all else is JSON as it was."""

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

    def spread(self, length: int) -> pa.Array:
        """The texts, each in its row of so many; NULL elsewhere."""
        if len(self) == length:
            return self.texts
        places = np.full(length, -1, np.int32)
        places[self.rows] = self.places
        return self.source.take(pa.array(places, mask=places < 0))

    def filter(self, mask: np.ndarray) -> Cells:
        """Those for which `mask` is true."""
        return Cells(self.source, self.rows[mask], self.places[mask], self.first_bytes[mask])


class Parser:
    """Takes JSON texts apart. Safe to use from several threads."""

    def __init__(self, *, is_checked: bool = False) -> None:
        """`is_checked`: texts have been through `posthog.pages.json_text.parsable`, so they are JSON."""
        self._is_checked = is_checked

    def pairs(self, texts: pa.Array) -> Pairs:
        """The pairs of `texts`. NULL and JSON that is no object have none; of a key that comes twice, the last counts.

        What no parser takes is mended first (`posthog.pages.json_text`), and so has a string's pairs: none.
        """
        if not self._is_checked:
            texts = parsable(texts)
        found = tokens(texts)
        if len(found.spaced):
            texts = _replaced(texts, found.spaced, lambda some: pc.replace_substring_regex(some, _SPACE, r"\1"))
            found = tokens(texts)
        if len(found.spaced):
            # It knows what it let pass, but spells numbers anew: 1.10 as 1.1.
            dense = partial(column_of, "SELECT json(json_text) FROM page")
            found = tokens(_replaced(texts, found.spaced, dense))
        return _pairs(found)

    def maps(self, texts: pa.Array) -> pa.MapArray:
        """Each object as a map of keys to values as JSON, in its order; NULL for what is no object."""
        sql = f"SELECT json_transform(json_text, '{_STRUCTURE}') FROM page"
        try:
            return column_of(sql, texts)
        except duckdb.InvalidInputException:
            return column_of(sql, parsable(texts))


def pieces(texts: pa.Array | pa.ChunkedArray, most: int) -> Iterator[pa.Array]:
    """`texts` in pieces of about `most` bytes, one at least, and none that is small beside the others."""
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    for chunk in (chunk.cast(pa.string()) for chunk in chunks or [pa.array([], pa.string())]):
        ends = np.cumsum(pc.fill_null(pc.binary_length(chunk), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
        size = int(ends[-1]) if len(chunk) else 0
        parts = max(1, round(size / most))
        cuts = np.searchsorted(ends, [size * part // parts for part in range(1, parts)], side="right")
        edges = [0, *np.unique(cuts[(cuts > 0) & (cuts < len(chunk))]).tolist(), len(chunk)]
        for start, stop in pairwise(edges):
            yield chunk.slice(start, stop - start)


def _replaced(texts: pa.Array, rows: np.ndarray, replace: Callable[[pa.Array], pa.Array]) -> pa.Array:
    mask = np.zeros(len(texts), bool)
    mask[rows] = True
    return pc.replace_with_mask(texts, pa.array(mask), replace(texts.filter(pa.array(mask))).cast(pa.string()))


def _pairs(found: Tokens) -> Pairs:
    keys, codes = _keys(found)
    first_bytes, texts, places = _values(found)
    order = np.argsort(codes.astype(np.int16) if len(keys) < 2**15 else codes, kind="stable")
    codes, rows = codes[order], found.rows[order]
    is_counted = np.append((codes[1:] != codes[:-1]) | (rows[1:] != rows[:-1]), np.ones(min(len(codes), 1), bool))
    first_bytes = first_bytes[order]
    is_counted &= first_bytes != _NULL
    if not is_counted.all():
        order, codes, rows = order[is_counted], codes[is_counted], rows[is_counted]
        first_bytes = first_bytes[is_counted]
    bounds = np.searchsorted(codes, np.arange(len(keys) + 1))
    return Pairs(keys, bounds, rows, places[order], first_bytes, texts)


def _keys(found: Tokens) -> tuple[list[str], np.ndarray]:
    """The distinct keys, and which of them each pair has."""
    segments = _segments(found.data, found.key_starts, found.key_ends)
    encoded = segments.take(pa.array(np.arange(0, len(segments), 2, dtype=np.int32))).dictionary_encode()
    keys: list[str] = encoded.dictionary.to_pylist()
    codes: np.ndarray = encoded.indices.to_numpy()
    if any("\\" in key for key in keys):
        # One key may be spelled in several ways.
        spelled = [json.loads(f'"{key}"') if "\\" in key else key for key in keys]
        keys = list(dict.fromkeys(spelled))
        codes = np.array([keys.index(key) for key in spelled], np.int32)[codes]
    return keys, codes


def _values(found: Tokens) -> tuple[np.ndarray, pa.Array, np.ndarray]:
    """First bytes of values; an array with their texts, strings without quotes and escapes; and places in it."""
    starts, ends = found.value_starts, found.value_ends
    if not len(starts):
        return np.empty(0, np.uint8), pa.array([], pa.string()), np.empty(0, np.int32)
    data = np.frombuffer(found.data, np.uint8)
    first_bytes = data[starts]
    # NaN may be written small, too.
    first_bytes[(first_bytes == _NULL) & (ends - starts != len("null"))] = ord("N")
    is_string = first_bytes == _QUOTE
    texts = _segments(found.data, starts + is_string, ends - is_string)
    places = np.arange(0, 2 * len(starts), 2, dtype=np.int32)
    escaped = np.unique(np.searchsorted(starts, found.escapes, side="right") - 1)
    escaped = escaped[escaped >= 0]
    escaped = escaped[is_string[escaped]]
    if len(escaped):
        quoted = _segments(found.data, starts[escaped], ends[escaped])
        quoted = quoted.take(pa.array(np.arange(0, len(quoted), 2, dtype=np.int32)))
        plain = column_of("SELECT json_text ->> '$' FROM page", quoted)
        places[escaped] = len(texts) + np.arange(len(escaped), dtype=np.int32)
        texts = pa.concat_arrays([texts, plain.cast(pa.string())])
    return first_bytes, texts, places


def _segments(data: pa.Buffer, starts: np.ndarray, ends: np.ndarray) -> pa.Array:
    """The bytes from each start to its end, and those up to the next start, in turn: nothing is copied."""
    edges = np.empty(2 * len(starts), np.int32)
    edges[0::2] = starts
    edges[1::2] = ends
    return pa.StringArray.from_buffers(max(0, len(edges) - 1), pa.py_buffer(edges), data)
