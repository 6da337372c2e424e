"""What is said of a list, as data: where it is, who may read it, in which order, how it is paged and filtered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from posthog_warehouse.sandbox.configuration.making import Row

#: Says whether a row is wanted, from the row and the text of a query parameter.
Filter = Callable[[Row, str], bool]


@dataclass(frozen=True)
class Listing:
    """One list.

    Attributes:
        name: the list of `sandbox.configuration` that holds its rows.
        path: its address under the project's, without slashes at its ends; ``{field}`` in it holds for rows with that
            value in that field.
        scope: the scope that a key needs.
        order: fields that rows are ordered by, ``-`` before descending ones, as Postgres does it (nulls are the
            largest values). Ties, and rows of a list without an order, come as they lie on disk.
        paging: ``offset``; ``cursor`` (the first field of `order`, `page_size` of the query string, numbered pages with
            ``page``); ``bare`` for one array with everything.
        filters: query parameters that leave rows out.
        defaults: what counts for filters that a request does not name.
        unless: query parameters with which the defaults do not count.
        search: fields that ``search`` looks into.
        order_by: the query parameter that names another field to order by, if there is one.
        only_in_item: fields that the list leaves out and the item shows.
        basic: fields that are left when ``basic`` asks for a short form; none if there is no such form.
        item_keys: fields that name a row in the address of an item; none if there are no items.
        throttle: the class of limits that counts it.
    """

    name: str
    path: str
    scope: str
    order: tuple[str, ...] = ()
    paging: str = "offset"
    filters: Mapping[str, Filter] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    unless: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    order_by: str | None = None
    only_in_item: frozenset[str] = frozenset()
    basic: frozenset[str] = frozenset()
    item_keys: tuple[str, ...] = ("id",)
    throttle: str = "crud"

    def arguments(self, arguments: Mapping[str, str]) -> Mapping[str, str]:
        """A request's arguments, with what counts if it says nothing."""
        return arguments if any(name in arguments for name in self.unless) else {**self.defaults, **arguments}

    def wanted(self, row: Row, arguments: Mapping[str, str]) -> bool:
        """Whether the filters of a request leave this row in."""
        if any(name in arguments and not keep(row, arguments[name]) for name, keep in self.filters.items()):
            return False
        text = arguments.get("search", "").casefold() if self.search else ""
        return not text or any(text in str(row[name]).casefold() for name in self.search)


def equal(name: str) -> Filter:
    """Rows whose field has this text, or one of several between commas."""

    def keep(row: Row, text: str) -> bool:
        return _text(row[name]) in text.split(",")

    return keep


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def ordered(rows: list[Row], order: tuple[str, ...]) -> list[Row]:
    """Rows in an order; those that tie stay as they were."""
    found = list(rows)
    for name in reversed(order):
        found.sort(key=lambda row: _sortable(row[name.lstrip("-")]), reverse=name.startswith("-"))
    return found


def _sortable(value: Any) -> tuple[bool, Any]:
    return (value is None, "" if value is None else value)
