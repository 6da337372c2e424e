"""Keys that come twice: PostHog shows a re-sent event twice until ClickHouse has merged its copies."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MOST_CUTS = 500


class Deduplicator:
    """Lets each key pass once. Called with page after page; holds the keys seen, so use one for each load package.

    Of a key's copies in one page the newest by `newest_by` passes, where the page has that column: ClickHouse keeps the
    same one. Copies that it will merge have one place in its order, and so come in one page.
    """

    def __init__(self, key: str, newest_by: str = "created_at") -> None:
        self._key = key
        self._newest_by = newest_by
        self._seen: list[pa.Array] = []

    def passes(self, page: pa.Table) -> bool:
        """Whether all of `page` passes, and has passed with that: a page that does not is to be given to a call."""
        keys = page.column(self._key).combine_chunks()
        is_again = self._seen and pc.any(pc.is_in(keys, value_set=pa.concat_arrays(self._seen))).as_py()
        if is_again or pc.count_distinct(keys).as_py() < len(keys):
            return False
        self._seen.append(keys)
        return True

    def __call__(self, page: pa.Table) -> pa.Table:
        """`page` without rows whose key was in it before, or in an earlier page."""
        keys = page.column(self._key).combine_chunks()
        if self._seen:
            again = pc.is_in(keys, value_set=pa.concat_arrays(self._seen))
            if pc.any(again).as_py():
                page = without(page, again.to_numpy(zero_copy_only=False).nonzero()[0])
                keys = page.column(self._key).combine_chunks()
        codes = keys.dictionary_encode()
        if len(codes.dictionary) < len(keys):
            numbers = codes.indices.to_numpy(zero_copy_only=False)
            page = without(page, older_copies(page, numbers, self._newest_by))
            keys = page.column(self._key).combine_chunks()
        self._seen.append(keys)
        return page


def older_copies(page: pa.Table, codes: np.ndarray, newest_by: str) -> np.ndarray:
    """The numbers of the rows that go, ascending: all but the newest of each key, or the last of equals.

    `codes` tell the keys of `page` apart; `newest_by` is a column of times, which it need not have.
    """
    ages = np.zeros(len(codes), dtype=np.int64)
    if newest_by in page.column_names and pa.types.is_timestamp(page.schema.field(newest_by).type):
        times = page.column(newest_by).combine_chunks().cast(pa.int64())
        ages = times.fill_null(0).to_numpy(zero_copy_only=False)
    order = np.lexsort((ages, codes))
    is_older = np.append(codes[order][1:] == codes[order][:-1], [False])
    return np.sort(order[is_older])


def without(page: pa.Table, rows: np.ndarray) -> pa.Table:
    """`page` without the rows of these numbers (ascending). A few are cut out, which copies nothing."""
    if len(rows) > _MOST_CUTS:
        return page.take(pa.array(np.delete(np.arange(page.num_rows), rows)))
    edges = [-1, *rows.tolist(), page.num_rows]
    return pa.concat_tables([page.slice(low + 1, high - low - 1) for low, high in pairwise(edges)])
