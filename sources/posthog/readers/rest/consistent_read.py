"""The whole of a list that may change while it is read.

Offsets count rows, so a row that is inserted or deleted before the place that was reached moves all others: one comes
twice, or is never seen. What shows it: the count differs from page to page, a key comes twice, or the rows are not as
many as the count. Then the list is read again, until a reading shows nothing of that, or two in a row agree.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ...errors import ListUnreadable
from ...http.client import PostHogClient
from .pages import ListPage, pages

logger = logging.getLogger(__name__)

PASSES = 8
"""So often a list is read at most. Lists of configuration hardly ever need a second time."""

KeyOf = Callable[[Any], Hashable]
Rows = dict[Hashable, Any]


@dataclass(frozen=True)
class Whole:
    """A list as it was at one moment, as far as that can be known."""

    rows: Rows
    passes: int
    is_settled: bool = True
    """False: it changed during every reading, so rows that came or went lately may be missing, or still there."""
    count: int | None = None
    """How many rows PostHog says that it holds: more than it lists where some are hidden from this key."""


@dataclass
class _Pass:
    """One reading from the first page to the last."""

    rows: Rows = field(default_factory=dict)
    counts: set[int | None] = field(default_factory=set)
    pages: int = 0
    repeats: int = 0
    is_cut: bool = False
    is_by_cursor: bool = False

    def add(self, page: ListPage, key_of: KeyOf) -> None:
        for row in page.rows:
            key = key_of(row)
            self.repeats += key in self.rows
            self.rows[key] = row
        if page.is_cut:
            self.is_cut = True
        else:
            self.counts.add(page.count)
        self.pages += 1
        self.is_by_cursor |= "cursor=" in (page.next or "")

    @property
    def count(self) -> int | None:
        """How many rows there are in all; None if that is not said, or changed."""
        return next(iter(self.counts)) if len(self.counts) == 1 else None

    @property
    def is_steady(self) -> bool:
        """Whether nothing shows that rows moved while they were read."""
        if self.is_cut or len(self.counts) > 1:
            return False
        if self.count is not None:
            return self.count == len(self.rows)
        # Rows do not move between pages by cursor. By offset, a deleted row would hide another without a trace.
        return not self.repeats and (self.pages == 1 or self.is_by_cursor)


def read_whole(
    client: PostHogClient,
    path: str,
    params: Mapping[str, Any] | None = None,
    *,
    key_of: KeyOf,
    rows_in: str = "results",
    exact: bool = False,
) -> Whole:
    """All rows of the list at `path` by their keys, the latest of each. `exact` and what is raised are of `pages`."""
    listed = partial(pages, client, path, key=key_of, rows_in=rows_in, exact=exact)
    union: Rows = {}
    union_count: int | None = None
    previous: _Pass | None = None
    for number in range(1, PASSES + 1):
        this = _read(listed, dict(params or {}), key_of)
        if this.is_steady or (previous is not None and this.rows.keys() == previous.rows.keys()):
            return Whole(this.rows, number, count=this.count)
        if this.count is not None and this.count == union_count:
            # Rows that tie in PostHog's order come in another order each time, and others are lost each time.
            union |= this.rows
            if len(union) == union_count:
                return Whole(union, number, count=union_count)
        else:
            union, union_count = dict(this.rows), this.count
        logger.debug("The list at %s changed while it was read (pass %d).", path, number)
        if number < PASSES:
            previous = this
    last: Rows = previous.rows if previous is not None else {}
    return Whole({**last, **this.rows}, PASSES, is_settled=False, count=this.count)


def _read(listed: Callable[[dict[str, Any]], Iterator[ListPage]], params: dict[str, Any], key_of: KeyOf) -> _Pass:
    found = _Pass()
    circle: ListUnreadable | None = None
    try:
        _add_all(found, listed(params), key_of)
    except ListUnreadable as error:
        circle = error
    # A `next` that ends early, or leads in circles: what the count says is still missing may lie behind it.
    known = -1
    while found.count is not None and not found.is_cut and known < len(found.rows) < found.count:
        known = len(found.rows)
        with contextlib.suppress(ListUnreadable):
            _add_all(found, listed({**params, "offset": known}), key_of)
    if circle is not None and (found.count is None or len(found.rows) < found.count):
        raise circle
    return found


def _add_all(found: _Pass, read: Iterator[ListPage], key_of: KeyOf) -> None:
    for page in read:
        found.add(page, key_of)
