"""The keys and values of a page of JSON objects, flat: one parse of each text, whatever and however many its keys.

DuckDB checks the texts and undoes escapes; Arrow and NumPy work on all values of the page at once. DuckDB's own way to
columns, a struct of wanted keys, costs more, confuses `Plan` with `plan`, makes a 5 out of "5" and a 2 out of 1.5.
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

from sources.posthog.json_text import parsable
from sources.posthog.properties.tokens import Tokens, tokens
from sources.posthog.scratch import column_of

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
        """`is_checked`: texts have been through `sources.posthog.json_text.parsable`, so they are JSON."""
        self._is_checked = is_checked

    def pairs(self, texts: pa.Array) -> Pairs:
        """The pairs of `texts`. NULL and JSON that is no object have none; of a key that comes twice, the last counts.

        What no parser takes is mended first (`sources.posthog.json_text`), and so has a string's pairs: none.
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
