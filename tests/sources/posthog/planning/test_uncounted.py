"""Which events are counted: each once, however often overlaps bring it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from posthog_warehouse.sources.posthog.clock import MAX, MIN
from posthog_warehouse.sources.posthog.planning.intervals import Region, Window
from posthog_warehouse.sources.posthog.planning.ledger import uncounted

DAY = Window(0, 100, MIN, 50)
LIVE = Window(0, MAX, 40, 80)


def page(*rows: tuple[str, int, int | None]) -> pa.Table:
    moment = pa.timestamp("us", "UTC")
    uuids, at, created = zip(*rows, strict=True)
    # In two chunks, as pages that were put together are.
    table = pa.table(
        {"uuid": pa.array(uuids), "timestamp": pa.array(at, moment), "created_at": pa.array(created, moment)}
    )
    return pa.concat_tables([table.slice(0, 1), table.slice(1)])


def test_all_rows_count_where_nothing_is_read_again() -> None:
    rows = page(("a", 1, 2), ("b", 3, 4))
    assert uncounted(Region(), [DAY])(rows) is None
    assert uncounted(Region([DAY]), [Window(0, 100, 50, 80)])(rows) is None, "windows beside what is covered"


@pytest.mark.parametrize(
    ("row", "counts"),
    [
        pytest.param(("a", 10, 45), False, id="in the overlap"),
        pytest.param(("a", 10, 50), True, id="created since"),
        pytest.param(("a", 100, 45), True, id="of a day that was not read"),
        pytest.param(("a", 10, None), True, id="of unknown age"),
    ],
)
def test_what_was_covered_counted_then(row: tuple[str, int, int | None], *, counts: bool) -> None:
    found = uncounted(Region([DAY]), [LIVE])(page(row, ("b", 200, 60)))
    assert found is not None
    assert found.tolist() == [counts, True]


def test_of_rows_that_come_twice_the_first_counts() -> None:
    found = uncounted(Region(), [DAY])(page(("b", 1, 2), ("a", 3, 4), ("b", 1, 2)))
    assert found is not None
    assert found.tolist() == [True, True, False]
