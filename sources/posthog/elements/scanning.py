"""Where the elements, keys and values of chains are, as byte positions: NumPy over all chains of a page at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_QUOTE, _BACKSLASH, _SEMICOLON, _EQUALS, _SPACE = b'"\\;= '


@dataclass
class Scan:
    """Positions in the bytes of all chains, one after the other. Spans are half-open and in order."""

    data: npt.NDArray[np.uint8]
    rows: Positions
    """The chain of each element."""
    places: Positions
    """The place of each element in its chain, from 0."""
    starts: Positions
    ends: Positions
    """The bytes of each element."""
    is_broken: Mask
    """Elements whose quotes make no attributes."""
    element: Positions
    """The element of each attribute; broken ones have none."""
    is_first: Mask
    """Of its element; its key begins somewhere behind the tag and the classes."""
    key_starts: Positions
    key_ends: Positions
    value_starts: Positions
    value_ends: Positions

    def keep(self, attributes: Mask) -> None:
        """Forgets the other attributes."""
        for name in ("element", "is_first", "key_starts", "key_ends", "value_starts", "value_ends"):
            setattr(self, name, getattr(self, name)[attributes])

    def texts(self, starts: Positions, ends: Positions) -> pa.Array:
        """The text of spans which are in order and do not overlap."""
        edges = np.empty(2 * len(starts) + 1, np.int32)
        edges[:-1:2], edges[1::2], edges[-1] = starts, ends, len(self.data)
        # What lies between the spans is a text as well, for an instant: so nothing is cut out one by one.
        both = pa.StringArray.from_buffers(2 * len(starts), pa.py_buffer(edges), pa.py_buffer(self.data))
        return both.take(pa.array(np.arange(0, 2 * len(starts), 2)))

    def needs_escape(self) -> Mask:
        """Attributes whose value is not the same in JSON."""
        special = np.flatnonzero((self.data == _BACKSLASH) | (self.data < _SPACE))
        if not len(special):
            return np.zeros(len(self.element), np.bool_)
        is_special: Mask = np.searchsorted(special, self.value_starts) < np.searchsorted(special, self.value_ends)
        return is_special


def scan(chains: pa.StringArray) -> Scan:
    """Finds the elements and attributes of `chains`, which has no NULL and no offset.

    A quote behind a backslash belongs to a value or a key: the writer escapes quotes, and nothing else. An element ends
    at a `;` outside of quotes.
    """
    _, offset_buffer, data_buffer = chains.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[: len(chains) + 1].astype(np.int64)
    data = np.frombuffer(data_buffer or b"", np.uint8)[: offsets[-1]]
    quotes = _quotes(data, offsets)
    rows, starts, ends = _elements(data, offsets, quotes)
    first_of_row = np.searchsorted(rows, np.arange(len(chains)))
    counts = np.diff(np.searchsorted(quotes, np.append(starts, len(data))))
    is_broken = counts % 2 == 1
    of_quote = np.repeat(np.arange(len(starts)), counts)
    if is_broken.any():
        quotes, of_quote = quotes[~is_broken[of_quote]], of_quote[~is_broken[of_quote]]
    opens, closes, element = quotes[0::2], quotes[1::2], of_quote[0::2]
    is_first = np.append([True], element[1:] != element[:-1])[: len(element)]
    key_starts = np.where(is_first, starts[element], np.append([0], closes[:-1] + 1)[: len(closes)])
    is_bad = (opens <= key_starts) | (data[opens - 1] != _EQUALS)
    is_last = np.append(is_first[1:], [True])[: len(element)]
    is_bad |= is_last & (closes + 1 != ends[element])
    is_broken[element[is_bad]] = True
    found = Scan(
        data,
        rows,
        np.arange(len(rows)) - first_of_row[rows],
        starts,
        ends,
        is_broken,
        element,
        is_first,
        key_starts,
        opens - 1,
        opens + 1,
        closes,
    )
    found.keep(~is_broken[element])
    return found


def _quotes(data: npt.NDArray[np.uint8], offsets: Positions) -> Positions:
    """Quotes that begin or end a value."""
    quotes: Positions = np.flatnonzero(data == _QUOTE)
    is_escaped = data[quotes - 1] == _BACKSLASH
    # The byte before a chain is none of its own.
    at_start = np.searchsorted(quotes, offsets[:-1])
    at_start = at_start[at_start < len(quotes)]
    is_escaped[at_start[np.isin(quotes[at_start], offsets[:-1])]] = False
    found: Positions = quotes[~is_escaped]
    return found


def _elements(
    data: npt.NDArray[np.uint8], offsets: Positions, quotes: Positions
) -> tuple[Positions, Positions, Positions]:
    """The chain, start and end of each element; nothing between two `;` is no element."""
    semicolons = np.flatnonzero(data == _SEMICOLON)
    of_semicolon = np.searchsorted(offsets, semicolons, side="right") - 1
    quotes_before = np.searchsorted(quotes, semicolons) - np.searchsorted(quotes, offsets)[of_semicolon]
    is_outside = quotes_before % 2 == 0
    separators, of_separator = semicolons[is_outside], of_semicolon[is_outside]
    chains = len(offsets) - 1
    starts = np.sort(np.concatenate([offsets[:-1], separators + 1]), kind="stable")
    ends = np.sort(np.concatenate([separators, offsets[1:]]), kind="stable")
    rows = np.repeat(np.arange(chains), 1 + np.bincount(of_separator, minlength=chains))
    is_any = ends > starts
    return rows[is_any], starts[is_any], ends[is_any]
