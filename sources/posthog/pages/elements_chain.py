r"""`elements_chain` taken apart: a row for each element, columnar, without a Python loop over rows.

What PostHog writes (plugin-server/src/utils/db/elements-chain.ts and posthog/models/element/element.py, read in
November 2026): from the element clicked up, `tag.class.class:key="value"key="value"`, `;` between elements. Quotes in
keys and values are written as `\"`, and nothing else is escaped; quotes in classes are dropped. Keys are `text`,
`href`, `attr_id`, `nth-child` and `nth-of-type` (0 where they are not known) and the attributes, which are `attr__...`
of the browser.

This is the inverse of that writing. PostHog's own reading differs where it loses something: it leaves `\"` as it is,
ends an element at white space outside of quotes, ends a value at a quote behind two backslashes, and cuts off what it
cannot read. A value that ends with a backslash cannot be told from one that goes on. A dot in a class cannot be told
from the dot between classes: `attr__class` among the attributes has them as they were.

`scan` finds the elements, keys and values of chains, as byte positions: NumPy over all chains of a page at once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..tables import EVENT_ELEMENTS
from .arrow import arrow_schema

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


RAW = "$elements_chain"
"""The attribute that holds the text of an element that cannot be read."""

SCHEMA = arrow_schema(EVENT_ELEMENTS)

_PIECE_ROWS = 50_000
# Before the first value: tag and classes, which may have colons, and the first key. Of two ways to cut, the first.
_HEAD = r"(?s)^(?P<tag>.*?):(?P<key>attr__.*|[a-zA-Z0-9_-]*)$"
_TAG = r"(?s)^(?P<tag>[^.]*)(?:\.(?P<classes>.*))?$"
_NUMBER = r"^-?[0-9]{1,18}$"
_LOCAL = threading.local()
_CLASSES_SQL = "SELECT to_json(list_filter(string_split(given, '.'), lambda name: name <> ''))::VARCHAR FROM page"


@dataclass(frozen=True)
class Elements:
    """The elements of a page of events."""

    table: pa.Table
    """As `SCHEMA` says; `classes` and `attributes` are JSON."""
    broken: int
    """Elements that could not be read: their text is in the attributes, as `RAW`."""


def elements_of(uuids: pa.ChunkedArray, chains: pa.ChunkedArray) -> Elements:
    """The elements of events, in the events' order; position 0 is the one clicked. NULL and "" have none.

    Safe to call from several threads.
    """
    tables, broken = [SCHEMA.empty_table()], 0
    for batch in pa.table({"uuid": uuids, "chain": chains}).to_batches(max_chunksize=_PIECE_ROWS):
        has_chain = pc.fill_null(pc.not_equal(batch.column(1), ""), fill_value=False)
        given = batch.filter(has_chain)
        if given.num_rows:
            found = _Piece(_without_offset(given.column(1)), _connection())
            tables.append(found.table(given.column(0)))
            broken += int(found.is_broken.sum())
    return Elements(pa.concat_tables(tables), broken)


def _connection() -> duckdb.DuckDBPyConnection:
    """This thread's own DuckDB: one takes longer to make than a page to read."""
    if not hasattr(_LOCAL, "connection"):
        # What its allocator keeps for later is 128 MB a thread by default.
        config: dict[str, Any] = {"threads": 1, "allocator_flush_threshold": "16MB"}
        _LOCAL.connection = duckdb.connect(":memory:", config=config)
    connection: duckdb.DuckDBPyConnection = _LOCAL.connection
    return connection


def _without_offset(chains: pa.StringArray) -> pa.StringArray:
    return chains if chains.offset == 0 else pa.concat_arrays([chains, pa.array([], pa.string())])


class _Piece:
    def __init__(self, chains: pa.StringArray, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._scan = scan(chains)
        self.is_broken = self._scan.is_broken
        self._read_heads()
        self._read_keys()

    def _read_heads(self) -> None:
        """Tag and classes, and where the first key begins."""
        found = self._scan
        ends = found.ends.copy()
        ends[found.element[found.is_first]] = found.key_ends[found.is_first]
        heads = found.texts(found.starts, ends).dictionary_encode()
        codes = heads.indices.to_numpy()
        has_attributes = np.zeros(len(found.starts), np.bool_)
        has_attributes[found.element] = True

        cut = pc.extract_regex(heads.dictionary, _HEAD)
        tags = pc.struct_field(cut, "tag")
        is_head = pc.is_valid(tags).to_numpy(zero_copy_only=False)
        is_alone = pc.invert(pc.match_substring_regex(heads.dictionary, ":[a-zA-Z0-9_-]*=")).to_numpy(
            zero_copy_only=False
        )
        self.is_broken |= ~np.where(has_attributes, is_head[codes], is_alone[codes])
        found.keep(~self.is_broken[found.element])
        lengths = pc.fill_null(pc.binary_length(tags), 0).to_numpy()
        found.key_starts[found.is_first] += lengths[codes[found.element[found.is_first]]] + 1

        # The same head with attributes is cut at the colon, and without is all tag and classes.
        parts = pa.concat_arrays([tags, heads.dictionary])
        self._part = np.where(has_attributes, codes, codes + len(heads.dictionary))
        named = pc.extract_regex(parts, _TAG)
        tag, classes = pc.struct_field(named, "tag"), pc.struct_field(named, "classes")
        self._tag = pc.if_else(pc.equal(tag, ""), None, tag)
        listed = self._sql(_CLASSES_SQL, classes)
        self._classes = pc.if_else(pc.equal(listed, "[]"), None, listed)

    def _read_keys(self) -> None:
        found = self._scan
        keys = found.texts(found.key_starts, found.key_ends).dictionary_encode()
        codes = keys.indices.to_numpy().astype(np.int64)
        # PostHog writes each key once.
        pairs = found.element * max(1, len(keys.dictionary)) + codes
        ordered = np.sort(pairs)
        twice = ordered[1:][ordered[1:] == ordered[:-1]] // max(1, len(keys.dictionary))
        if len(twice):
            self.is_broken[twice] = True
            kept = ~self.is_broken[found.element]
            found.keep(kept)
            codes = codes[kept]
        self._keys = _unescaped(keys.dictionary)
        self._codes = codes

    def table(self, uuids: pa.Array) -> pa.Table:
        found = self._scan
        values = found.texts(found.value_starts, found.value_ends)
        is_left = np.ones(len(values), np.bool_)
        columns: dict[str, pa.Array] = {}
        for name, key in {"text": "text", "href": "href", "id": "attr_id"}.items():
            where = self._of_key(key)
            is_left[where] = False
            columns[name] = self._spread(_unescaped(values.take(pa.array(where))), found.element[where])
        for name, key in {"nth_child": "nth-child", "nth_of_type": "nth-of-type"}.items():
            where = self._of_key(key)
            texts = values.take(pa.array(where)).dictionary_encode()
            is_number = pc.match_substring_regex(texts.dictionary, _NUMBER)
            numbers = pc.if_else(is_number, texts.dictionary, None).cast(pa.int64()).take(texts.indices)
            columns[name] = self._spread(numbers, found.element[where])
            is_left[where] = pc.is_null(numbers).to_numpy(zero_copy_only=False)
        columns |= {
            "event_uuid": uuids.take(pa.array(found.rows)),
            "position": pa.array(found.places),
            "tag": self._tag.take(pa.array(self._part, mask=self.is_broken)),
            "classes": self._classes.take(pa.array(self._part, mask=self.is_broken)),
            "attributes": self._attributes(values, is_left),
        }
        return pa.Table.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)

    def _of_key(self, key: str) -> Positions:
        """The attributes of this key."""
        code = pc.index(self._keys, key).as_py()
        return np.flatnonzero(self._codes == code)

    def _spread(self, values: pa.Array, elements: Positions) -> pa.Array:
        """`values`, each at its element; NULL at the others."""
        places = np.full(len(self.is_broken), -1, np.int64)
        places[elements] = np.arange(len(elements))
        return values.take(pa.array(places, mask=places < 0))

    def _attributes(self, values: pa.Array, is_left: Mask) -> pa.Array:
        """A JSON object for each element: all attributes that have no column, in the chain's order."""
        found: Scan = self._scan
        values, codes = values.filter(pa.array(is_left)), pa.array(self._codes[is_left])
        names = pc.binary_join_element_wise(self._sql("SELECT to_json(given)::VARCHAR FROM page", self._keys), ":", "")
        members = pc.binary_join_element_wise(names.take(codes), '"', values, '"', "")
        is_special = found.needs_escape()[is_left]
        if is_special.any():
            mask = pa.array(is_special)
            escaped = self._sql("SELECT to_json(given)::VARCHAR FROM page", _unescaped(values.filter(mask)))
            members = pc.replace_with_mask(
                members, mask, pc.binary_join_element_wise(names.take(codes.filter(mask)), escaped, "")
            )
        edges = np.searchsorted(found.element[is_left], np.arange(len(self.is_broken) + 1))
        lists = pa.ListArray.from_arrays(pa.array(edges, pa.int32()), members)
        objects = pc.binary_join_element_wise("{", pc.binary_join(lists, ","), "}", "")
        if self.is_broken.any():
            texts = found.texts(found.starts[self.is_broken], found.ends[self.is_broken])
            raw = self._sql(f"SELECT json_object('{RAW}', given)::VARCHAR FROM page", texts)
            objects = pc.replace_with_mask(objects, pa.array(self.is_broken), raw)
        return objects

    def _sql(self, sql: str, texts: pa.Array) -> pa.Array:
        """One text for each of `texts`, which are `given` in `page`; NULL for NULL."""
        self._connection.register("page", pa.table({"given": texts}))
        try:
            column: Any = self._connection.execute(sql).to_arrow_table().column(0)
        finally:
            self._connection.unregister("page")
        return column.combine_chunks().cast(pa.string())


def _unescaped(texts: pa.Array) -> pa.Array:
    return pc.replace_substring(texts, '\\"', '"')
