"""Keys that come twice pass once: the newest copy of a page, and nothing that an earlier page had."""

from __future__ import annotations

from datetime import datetime, timezone

import pyarrow as pa

from posthog_warehouse.sources.posthog.pages.arrow import UTC_MICROS
from posthog_warehouse.sources.posthog.pages.dedup import Deduplicator


def page(*rows: tuple[str, int, str]) -> pa.Table:
    keys, minutes, texts = zip(*rows, strict=True)
    times = [datetime(2026, 11, 20, 12, minute, tzinfo=timezone.utc) for minute in minutes]
    return pa.table({"uuid": keys, "created_at": pa.array(times, UTC_MICROS), "text": texts})


def texts(table: pa.Table) -> list[str]:
    return [str(text) for text in table.column("text").to_pylist()]


def test_the_newest_copy_of_a_page_passes_wherever_it_stands() -> None:
    for rows in (
        [("a", 1, "old"), ("b", 1, "b"), ("a", 2, "new")],
        [("a", 2, "new"), ("b", 1, "b"), ("a", 1, "old")],
    ):
        assert set(texts(Deduplicator("uuid")(page(*rows)))) == {"new", "b"}


def test_what_an_earlier_page_had_does_not_pass_again() -> None:
    deduplicator = Deduplicator("uuid")
    assert texts(deduplicator(page(("a", 1, "a"), ("b", 1, "b")))) == ["a", "b"]
    assert texts(deduplicator(page(("b", 2, "b again"), ("c", 1, "c")))) == ["c"]


def test_many_copies_and_few_leave_the_same() -> None:
    for copies in (2, 600):
        rows = [("a", 1, "a"), *[("b", 1, "b")] * copies, ("c", 1, "c")]
        deduplicator = Deduplicator("uuid")
        assert texts(deduplicator(page(*rows))) == ["a", "b", "c"]
        assert texts(deduplicator(page(*rows, ("d", 1, "d")))) == ["d"]
        assert texts(deduplicator(page(*rows))) == []


def test_rows_stay_in_their_order_and_a_page_without_the_column_passes() -> None:
    rows = page(("c", 1, "c"), ("a", 1, "a"), ("a", 1, "a"), ("b", 1, "b")).drop_columns(["created_at"])
    assert texts(Deduplicator("uuid")(rows)) == ["c", "a", "b"]
