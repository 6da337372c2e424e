"""What is written in HogQL is read as it is meant, by today's servers and those of 2023."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.clock import DAY, LAST_DAY, MAX, MIN, SECOND
from posthog_warehouse.sources.posthog.sql.capabilities import MODERN_MODIFIERS
from posthog_warehouse.sources.posthog.sql.dialect import Dialect, text_literal
from posthog_warehouse.sources.posthog.sql.select import select
from tests.sandboxes import started
from tests.sources.posthog.reading import connected

MODERN = Dialect(modifiers=MODERN_MODIFIERS)
LEGACY = Dialect(has_hashes=False, has_typed_times=False, has_zoned_text=False)
ODD = [
    "'",
    "\\",
    "\\'",
    "''",
    "\\\\'",
    "a\0b",
    "\0",
    "{x}",
    "{{x}}",
    "{",
    "}",
    "%(x)s",
    "\n\r\t\b\f\v\a",
    "--",
    "/* */",
    ";",
    "🦔",
    "`",
    '"',
    "\\x41",
    "\\u0041",
    "$",
    "\x7f",
    "\u2028",
]


FAR = (
    "2106-02-07T06:28:16Z",
    "2149-06-06T00:00:00Z",
    "2149-06-07T00:00:00Z",
    "2149-07-01T00:00:00Z",
    "2299-12-31T23:00:00Z",
)


@pytest.fixture(scope="module")
def own() -> Iterator[Sandbox]:
    """A project whose time zone tests may switch."""
    with started(events=300, persons=20, seed=5, days=4) as sandbox:
        for moment in ("1900-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", *FAR):
            sandbox.add_events(1, timestamp=moment)
        yield sandbox


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=30, max_size=60))
def test_any_text_is_read_as_that_text(sandbox_cloud: Sandbox, texts: list[str]) -> None:
    texts = [*ODD, *texts]
    with connected(sandbox_cloud) as client:
        # In hex, so that what comes back is not changed on the way.
        listed = ", ".join(f"hex({text_literal(text)})" for text in texts)
        (row,) = client.query(f"SELECT {listed} LIMIT 1").rows
    assert [bytes.fromhex(cell).decode() for cell in row] == texts


@pytest.mark.parametrize("dialect", [MODERN, LEGACY], ids=["modern", "legacy"])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata", "Pacific/Kiritimati"])
def test_bounds_hold_to_the_microsecond_in_every_time_zone(own: Sandbox, dialect: Dialect, zone: str) -> None:
    own.set_behaviour(project_timezone=zone)
    times = sorted(row[0] for row in own.sql("SELECT toUnixTimestamp64Micro(timestamp) FROM events"))
    times = [int(time) for time in times]
    middle = times[len(times) // 2]
    with connected(own) as client:
        for start, end in (
            (MIN, MAX),
            (middle, LAST_DAY),
            (middle + 1, LAST_DAY),
            (0, middle),
            (MIN, 0),
            (-DAY, 0),
            (LAST_DAY, MAX),
            (LAST_DAY + 1, LAST_DAY + DAY),
            (LAST_DAY + DAY, LAST_DAY + 400 * 365 * DAY),
            (-400 * 365 * DAY, -1),
            (LAST_DAY + 400 * 365 * DAY, MAX),
            (middle - 3_600 * SECOND, middle + 1),
            (middle - middle % DAY, middle - middle % DAY + DAY),
            (-5 * DAY, middle),
            (middle, LAST_DAY + DAY),
        ):
            sql = select(["count()"], "events", dialect.time_bounds("timestamp", start, end), limit=1)
            assert client.query(sql, modifiers=dialect.modifiers).rows == [[sum(start <= t < end for t in times)]]
        sql = select([dialect.day("timestamp"), dialect.time_text("timestamp")], "events", [], limit=5)
        for day, text in client.query(sql, modifiers=dialect.modifiers).rows:
            assert text[:10] == day
            assert len(text) == len("2026-11-20 12:00:00.123456")


def test_a_select_has_its_parts_in_order_and_a_limit() -> None:
    sql = select(["a", "b"], "t", ["x", "y"], group_by="a", having="h", order_by="a", limit=7)
    assert sql == "SELECT a, b FROM t WHERE x AND y GROUP BY a HAVING h ORDER BY a LIMIT 7"
    assert select(["a"], "t", [], limit=1) == "SELECT a FROM t LIMIT 1"
