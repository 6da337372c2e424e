"""The property columns of one table: which there are, what they are called, of which type, and how well they fit.

A `Tally` is how many values some rows have, and how many of them their columns do not hold.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

from ..tables.schema import Column
from .infer import Declared, Kind, PropertyType, declared_type, type_of, widened
from .names import ColumnRules, Names


@dataclass
class Tally:
    """Of some rows, each counted once."""

    rows: int = 0
    values: Counter[str] = field(default_factory=Counter)
    """Key -> rows with a value, NULL not counted."""
    conflicts: Counter[str] = field(default_factory=Counter)
    """Key -> those of them whose value its column does not hold."""

    def add(self, other: Tally) -> None:
        """Adds other rows."""
        self.rows += other.rows
        self.values.update(other.values)
        self.conflicts.update(other.conflicts)


_VERSION = 1
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Property:
    """A property that is a column."""

    key: str
    name: str
    """Of the column: recorded once, and the same ever after."""
    type: PropertyType
    """Of the column as it is written now."""
    declared: Declared | None
    """What PostHog said of it when it was first seen."""
    kinds: Kind
    """All kinds of values seen; `TEXT` as well where the column is of text, which may hold any."""
    first_seen: datetime
    last_seen: datetime
    rows: int = 0
    """Rows counted with a value, NULL not counted: see `Catalogue.count`."""
    conflicts: int = 0
    """Those of them whose value the column does not hold."""

    @property
    def wanted(self) -> PropertyType:
        """The type that would hold all values seen. Wider than `type` after conflicts: see `retyping.plan`."""
        return widened(self.type, type_of(self.kinds, self.declared) or self.type)

    @property
    def column(self) -> Column:
        """As tables declare columns."""
        said = f"; PostHog: {self.declared}" if self.declared else ""
        # No comment on a column takes a zero byte, and a line break hurts whoever reads it.
        shown = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", self.key)
        return column_of(self.name, self.type, self.key, f"Property {shown} of the column properties{said}.")


def column_of(name: str, kind: PropertyType, key: str, description: str) -> Column:
    """A property column as tables declare columns."""
    return Column(name, kind, key, description, precision=(38, 0) if kind == "decimal" else None)


@dataclass(frozen=True)
class Seen:
    """What some rows hold of one key."""

    rows: int
    """With a value other than null."""
    kinds: Kind


class Catalogue:
    """The property columns of `table`. Safe to use from several threads.

    A column is never renamed, and its type stays until `widen` says that the destination's has changed. With the same
    keys listed by PostHog, the columns, their names and the types wanted are the same in whatever order pages come, as
    long as there is room (`ColumnRules.max_columns`): then it goes to the keys of most rows in the page that needs it.
    """

    def __init__(
        self,
        table: str,
        *,
        taken: Collection[str] = (),
        definitions: Mapping[str, str | None] | Callable[[], Mapping[str, str | None]] | None = None,
        rules: ColumnRules | None = None,
        state: Mapping[str, Any] | None = None,
        held: Mapping[str, PropertyType] | None = None,
    ) -> None:
        """What is known before the first page.

        Args:
            table: its name.
            taken: names of its other columns.
            definitions: key -> type, of PostHog's property_definitions, or what asks for them: called once, before
                the first column is made that no earlier run recorded. None where they may not be read.
            rules: what people want.
            state: what `state` gave in an earlier run.
            held: column -> type in the destination, which goes before what was recorded.
        """
        self.table = table
        self._rules = rules or ColumnRules()
        self._ask_definitions = definitions if callable(definitions) else lambda: definitions or {}
        self._taken = taken
        self._held = held or {}
        self._lock = threading.RLock()
        self._properties: dict[str, Property] = {}
        self._rows_read = int((state or {}).get("rows", 0))
        self._is_doubtful = bool((state or {}).get("is_doubtful", False))
        for entry in (state or {}).get("properties", ()):
            known = _from_state(entry)
            held_type = self._held.get(known.name, known.type)
            # A column that has become wider since was made anew: it holds all its values.
            conflicts = known.conflicts if held_type == known.type else 0
            self._is_doubtful |= held_type != known.type or not _is_reached(known)
            self._properties[known.key] = replace(known, type=held_type, conflicts=conflicts)

    @property
    def is_doubtful(self) -> bool:
        """Whether columns may hold other values than the JSON says, or NULL where they could hold one.

        So it is where the type that was recorded of a column is not the one that it has: a run died while columns were
        made anew, or a version up to 0.1 took JSON columns for text. Remembered in `state` until all rows were read
        again (`recount`).
        """
        return self._is_doubtful

    @property
    def depth(self) -> int:
        """How deep objects are taken apart."""
        return self._rules.depth

    @property
    def properties(self) -> list[Property]:
        """All columns, in the order in which they came."""
        with self._lock:
            return list(self._properties.values())

    def known(self) -> dict[str, Property]:
        """All columns by key, as they are now."""
        with self._lock:
            return dict(self._properties)

    def declared(self, key: str) -> Declared | None:
        """What PostHog says of `key`, or said when it became a column."""
        known = self._properties.get(key)
        if known is not None:
            return known.declared
        with self._lock:
            return declared_type(self._definitions.get(key))

    def may_be_column(self, key: str) -> bool:
        """Whether `key` is a column or may become one."""
        if self._rules.wants(key) == "never":
            return False
        return key in self._properties or self._rules.wants(key) == "always" or self._room > 0

    def settle(self, seen: Mapping[str, Seen], at: datetime | None = None) -> dict[str, Property]:
        """Takes in what a page holds; gives the columns for its keys, new ones included. Counts nothing: see `count`.

        `at` is when it was read: now, unless given.
        """
        moment = at or datetime.now(timezone.utc)
        with self._lock:
            for key, found in sorted(seen.items(), key=lambda item: (-item[1].rows, item[0])):
                self._settle(key, found, moment)
            return {
                key: self._properties[key]
                for key in seen
                if key in self._properties and self._rules.wants(key) != "never"
            }

    def count(self, tally: Tally) -> None:
        """Adds what was counted of some rows. What a page holds may be settled before anybody knows that it is loaded,
        and as often as it is read; this is for rows that are loaded, and not counted yet."""
        with self._lock:
            self._rows_read += tally.rows
            for key, rows in tally.values.items():
                if (known := self._properties.get(key)) is not None:
                    conflicts = known.conflicts + tally.conflicts[key]
                    self._properties[key] = replace(known, rows=known.rows + rows, conflicts=conflicts)

    def recount(self) -> None:
        """Forgets how many rows were read with what: all rows of the table are about to be read again."""
        with self._lock:
            self._rows_read = 0
            self._is_doubtful = False
            for key, known in self._properties.items():
                kinds = known.kinds | _kinds_held(known.type)
                self._properties[key] = replace(known, kinds=kinds, rows=0, conflicts=0)

    def widen(self, keys: Iterable[str]) -> None:
        """Notes that the columns of `keys` are of the type wanted now, and to be refilled."""
        with self._lock:
            for key in keys:
                known = self._properties[key]
                self._properties[key] = replace(known, type=known.wanted, conflicts=0)

    def set_conflicts(self, conflicts: Mapping[str, int]) -> None:
        """Notes what columns that were refilled do not hold: where PostHog declares a type, other values never fit."""
        with self._lock:
            for key, count in conflicts.items():
                self._properties[key] = replace(self._properties[key], conflicts=count)

    def state(self) -> dict[str, Any]:
        """What is to be remembered, as JSON has it."""
        with self._lock:
            entries = [_to_state(known) for known in self._properties.values()]
            state = {"version": _VERSION, "rows": self._rows_read, "properties": entries}
            return {**state, "is_doubtful": True} if self._is_doubtful else state

    def facts(self) -> list[dict[str, Any]]:
        """Rows of the table `property_columns`: `coverage` is the share of rows read that have a value."""
        with self._lock:
            return [
                {
                    "table_name": self.table,
                    "column_name": known.name,
                    "key": known.key,
                    "type": known.type,
                    "wanted_type": known.wanted,
                    "declared_type": known.declared,
                    "first_seen": known.first_seen,
                    "last_seen": known.last_seen,
                    "coverage": min(1.0, known.rows / self._rows_read) if self._rows_read else 0.0,
                    "conflicts": known.conflicts,
                }
                for known in self._properties.values()
            ]

    @cached_property
    def _definitions(self) -> Mapping[str, str | None]:
        return self._ask_definitions()

    @cached_property
    def _names(self) -> Names:
        recorded = {known.key: known.name for known in self._properties.values()}
        return Names(self._taken, recorded, self._definitions)

    @property
    def _room(self) -> int:
        return self._rules.max_columns - len(self._properties)

    def _settle(self, key: str, found: Seen, moment: datetime) -> None:
        known = self._properties.get(key)
        if known is None:
            wish = self._rules.wants(key)
            if wish == "never" or (wish == "room" and self._room <= 0):
                return
            declared = declared_type(self._definitions.get(key))
            wanted = type_of(found.kinds, declared)
            if wanted is None:
                return
            name = self._names.name(key)
            known = Property(key, name, self._held.get(name, wanted), declared, found.kinds, moment, moment)
        kinds = known.kinds | found.kinds | _kinds_held(known.type)
        self._properties[key] = replace(known, kinds=kinds, last_seen=max(moment, known.last_seen))


def _kinds_held(kind: PropertyType) -> Kind:
    """What to note of a column's values for its type: one of text may hold values of any kind, and stays text."""
    return Kind.TEXT if kind == "text" else Kind(0)


def _is_reached(known: Property) -> bool:
    """Whether values of the kinds that were seen make a column of the type that it has."""
    return known.type != "text" or Kind.TEXT in known.kinds or type_of(known.kinds, known.declared) in {None, "text"}


def _to_state(known: Property) -> dict[str, Any]:
    return {
        "key": known.key,
        "name": known.name,
        "type": known.type,
        "declared": known.declared,
        "kinds": int(known.kinds),
        "first_seen": known.first_seen.isoformat(),
        "last_seen": known.last_seen.isoformat(),
        "rows": known.rows,
        "conflicts": known.conflicts,
    }


def _from_state(entry: Mapping[str, Any]) -> Property:
    return Property(
        key=entry["key"],
        name=entry["name"],
        type=entry["type"],
        declared=declared_type(entry["declared"]),
        kinds=Kind(entry["kinds"]),
        first_seen=datetime.fromisoformat(entry["first_seen"]),
        last_seen=datetime.fromisoformat(entry["last_seen"]),
        rows=entry["rows"],
        conflicts=entry["conflicts"],
    )
