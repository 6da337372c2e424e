"""Keys that come twice: PostHog shows a re-sent event twice until ClickHouse has merged its copies.

`Deduplicator` knows the keys of a load package, `OnceARun` those of a run of any length: for dlt scripts whose rows dlt
does not merge.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from .json_text import column_of

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


_BUFFERED_KEYS = 1 << 20
"""Keys that wait in memory for a file: 16 MB."""

_Numbers = npt.NDArray[np.uint64]


class _Keys:
    """Keys of 128 bits, as an array of their first 64 bits, sorted, and one of their last 64 bits."""

    def __init__(self, halves: _Numbers) -> None:
        self._first, self._second = halves

    def __len__(self) -> int:
        return len(self._first)

    def has(self, first: _Numbers, second: _Numbers) -> npt.NDArray[np.bool_]:
        """Which of these keys are among them. Quick where they come sorted."""
        low = np.searchsorted(self._first, first, "left")
        near = np.minimum(low, len(self._first) - 1)
        found: npt.NDArray[np.bool_] = (self._first[near] == first) & (self._second[near] == second)
        # Others with the same first half lie behind it: hardly ever.
        for row in np.flatnonzero(~found & (self._first[near] == first)):
            high = np.searchsorted(self._first, first[row], "right")
            found[row] = bool(np.any(self._second[low[row] : high] == second[row]))
        return found


class OnceARun:
    """Lets each key pass once, called with page after page of one run. To be closed.

    Of a key's copies in several pages the first passes; in one page the newest by `newest_by`, as in `Deduplicator`, or
    the last where that is no column of times, or rows are objects.
    """

    def __init__(
        self, keys: Sequence[str], newest_by: str = "created_at", *, buffered_keys: int = _BUFFERED_KEYS
    ) -> None:
        self._names = list(keys)
        self._newest_by = newest_by
        self._most = buffered_keys
        self._files: list[_Keys] = []
        self._waiting: list[_Numbers] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def __call__(self, page: Any) -> Any:
        """`page`, an Arrow table or a list of objects, without rows whose key came before, in whatever page."""
        if not len(page):
            return page
        digests = _digests(page, self._names)
        codes = digests.dictionary_encode()
        numbers = codes.indices.to_numpy(zero_copy_only=False)
        halves = _halves(codes.dictionary)
        again = self._seen(halves)
        gone = again[numbers].nonzero()[0]
        if len(codes.dictionary) < len(digests):
            older = _older(page, numbers, self._newest_by)
            gone = np.union1d(gone, older)
        self._keep(halves[:, ~again])
        if not len(gone):
            return page
        if isinstance(page, pa.Table):
            return without(page, gone)
        left = set(gone.tolist())
        return [row for number, row in enumerate(page) if number not in left]

    def close(self) -> None:
        """Removes the files."""
        self._files.clear()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _seen(self, halves: _Numbers) -> npt.NDArray[np.bool_]:
        order = np.argsort(halves[0])
        first, second = halves[:, order]
        seen = np.zeros(len(order), dtype=np.bool_)
        for keys in (*self._files, *map(_Keys, self._waiting)):
            seen |= keys.has(first, second)
        found = np.empty_like(seen)
        found[order] = seen
        return found

    def _keep(self, halves: _Numbers) -> None:
        if not halves.shape[1]:
            return
        self._waiting.append(_sorted(halves))
        is_full = sum(each.shape[1] for each in self._waiting) >= self._most
        # Few arrays, however small the pages are, each sorted anew a few times.
        while len(self._waiting) > 1 and (is_full or self._waiting[-1].shape[1] * 2 > self._waiting[-2].shape[1]):
            last = self._waiting.pop()
            self._waiting[-1] = _sorted(np.concatenate([self._waiting[-1], last], axis=1))
        if is_full:
            self._files.append(_Keys(self._written(self._waiting.pop())))

    def _written(self, halves: _Numbers) -> _Numbers:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="posthog-warehouse-")
        path = Path(self._folder.name) / f"{len(self._files)}.npy"
        np.save(path, halves)
        mapped: _Numbers = np.load(path, mmap_mode="r")
        return mapped


def _sorted(halves: _Numbers) -> _Numbers:
    return halves[:, np.argsort(halves[0])]


def _digests(page: pa.Table | list[dict[str, Any]], names: Sequence[str]) -> pa.Array:
    """128 bits of each row's key."""
    if isinstance(page, pa.Table):
        texts = _texts([page.column(name) for name in names])
    else:
        texts = pa.array([orjson.dumps([row.get(name) for name in names]).decode() for row in page], pa.string())
    digests = column_of("SELECT unhex(md5(json_text)) FROM page", texts)
    return digests.cast(pa.binary(16))


def _texts(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """A text for each row that no other key has: the length of each part, and the part."""
    parts = []
    for column in columns:
        text = column.cast(pa.string())
        parts += [pc.fill_null(pc.binary_length(text), -1).cast(pa.string()), pc.fill_null(text, "")]
    return pc.binary_join_element_wise(*parts, ":")


def _halves(digests: pa.Array) -> _Numbers:
    start = digests.offset * 16
    raw = np.frombuffer(digests.buffers()[1], dtype=np.uint64, offset=start, count=2 * len(digests))
    return np.ascontiguousarray(raw.reshape(-1, 2).T)


def _older(page: pa.Table | list[dict[str, Any]], codes: npt.NDArray[Any], newest_by: str) -> npt.NDArray[Any]:
    """The numbers of the rows that go within a page. Of objects the times are not looked at: the last copy stays."""
    if isinstance(page, pa.Table):
        return older_copies(page, codes, newest_by)
    return older_copies(pa.table({"row": pa.array(range(len(page)), pa.int64())}), codes, newest_by)
