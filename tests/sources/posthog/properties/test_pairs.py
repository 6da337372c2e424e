"""Pages are worked on in pieces of about one size, whatever the sizes of their texts and chunks."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.properties.pairs import pieces


@settings(deadline=None)  # the first call of a process loads what the others use
@given(st.lists(st.lists(st.one_of(st.none(), st.text(max_size=60)), max_size=20), max_size=5), st.integers(1, 100))
def test_no_text_is_lost_or_moved(chunks: list[list[str | None]], most: int) -> None:
    texts = pa.chunked_array([pa.array(chunk, pa.string()) for chunk in chunks], pa.string())
    found = list(pieces(texts, most))
    assert pa.chunked_array(found, pa.string()).to_pylist() == texts.to_pylist()
    assert found


@pytest.mark.parametrize(
    ("rows", "count"), [(0, 1), (1, 1), (80, 1), (100, 1), (104, 1), (149, 1), (160, 2), (1_000, 10)]
)
def test_pieces_are_of_about_one_size(rows: int, count: int) -> None:
    """One that is a little too long is not cut into itself and a rest, which costs as much as a whole one."""
    found = list(pieces(pa.array(["x" * 10] * rows, pa.string()), 1_000))
    assert len(found) == count
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_a_text_that_is_longer_than_a_piece_is_one() -> None:
    found = list(pieces(pa.array(["a", "x" * 1_000, "b", None, "c"]), 100))
    assert pa.chunked_array(found).to_pylist() == ["a", "x" * 1_000, "b", None, "c"]
    assert all(len(piece) for piece in found)
