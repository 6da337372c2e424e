"""What a declaration of a table is made of. Data only: who reads it is in `posthog.readers.registry`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

DataType = Literal["text", "timestamp", "json", "bigint", "bool", "double", "decimal", "date", "binary"]
"""dlt's names of types."""

EngineName = Literal["hogql", "listing", "insights"]


@dataclass(frozen=True)
class Column:
    """One column of a table: what it is, and where PostHog keeps it."""

    name: str
    data_type: DataType
    hogql: str
    """Its name in PostHog. By HogQL, UUIDs and times are asked for as text, times in UTC."""
    description: str
    nullable: bool = True
    is_uuid: bool = False
    """Text in a UUID's canonical form: destinations that have a UUID type use it."""
    empty_is_null: bool = False
    """PostHog has no NULL there and writes an empty text instead."""
    precision: tuple[int, int] | None = None
    """Of a decimal number: digits in all, and behind the point."""
    is_unsigned: bool = False
    """A whole number below 2^64: destinations that have a type for those use it."""

    def dlt_hints(self) -> dict[str, Any]:
        """The column as dlt's schema wants it. `x-uuid` and `x-unsigned` are ours: dlt has no such types."""
        hints: dict[str, Any] = {
            "name": self.name,
            "data_type": self.data_type,
            "nullable": self.nullable,
            "description": self.description,
        }
        if self.data_type == "timestamp":
            hints["timezone"] = True
            hints["precision"] = 6
        if self.precision is not None:
            hints["precision"], hints["scale"] = self.precision
        if self.is_uuid:
            hints["x-uuid"] = True
        if self.is_unsigned:
            hints["x-unsigned"] = True
        return hints


def text(name: str, description: str, **more: Any) -> Column:
    """A text. `more` are other fields of `Column`; `hogql`, its name in PostHog, is `name` unless given."""
    return _column("text", name, description, more)


def bigint(name: str, description: str, **more: Any) -> Column:
    """A whole number of 64 bits."""
    return _column("bigint", name, description, more)


def double(name: str, description: str, **more: Any) -> Column:
    """A floating-point number."""
    return _column("double", name, description, more)


def flag(name: str, description: str, **more: Any) -> Column:
    """True or false."""
    return _column("bool", name, description, more)


def time(name: str, description: str, **more: Any) -> Column:
    """A moment, UTC, microseconds."""
    return _column("timestamp", name, description, more)


def day(name: str, description: str, **more: Any) -> Column:
    """A date."""
    return _column("date", name, description, more)


def json(name: str, description: str, **more: Any) -> Column:
    """Any JSON, as PostHog holds it."""
    return _column("json", name, description, more)


def _column(data_type: DataType, name: str, description: str, more: dict[str, Any]) -> Column:
    return Column(**{"name": name, "data_type": data_type, "hogql": name, "description": description, **more})


@dataclass(frozen=True)
class Probe:
    """The least that shows whether a key may read a table: a REST list, or a query in HogQL."""

    path: str = ""
    """Relative to the project, or from /api/ on."""
    params: tuple[tuple[str, str | int], ...] = ()
    sql: str = ""


class Reads(ABC):
    """How PostHog is asked for a table: what its engine has to know. Each engine declares a kind of its own."""

    engine: ClassVar[EngineName]
    copies_come_together: ClassVar[bool] = False
    """Rows of one run with the same key come on one page, or are the same: the first page with a key has the newest."""

    @abstractmethod
    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""

    def probe(self) -> Probe | None:
        """What to ask to see whether the table can be read; None: it takes more than one small request."""
        return None

    def things(self) -> tuple[str, ...]:
        """The tables of HogQL and the endpoints that it is read from: a server may lack each of them."""
        return ()


@dataclass(frozen=True)
class MadeOfPages(Reads):
    """Made of the pages of other tables, and loaded with them: nothing is asked for."""

    follows: str
    """How the table follows PostHog, in a phrase for people."""

    engine: ClassVar[EngineName] = "hogql"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return self.follows


@dataclass(frozen=True)
class Table:
    """A table of the warehouse: its key, its columns, how it is read, and what a key of PostHog's needs for that."""

    name: str
    primary_key: str | tuple[str, ...]
    columns: tuple[Column, ...]
    description: str
    reads: Reads
    scope: str = "query:read"
    """What an API key must be allowed to do."""
    loads: Literal["merge", "replace"] = "merge"
    """Rows are merged on the key, or each run brings all of them."""
    merge_key: str | None = None
    """All rows of one value in this column are replaced together."""
    is_optional: bool = False
    """A server, a plan or a key without it is usual: it is skipped, that is said, and the run is complete."""
    is_on_request: bool = False
    """Loaded only when it is named."""
    every: Literal["lists_every", "insights_every"] | None = None
    """The setting that says how often it is due where nobody names it; None: in every run."""
    hard_delete: str | None = None
    """A boolean column: rows that arrive with it set are removed from the table instead."""
    newest_by: str | None = None
    """Of two rows with the same key the one with the greater value here counts."""
    property_owner: Literal["event", "person", "group"] | None = None
    """Whose properties its JSON column `properties` holds, in PostHog's words: they become columns, too."""
    max_nesting: int = 0
    """How deep nested lists become tables of their own (dlt's max_table_nesting); what lies deeper is JSON."""
    hints: dict[str, Any] = field(default_factory=dict, hash=False)
    """More arguments for `dlt.resource`."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of the key."""
        return (self.primary_key,) if isinstance(self.primary_key, str) else self.primary_key

    @property
    def key(self) -> str:
        """The key of a table whose key is one column."""
        (key,) = self.keys
        return key

    def column_hints(self, *, is_unique: bool = False) -> dict[str, dict[str, Any]]:
        """Columns for `dlt.resource(columns=...)`. `is_unique`: no key comes twice, so dlt need not choose a row."""
        hints = {column.name: column.dlt_hints() for column in self.columns}
        if self.hard_delete:
            hints[self.hard_delete]["hard_delete"] = True
        if self.newest_by and not is_unique:
            hints[self.newest_by]["dedup_sort"] = "desc"
        return hints
