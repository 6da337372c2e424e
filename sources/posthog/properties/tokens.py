"""Where the keys and values of JSON objects begin and end, found for a whole page at once.

The texts are known to be JSON, so a quote that is not escaped opens or closes a string, a string before a colon is a
key, and braces outside of strings give the depth: a few passes over the bytes, in blocks that stay in the processor's
cache. Nothing is copied or spelled anew: 1.10 stays 1.10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_QUOTE, _BACKSLASH, _COLON, _COMMA, _CLOSE, _SPACE = (ord(sign) for sign in '"\\:,} ')
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
    quotes = np.flatnonzero(data == _QUOTE).astype(np.int32)
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
    is_odd = (data[value_starts] <= _SPACE) | (data[value_ends - 1] <= _SPACE) | (data[value_ends - 1] == _COMMA)
    expected = np.full(len(starts), _COMMA, np.uint8)
    expected[last] = _CLOSE
    is_odd |= data[value_ends] != expected
    is_odd[first] |= starts[first] != offsets[filled] + 1
    spaced = np.concatenate([rows[is_odd], np.searchsorted(offsets, closing[behind <= _SPACE], side="right") - 1])
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
