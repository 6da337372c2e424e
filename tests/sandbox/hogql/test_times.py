"""Times: the project's time zone, text compared with times, the sandbox's clock."""

from __future__ import annotations

import pytest

from posthog_warehouse.sandbox.behaviour import PROFILES
from posthog_warehouse.sandbox.hogql import HogQLError
from tests.sandbox.hogql.conftest import Run

NEW_YORK = "America/New_York"
UTC_ONLY = {"convertToProjectTimezone": False}


def test_datetimes_are_shown_in_the_projects_time_zone(run: Run) -> None:
    text = "select timestamp from events order by timestamp limit 1"
    assert run(text, timezone=NEW_YORK, modifiers={}) == [["2025-12-31T19:00:00.123456-05:00"]]
    assert run(text, timezone=NEW_YORK, modifiers=UTC_ONLY) == [["2026-01-01T00:00:00.123456Z"]]


def test_text_is_read_in_the_projects_time_zone(run: Run) -> None:
    text = "select count() from events where timestamp < '2026-01-01 00:00:00'"
    assert run(text, timezone=NEW_YORK, modifiers={}) == [[3]]
    assert run(text, timezone=NEW_YORK, modifiers=UTC_ONLY) == [[0]]


@pytest.mark.parametrize(
    ("text", "in_new_york", "in_utc"),
    [
        ("toDate(timestamp)", "2025-12-31", "2026-01-01"),
        ("toString(timestamp)", "2025-12-31 19:00:00.123456", "2026-01-01 00:00:00.123456"),
        ("toString(timestamp, 'UTC')", "2026-01-01 00:00:00.123456", "2026-01-01 00:00:00.123456"),
        ("toString(toTimeZone(timestamp, 'UTC'))", "2026-01-01 00:00:00.123456", "2026-01-01 00:00:00.123456"),
        ("toStartOfDay(timestamp)", "2025-12-31T00:00:00-05:00", "2026-01-01T00:00:00Z"),
        ("toUnixTimestamp(timestamp)", 1767225600, 1767225600),
        ("toUnixTimestamp64Milli(timestamp)", 1767225600123, 1767225600123),
        ("toDateTime('2026-01-01 00:00:00')", "2026-01-01T00:00:00-05:00", "2026-01-01T00:00:00Z"),
        ("toDateTime('2026-01-01T00:00:00Z')", "2025-12-31T19:00:00-05:00", "2026-01-01T00:00:00Z"),
        ("toDateTime('2026-01-01 00:00:00.5', 'UTC')", "2026-01-01T00:00:00.500000Z", "2026-01-01T00:00:00.500000Z"),
        ("toDateTime64('2026-01-01 00:00:00', 6)", "2026-01-01T00:00:00-05:00", "2026-01-01T00:00:00Z"),
        ("toDateTime(properties.text)", None, None),
        ("now()", "2026-01-10T07:00:00-05:00", "2026-01-10T12:00:00Z"),
        ("today()", "2026-01-10", "2026-01-10"),
        ("yesterday()", "2026-01-09", "2026-01-09"),
        ("formatDateTime(timestamp, '%H')", "19", "00"),
    ],
)
def test_functions_of_time(run: Run, text: str, in_new_york: object, in_utc: object) -> None:
    query = f"select {text} from events order by timestamp limit 1"
    assert run(query, timezone=NEW_YORK, modifiers={}) == [[in_new_york]]
    assert run(query, timezone=NEW_YORK, modifiers=UTC_ONLY) == [[in_utc]]


def test_now_is_the_sandboxs_clock(run: Run) -> None:
    assert run("select count() from events where timestamp > now() - interval 9 day") == [[6]]


def test_a_tuple_of_time_and_uuid_is_a_key(run: Run) -> None:
    query = (
        "select count() from events where (timestamp, uuid) > "
        "(toDateTime64('2026-01-01 02:00:00.123456', 6, 'UTC'), toUUID('00000000-0000-4000-8000-000000000001'))"
    )
    assert run(query) == [[10]]


@pytest.mark.parametrize("modifiers", [{}, UTC_ONLY])
def test_iso_text_compared_with_a_time_fails_on_older_servers(run: Run, modifiers: dict[str, object]) -> None:
    query = "select count() from events where timestamp > '2026-01-01T00:00:00Z'"
    with pytest.raises(HogQLError) as refused:
        run(query, behaviour=PROFILES["selfhosted-2023"], modifiers=modifiers)
    assert refused.value.code == "type_mismatch"
