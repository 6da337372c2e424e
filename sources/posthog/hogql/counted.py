"""Which events of a page were not counted by an earlier run: overlaps ask for some of them again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sources.posthog.hogql.windows import MIN, Region, Window


def uncounted(covered: Region, asked: Sequence[Window]) -> Callable[[pa.Table], np.ndarray | None]:
    """A function that tells which rows of a page of events are to be counted (a mask; None: all).

    Rows in windows that are `covered` already are not: they were counted when those were. Of rows that PostHog shows
    more than once until it has merged them, which come on one page, the first is. `asked`: the windows of the pages.
    """
    again = [part for held in covered for part in map(held.intersect, asked) if not part.is_empty]

    def counted(page: pa.Table) -> np.ndarray | None:
        has_copies = pc.count_distinct(page.column("uuid")).as_py() < len(page)
        if not again and not has_copies:
            return None
        is_new = _first_ones(page.column("uuid")) if has_copies else np.ones(len(page), bool)
        at, created = _micros(page, "timestamp"), _micros(page, "created_at")
        for part in again:
            is_within = (at >= part.ts_from) & (at < part.ts_to)
            is_new &= ~(is_within & (created >= part.created_from) & (created < part.created_to))
        return is_new

    return counted


def _first_ones(keys: pa.ChunkedArray) -> np.ndarray:
    codes = keys.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)
    is_first = np.zeros(len(codes), bool)
    is_first[np.unique(codes, return_index=True)[1]] = True
    return is_first


def _micros(page: pa.Table, column: str) -> np.ndarray:
    """Microseconds since 1970, UTC; what is missing lies before all windows."""
    micros: np.ndarray = pc.fill_null(page.column(column).cast(pa.int64()), MIN - 1).to_numpy()
    return micros
