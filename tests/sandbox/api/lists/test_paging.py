"""Cutting lists into pages: whatever ties, every row is on one page, and rows that come and go shift no cursor."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from posthog_warehouse.sandbox.api.lists.declaration import ordered
from posthog_warehouse.sandbox.api.lists.paging import cut

VALUES = st.lists(st.integers(0, 6).map(str), max_size=40)


def walk(rows: list[dict[str, Any]], order: str, size: int) -> list[dict[str, Any]]:
    seen, cursor = [], None
    while True:
        page, cursor = cut(rows, order, cursor, size)
        assert len(page) <= size
        seen += page
        if cursor is None:
            return seen


@given(VALUES, st.integers(1, 9), st.sampled_from(["at", "-at"]))
def test_a_cursor_finds_every_row_once_and_in_order(values: list[str], size: int, order: str) -> None:
    rows = ordered([{"id": number, "at": value} for number, value in enumerate(values)], (order,))
    assert walk(rows, order, size) == rows


@given(VALUES.filter(bool), st.integers(1, 9), st.data())
def test_rows_before_the_cursor_shift_nothing(values: list[str], size: int, data: st.DataObject) -> None:
    rows = ordered([{"id": number, "at": value} for number, value in enumerate(values)], ("-at",))
    first, cursor = cut(rows, "-at", None, size)
    if cursor is None:
        return
    rest, _ = cut(rows, "-at", cursor, 100)
    # Newer than any there is: it lies before what was read.
    newer = [{"id": 1_000 + number, "at": "9"} for number in range(data.draw(st.integers(0, 5)))]
    after, _ = cut([*newer, *rows], "-at", cursor, 100)
    shares_a_value_with_all_read = first[0]["at"] == first[-1]["at"] == rest[0]["at"]
    assert after == rest or shares_a_value_with_all_read


@given(st.lists(st.tuples(st.one_of(st.none(), st.integers(0, 3)), st.text("ab", max_size=2)), max_size=20))
def test_order_is_that_of_postgres(values: list[tuple[int | None, str]]) -> None:
    rows = [{"id": number, "n": n, "s": s} for number, (n, s) in enumerate(values)]
    found = [(row["n"], row["s"]) for row in ordered(rows, ("-n", "s"))]
    # Nulls are the largest values: first in a descending order, last in an ascending one.
    expected = sorted(values, key=lambda pair: (-10 if pair[0] is None else -pair[0], pair[1]))
    assert found == expected
    ascending = [row["n"] for row in ordered(rows, ("n",))]
    assert ascending == sorted((n for n, _ in values if n is not None)) + [None] * sum(n is None for n, _ in values)
