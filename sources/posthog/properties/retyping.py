"""Property columns made anew from the JSON that is there: for values that did not fit, and rows of before the column.

Nothing is asked of PostHog, and nothing but columns changes: the JSON is what it was.

`plan` says what has to happen to columns whose values no longer fit, as data: who does it is another matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..tables import Table
from .cast import PROPERTY_TYPES
from .catalogue import Catalogue
from .infer import PropertyType
from .names import ColumnRules
from .pairs import Parser
from .shred import PROPERTIES, RESERVED, Shredder


@dataclass(frozen=True)
class Widening:
    """One column that is to become wider."""

    table: str
    column: str
    key: str
    from_type: PropertyType
    to_type: PropertyType


def plan(catalogue: Catalogue) -> list[Widening]:
    """The widenings that are due, by column name. `Catalogue.widen` notes that one is done."""
    return [
        Widening(catalogue.table, known.name, known.key, known.type, known.wanted)
        for known in sorted(catalogue.properties, key=lambda known: known.name)
        if known.type != known.wanted
    ]


class Retyping:
    """The columns of one table: which are to be made anew, and their values."""

    def __init__(
        self,
        table: Table,
        rules: ColumnRules,
        *,
        state: Mapping[str, Any] | None,
        held: Mapping[str, PropertyType],
        definitions: Callable[[], Mapping[str, str | None]] = dict,
    ) -> None:
        """`state`, `held` and `definitions` are as for `PropertyColumns`."""
        self._table = table
        self._rules = rules
        self._taken = [*(column.name for column in table.columns), *RESERVED]
        self._held = dict(held)
        self._parser = Parser(is_checked=True)
        self.catalogue = Catalogue(
            table.name, taken=self._taken, definitions=definitions, rules=rules, state=state, held=held
        )

    def widened(self) -> dict[str, PropertyType]:
        """The columns, with their new types, of which pages held values that do not fit. Of no others is known more."""
        due = {widening.key for widening in plan(self.catalogue)}
        self.catalogue.widen(due)
        return {known.name: known.type for known in self.catalogue.properties if known.key in due}

    def surveyed(self, pages: Iterable[pa.Table], filled: Mapping[str, int]) -> dict[str, PropertyType]:
        """The columns, with their types, that are not what all rows of the table say: widened, new, or with gaps.

        `pages` have the whole JSON column of the table, `filled` says how many rows have a value in each column.
        """
        self.catalogue.recount()
        shred = Shredder(self.catalogue, parser=self._parser)
        for page in pages:
            shred(page.column(PROPERTIES))
        conflicts = {known.key: known.conflicts for known in self.catalogue.properties}
        wider = self.widened()
        return wider | {
            known.name: known.type
            for known in self.catalogue.properties
            if known.name not in wider and filled.get(known.name) != known.rows - conflicts[known.key]
        }

    def pages(self, pages: Iterable[pa.Table], types: Mapping[str, PropertyType]) -> Iterator[pa.Table]:
        """`pages` with the columns `types` in the place of the JSON, each as long as its page."""
        keys = frozenset(known.key for known in self.catalogue.properties if known.name in types)
        # Of its own: what was counted is not to be counted again.
        made = Catalogue(
            self._table.name, taken=self._taken, rules=self._rules, state=self.catalogue.state(), held=dict(types)
        )
        made.recount()
        shred = Shredder(made, parser=self._parser, only=keys)
        for page in pages:
            found = shred(page.column(PROPERTIES)).columns
            rest = page.drop_columns([PROPERTIES])
            for name, kind in types.items():
                values = found.get(name)
                rest = rest.append_column(name, pa.nulls(len(page), PROPERTY_TYPES[kind]) if values is None else values)
            if has_values := [found[name] for name in types if name in found]:
                yield rest.filter(pa.array(_any_valid(has_values)))
        self.catalogue.set_conflicts({key: known.conflicts for key, known in made.known().items() if key in keys})


def _any_valid(columns: list[pa.ChunkedArray]) -> np.ndarray:
    """In which rows any of `columns` has a value: the others need not be written, for they are NULL anyway."""
    valid = np.zeros(len(columns[0]), bool)
    for column in columns:
        valid |= column.is_valid().to_numpy()
    return valid
