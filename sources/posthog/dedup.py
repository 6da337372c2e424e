"""Keys that come twice: PostHog shows a re-sent event twice until ClickHouse has merged its copies."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class Deduplicator:
    """Lets each key pass once. Called with page after page; holds the keys seen, so use one for each load package."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._seen: list[pa.Array] = []

    def __call__(self, page: pa.Table) -> pa.Table:
        """`page` without rows whose key was in it before, or in an earlier page."""
        keys = page.column(self._key).combine_chunks()
        if self._seen:
            again = pc.is_in(keys, value_set=pa.concat_arrays(self._seen))
            if pc.any(again).as_py():
                page = page.filter(pc.invert(again))
                keys = page.column(self._key).combine_chunks()
        codes = keys.dictionary_encode()
        if len(codes.dictionary) < len(keys):
            _, first = np.unique(codes.indices.to_numpy(zero_copy_only=False), return_index=True)
            page = page.take(pa.array(np.sort(first)))
            keys = page.column(self._key).combine_chunks()
        self._seen.append(keys)
        return page
