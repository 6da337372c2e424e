"""Of all rows of a run with the same key one passes, however many keys there are."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.pages import dedup
from posthog_warehouse.sources.posthog.pages.dedup import OnceARun

parts = st.none() | st.text(max_size=2) | st.just("1:a")
pages = st.lists(st.lists(st.tuples(parts, parts), max_size=12), max_size=12)


def table(rows: list[tuple[Any, Any]]) -> pa.Table:
    return pa.table(
        {
            "a": pa.array([a for a, _ in rows], pa.string()),
            "b": pa.array([b for _, b in rows], pa.string()),
            "n": range(len(rows)),
        }
    )


@settings(max_examples=30, deadline=None)
@given(pages, st.booleans())
def test_each_key_passes_once_whatever_lies_in_files(given_pages: list[list[tuple[Any, Any]]], as_rows: bool) -> None:  # noqa: FBT001 - hypothesis gives it
    seen: set[tuple[Any, Any]] = set()
    with closing(OnceARun(["a", "b"], buffered_keys=7)) as unique:
        for rows in given_pages:
            page = table(rows)
            kept = unique(page.to_pylist()) if as_rows else unique(page).to_pylist()
            passed = [(row["a"], row["b"]) for row in kept]
            assert len(passed) == len(set(passed))
            assert set(passed) == set(rows) - seen
            assert [row["n"] for row in kept] == sorted(row["n"] for row in kept), "in their order"
            seen |= set(rows)


def test_of_copies_in_a_page_the_newest_passes_and_of_pages_the_first() -> None:
    at = pa.array([30, 20, 40], pa.timestamp("us", "UTC"))
    with closing(OnceARun(["id"])) as unique:
        first = unique(pa.table({"id": ["a", "b", "b"], "created_at": at, "n": [0, 1, 2]}))
        again = unique(pa.table({"id": ["b", "c", "a"], "created_at": at, "n": [3, 4, 5]}))
    assert first["n"].to_pylist() == [0, 2]
    assert again["n"].to_pylist() == [4]


def test_keys_that_begin_alike_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of what tells keys apart is the same for all of these."""
    monkeypatch.setattr(
        dedup,
        "_digests",
        lambda page, _: pa.array(
            [b"\0" * 8 + int(key).to_bytes(8, "little") for key in page["id"].to_pylist()], pa.binary(16)
        ),
    )
    with closing(OnceARun(["id"], buffered_keys=3)) as unique:
        assert unique(pa.table({"id": [1, 2, 3, 2]}))["id"].to_pylist() == [1, 3, 2]
        assert unique(pa.table({"id": [3, 4, 1]}))["id"].to_pylist() == [4]
        assert unique(pa.table({"id": [5, 4, 2]}))["id"].to_pylist() == [5]


def test_files_go_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    unique = OnceARun(["id"], buffered_keys=100)
    for start in range(0, 1_000, 10):
        assert unique(pa.table({"id": range(start, start + 10)})).num_rows == 10
    [folder] = tmp_path.iterdir()
    assert len(list(folder.iterdir())) == 10
    assert unique(pa.table({"id": range(1_000)})).num_rows == 0
    unique.close()
    assert list(tmp_path.iterdir()) == []
