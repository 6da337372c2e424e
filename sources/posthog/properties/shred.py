"""Pages of JSON texts in, typed columns out: each value is exactly what the JSON says, or NULL and counted.

A page is worked on in pieces, so that memory does not grow with it. The texts themselves are left alone.

`PropertyColumns` takes pages with a JSON column `properties` and gives the same pages with typed columns beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..pages.arrow import arrow_schema
from ..tables import PROPERTY_COLUMNS, Table
from .cast import MAX_EXACT, fit, kinds_of
from .catalogue import Catalogue, Property, Seen, Tally
from .infer import Kind, PropertyType
from .names import parts_of, path_key
from .pairs import PIECE_BYTES, Cells, Parser, pieces
from .privacy import Privacy
from .settings import PropertySettings

MAX_EXAMPLES = 20
_OBJECT = ord("{")


@dataclass
class Shredded:
    """What came out of a page."""

    columns: dict[str, pa.ChunkedArray]
    """By column name, in the catalogue's order; as long as the page. Columns without a value in it are left out."""
    conflicts: dict[str, int] = field(default_factory=dict)
    """Key -> how many of its values do not fit the column: NULL there, and in the raw JSON only."""
    examples: list[tuple[int, str]] = field(default_factory=list)
    """The first of them: row of the page, and key."""
    missed: dict[str, int] = field(default_factory=dict)
    """Keys that are no columns: in how many rows they have a value."""
    tally: Tally = field(default_factory=Tally)
    """What was counted of the rows that are to be counted, of keys that are columns."""


class Shredder:
    """Makes columns of pages. Safe to use from several threads; what it finds out is in `catalogue`."""

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        piece_bytes: int = PIECE_BYTES,
        parser: Parser | None = None,
        only: Collection[str] | None = None,
        counts: bool = True,
    ) -> None:
        """Sets it up.

        Args:
            catalogue: the columns there are, and those that it makes.
            piece_bytes: how much text is worked on at once.
            parser: reads the JSON.
            only: the keys to look at; None: all that may be columns.
            counts: whether `catalogue` is told of what is counted (`Shredded.tally`) at once.
        """
        self.catalogue = catalogue
        self._only = only
        self._counts = counts
        self._piece_bytes = piece_bytes
        self._parser = parser or Parser()

    def __call__(self, texts: pa.Array | pa.ChunkedArray, counted: np.ndarray | None = None) -> Shredded:
        """The columns of `texts`, JSON objects as text; NULL and JSON that is no object have no properties.

        `counted`: which rows count in the tally; None: all.
        """
        result = Shredded({})
        made: list[dict[str, pa.Array]] = []
        lengths: list[int] = []
        for piece in pieces(texts, self._piece_bytes):
            start = sum(lengths)
            among = None if counted is None else counted[start : start + len(piece)]
            result.tally.rows += len(piece) if among is None else int(among.sum())
            made.append(self._piece(piece, start, result, among))
            lengths.append(len(piece))
        if self._counts:
            self.catalogue.count(result.tally)
        for known in self.catalogue.properties:
            arrays = [piece.get(known.name) for piece in made]
            kind = next((array.type for array in arrays if array is not None), None)
            if kind is not None:
                result.columns[known.name] = pa.chunked_array(
                    [
                        pa.nulls(length, kind) if array is None else array
                        for array, length in zip(arrays, lengths, strict=True)
                    ],
                    kind,
                )
        return result

    def _piece(self, texts: pa.Array, offset: int, result: Shredded, counted: np.ndarray | None) -> dict[str, pa.Array]:
        known = self.catalogue.known()
        cells: dict[str, Cells] = {}
        seen: dict[str, Seen] = {}
        arrays: dict[str, tuple[PropertyType, pa.Array]] = {}
        for key, values in self._cells(texts, (), self.catalogue.depth):
            if not len(values) or (self._only is not None and key not in self._only):
                continue
            if not self.catalogue.may_be_column(key):
                result.missed[key] = result.missed.get(key, 0) + len(values)
                continue
            cells[key] = values
            column = known.get(key)
            if column and column.type == "text":
                seen[key] = Seen(len(values), Kind(0))  # it holds any kind
            elif column:
                array = fit(values, column.type, column.declared)
                arrays[key] = column.type, array
                seen[key] = Seen(len(values), _new_kinds(column, values, array))
            else:
                seen[key] = Seen(len(values), kinds_of(values, self.catalogue.declared(key)))
        columns: dict[str, pa.Array] = {}
        settled = self.catalogue.settle(seen)
        for key, values in cells.items():
            if key not in settled:
                result.missed[key] = result.missed.get(key, 0) + len(values)
                continue
            column = settled[key]
            among = None if counted is None else counted[values.rows]
            result.tally.values[key] += len(values) if among is None else int(among.sum())
            if column.type == "text":
                columns[column.name] = values.spread(len(texts))
                continue
            kind, array = arrays.pop(key, (None, None))
            if kind != column.type:
                array = fit(values, column.type, column.declared)
            if array.null_count:
                does_not_fit = array.is_null().to_numpy(zero_copy_only=False)
                _note_conflicts(key, values.rows[does_not_fit] + offset, result)
                result.tally.conflicts[key] += int((does_not_fit if among is None else does_not_fit & among).sum())
            columns[column.name] = _scattered(array, values, len(texts))
        return columns

    def _cells(self, texts: pa.Array, within: tuple[str, ...], depth: int) -> Iterator[tuple[str, Cells]]:
        """Keys and their values; of objects too, as deep as is wanted."""
        pairs = self._parser.pairs(texts)
        for index, name in enumerate(pairs.keys):
            values = pairs.of(index)
            parts = (*within, name)
            if not within and len(parts_of(name)) > 1:
                continue  # a name that looks like a path
            yield (path_key(parts) if within else name), values
            is_object = values.first_bytes == _OBJECT
            if depth > 1 and is_object.any():
                objects = values.filter(is_object)
                for key, inner in self._cells(objects.texts, parts, depth - 1):
                    yield key, replace(inner, rows=objects.rows[inner.rows])


def _new_kinds(column: Property, values: Cells, array: pa.Array) -> Kind:
    """The kinds among `values` that can change the column's type; `array` has those that fit."""
    if column.wanted == "text":
        return Kind(0)
    if column.type in {"bigint", "decimal"} and Kind.LONG not in column.kinds:
        return kinds_of(values, column.declared) if array.null_count or _has_long(array) else Kind(0)
    if array.null_count:
        return kinds_of(values.filter(array.is_null().to_numpy(zero_copy_only=False)), column.declared)
    return Kind(0)


def _has_long(array: pa.Array) -> bool:
    ends = pc.min_max(array).as_py()
    return bool(ends["max"] is not None and (ends["max"] > MAX_EXACT or ends["min"] < -MAX_EXACT))


def _note_conflicts(key: str, rows: np.ndarray, result: Shredded) -> None:
    result.conflicts[key] = result.conflicts.get(key, 0) + len(rows)
    if (room := MAX_EXAMPLES - len(result.examples)) > 0:
        result.examples += [(int(row), key) for row in rows[:room]]


def _scattered(array: pa.Array, values: Cells, length: int) -> pa.Array:
    """`array`, the fitted `values`, as long as the page: NULL elsewhere."""
    if len(values) == length:
        return array
    places = np.full(length, -1, np.int32)
    places[values.rows] = np.arange(len(values), dtype=np.int32)
    return array.take(pa.array(places, mask=places < 0))


PROPERTIES = "properties"
"""The column with the JSON objects."""

RESERVED = ("person_id_at_ingestion",)
"""Names that the views over the tables give to columns of theirs."""


@dataclass(frozen=True)
class ShapedPage:
    """A page as it is loaded, and what is to be counted of it once it is."""

    table: pa.Table
    tally: Tally = field(default_factory=Tally)

    def __len__(self) -> int:
        return int(self.table.num_rows)


class PropertyColumns:
    """The property columns of `table` in one run. Safe to use from several threads."""

    def __init__(
        self,
        table: Table,
        settings: PropertySettings,
        *,
        definitions: Callable[[], Mapping[str, str | None]] = dict,
        state: Mapping[str, Any] | None = None,
        held: Mapping[str, PropertyType] | None = None,
    ) -> None:
        """`definitions` is asked before the first new column; `state` and `held` are as for `Catalogue`."""
        self.catalogue = Catalogue(
            table.name,
            taken=[*(column.name for column in table.columns), *RESERVED],
            definitions=definitions,
            rules=settings.of_table(table.name),
            state=state,
            held=held,
        )
        parser = Parser(is_checked=True)
        self._privacy = Privacy(settings.privacy, settings.privacy_key, parser=parser)
        self._shred = Shredder(self.catalogue, parser=parser, counts=False)

    def __call__(self, page: pa.Table, counted: np.ndarray | None = None) -> ShapedPage:
        """`page` with the rules of privacy applied to its JSON, and the columns that it has values for.

        `counted`: which of its rows are to be counted; None: all.
        """
        place = page.schema.get_field_index(PROPERTIES)
        texts = self._privacy(page.column(place))
        found = self._shred(texts, counted)
        page = page.set_column(place, page.schema.field(place), texts)
        for name, values in found.columns.items():
            page = page.append_column(name, values)
        return ShapedPage(page, found.tally)

    def count(self, tally: Tally) -> None:
        """Counts rows that are in a load package."""
        self.catalogue.count(tally)


def facts_of(catalogue: Catalogue) -> pa.Table:
    """The rows of the table `property_columns` of one table."""
    return pa.Table.from_pylist(catalogue.facts(), arrow_schema(PROPERTY_COLUMNS))


def held_types(held: Mapping[str, Any], table: Table) -> dict[str, PropertyType]:
    """The types of the property columns that the destination has, by name, out of dlt's schema of the table."""
    declared = {column.name for column in table.columns}
    kinds = get_args(PropertyType)
    return {
        name: column["data_type"]
        for name, column in held.get("columns", {}).items()
        if name not in declared and column.get("data_type") in kinds
    }
