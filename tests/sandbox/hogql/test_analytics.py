"""Groups, cohorts and log entries in HogQL, and sessions as PostHog shows them."""

from __future__ import annotations

import pytest

from posthog_warehouse.sandbox.store import Store, quoted
from tests.sandbox.hogql.conftest import TEAM, Run, person


@pytest.fixture(scope="session")
def filled(project: Store) -> Store:
    """The small project with two groups, of which one changed, cohorts, and lines of a console."""
    for key, version, day in (("acme", 1, "01"), ("acme", 2, "03"), ("hedge", 1, "02")):
        project.execute(
            f"INSERT INTO groups VALUES (0, '{key}', '2026-01-01 00:00:00', {TEAM}, '{{\"v\":{version}}}', "
            f"'2026-01-{day} 00:00:00')"
        )
    for cohort, version, number in ((7, 1, 1), (7, 2, 2), (7, 2, 3), (8, 5, 1)):
        project.execute(f"INSERT INTO cohortpeople VALUES ('{person(number)}', {cohort}, {TEAM}, 1, {version})")
    project.execute(
        f"INSERT INTO person_static_cohort VALUES (generateUUIDv4(), '{person(1)}', 9, {TEAM}, '2026-01-01 00:00:00')"
    )
    for source in ("session_replay", "batch_export"):
        project.execute(
            f"INSERT INTO log_entries VALUES ({TEAM}, '{source}', 's1', '', '2026-01-01 00:00:00.5', 'warn', "
            f"{quoted('it' + chr(39) + 's late')}, '2026-01-01 00:00:01')"
        )
    return project


TABLES = {
    "the newest of a group counts": (
        "select index, key, properties.v, toString(updated_at, 'UTC') from groups order by key",
        [[0, "acme", "2", "2026-01-03 00:00:00"], [0, "hedge", "1", "2026-01-02 00:00:00"]],
    ),
    "changed groups": ("select key from groups where updated_at > '2026-01-02 12:00:00'", [["acme"]]),
    "groups as they came": ("select count() from raw_groups where key = 'acme'", [[2]]),
    "the newest calculation of a cohort counts": (
        "select cohort_id, toString(person_id) from cohort_people order by cohort_id, person_id",
        [[7, person(2)], [7, person(3)], [8, person(1)]],
    ),
    "older calculations": ("select count(), max(version) from raw_cohort_people where cohort_id = 7", [[3, 2]]),
    "a static cohort": ("select cohort_id, person.properties.v from static_cohort_people", [[9, "2"]]),
    "lines of all kinds": (
        "select log_source from log_entries order by log_source",
        [["batch_export"], ["session_replay"]],
    ),
    "lines of consoles": (
        "select log_source_id, level, message, toString(timestamp, 'UTC') from console_logs_log_entries",
        [["s1", "warn", "it's late", "2026-01-01 00:00:00.500000"]],
    ),
    "the channel and the counts of a session": (
        "select $channel_type, $screen_count, $num_uniq_urls, $entry_current_url, $page_screen_autocapture_count_up_to"
        " from sessions where session_id = 's0'",
        [["Direct", 0, 0, None, 2]],
    ),
}


@pytest.mark.parametrize(("text", "rows"), TABLES.values(), ids=TABLES)
def test_tables(filled: Store, run: Run, text: str, rows: list[list[object]]) -> None:
    del filled
    assert run(text) == rows
