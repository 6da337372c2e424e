"""How a table is read from PostHog's REST lists, as data: what `posthog.readers.rest` has to know."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from .schema import Column, EngineName, Probe, Reads, Table, bigint, text

PAGE_SIZE = 250
"""Rows asked for at once: most lists fit into one page, and PostHog's slower serializers still answer in a second."""


@dataclass(frozen=True)
class Values:
    """The list is asked once with each of these values."""

    values: tuple[Mapping[str, Any], ...] = field(hash=False)


@dataclass(frozen=True)
class EachRow:
    """The list is asked once for each row of another list: `values` are names and the fields that they come from."""

    path: str
    values: Mapping[str, str] = field(hash=False)
    also: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Values that are the same for all of them."""
    only: str | None = None
    """Only rows in which this field is true, or holds something."""
    is_extra: bool = False
    """Where that other list is refused or missing, this one just has fewer rows."""


@dataclass(frozen=True)
class Wanted:
    """The list is asked once for each item of a field of `Requests`, cut at the last `:` for two names."""

    request: str
    names: tuple[str, ...]


Each = Values | EachRow | Wanted


@dataclass(frozen=True)
class Listing(Reads):
    """A list that is read whole, and replaces the table if anything in it has changed.

    `{name}` in `path` and `params` stands for a value of `each`; columns of that name hold it too. A parameter is left
    out where there is no such value.
    """

    path: str
    """Relative to the project, or from /api/ on."""
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    each: tuple[Each, ...] = ()
    rows_in: str = "results"
    """The field of the answer that holds the rows, where it is no bare array."""
    children: tuple[str, ...] = ()
    """Fields that hold lists of things: each becomes a table `<table>__<field>`. Others, and objects, are JSON."""
    row_id: str | None = None
    """A column that is filled with a digest of the row, where PostHog gives rows no id: equal rows are one."""
    unchosen: str | None = None
    """The list that is read instead where nothing is wanted in particular."""
    instead: str | None = None
    """One object that is asked for where the list is refused (403) or missing (404)."""
    page_size: int | None = PAGE_SIZE
    size_param: str = "limit"

    engine: ClassVar[EngineName] = "listing"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return "read whole, and replaced when anything has changed"

    def probe(self) -> Probe | None:
        """A page of one row; None where other lists say what to ask for."""
        values = next((each.values[0] for each in self.each if isinstance(each, Values)), {})
        if self.each and not values:
            return None
        params = {**self.params, **({self.size_param: 1} if self.page_size else {})}
        return Probe(self.path.format(**values), tuple(filled(params, values).items()))

    def things(self) -> tuple[str, ...]:
        """The tables of HogQL and the endpoints that it is read from."""
        return (self.path, *(each.path for each in self.each if isinstance(each, EachRow)))


def filled(params: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters with values in place of `{name}`, but for those whose value there is none of."""
    found = {}
    for name, value in params.items():
        with contextlib.suppress(KeyError):
            found[name] = value.format(**values) if isinstance(value, str) else value
    return found


@dataclass(frozen=True)
class Growing(Listing):
    """A list to which rows are added and in which none change: only new ones are read, and none is ever removed."""

    time: str = "created_at"
    """The field that says when a row was added, in ISO form."""
    oldest_first: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Parameters that have it listed from the oldest row on. Servers that do not know them list the newest first."""
    before: str | None = None
    """A parameter for rows before a time, for lists that end at `page_size` rows whatever `next` says."""
    counted_with: Mapping[str, Any] | None = field(default=None, hash=False)
    """Parameters with which the first page says how many rows there are; None: it cannot be asked."""

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return f"only rows with a later {self.time} are read; what PostHog drops stays"


@dataclass(frozen=True)
class Contents(Reads):
    """Files: one request for each, and one row. A file that was loaded is not asked for again."""

    path: str
    each: tuple[EachRow, ...]
    """The files there are; the first value names one, and is the table's key."""
    chosen: str
    """A field of `Requests`: only these, if it holds any."""

    engine: ClassVar[EngineName] = "listing"

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        return "each file once"


def listed(
    name: str,
    path: str,
    *columns: Column,
    about: str,
    scope: str,
    key: str | tuple[str, ...] = "id",
    on_request: bool = False,
    **reading: Any,
) -> Table:
    """A table that one REST list holds. `about`: one row per what; `reading`: fields of `Listing`."""
    reads = Listing(path, **reading)
    return table_of(name, reads, columns, about=about, scope=scope, key=key, on_request=on_request)


def growing(
    name: str,
    path: str,
    *columns: Column,
    about: str,
    scope: str,
    key: str | tuple[str, ...] = "id",
    on_request: bool = False,
    **reading: Any,
) -> Table:
    """A table of a list that only grows; `reading`: fields of `Growing`."""
    reads = Growing(path, **reading)
    return table_of(name, reads, columns, about=about, scope=scope, key=key, on_request=on_request)


def table_of(
    name: str,
    reads: Listing,
    columns: tuple[Column, ...],
    *,
    about: str,
    scope: str,
    key: str | tuple[str, ...],
    on_request: bool,
) -> Table:
    """The table of a list: child tables where it has any, and skipped where a key, plan or server lacks it."""
    return Table(
        name=name,
        primary_key=key,
        columns=columns,
        description=about,
        reads=reads,
        scope=scope,
        loads="merge" if isinstance(reads, Growing) else "replace",
        is_optional=True,
        every="lists_every",
        is_on_request=on_request,
        max_nesting=1 if reads.children else 0,
        hints={"file_format": "parquet"},
    )


def by(field_name: str, who: str) -> tuple[Column, Column]:
    """A user, as PostHog's UserBasicSerializer has them: of their fields the id and the email are kept."""
    return (
        bigint(f"{field_name}_id", f"{who}: the user's id.", hogql=f"{field_name}.id"),
        text(f"{field_name}_email", f"{who}: the user's email.", hogql=f"{field_name}.email"),
    )
