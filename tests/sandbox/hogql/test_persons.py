"""Persons: their newest version, their distinct_ids, and who an event belongs to."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.hogql.conftest import Run, person

# Who sent the events of d3, which was person 3's at ingestion and was then merged into person 1; and what is known
# of that person: the mail address stored with the event, and the version of the person today.
MODES: dict[str, tuple[str, str | None, str | None]] = {
    "disabled": (person(1), None, "2"),
    "person_id_no_override_properties_on_events": (person(3), "3@then.example", None),
    "person_id_override_properties_on_events": (person(1), "3@then.example", None),
    "person_id_override_properties_joined": (person(1), None, "2"),
    "v1_enabled": (person(3), "3@then.example", None),
    "v1_mixed": (person(1), "3@then.example", None),
    "v2_enabled": (person(1), "3@then.example", None),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("convert", [True, False])
def test_the_person_of_an_event_depends_on_the_mode(run: Run, mode: str, *, convert: bool) -> None:
    modifiers = {"personsOnEventsMode": mode, "convertToProjectTimezone": convert}
    text = (
        "select person_id, person.properties.email, person.properties.v from events"
        " where distinct_id = 'd3' order by timestamp limit 1"
    )
    assert run(text, modifiers=modifiers) == [list(MODES[mode])]
    assert run("select event_person_id from events where distinct_id = 'd3' limit 1", modifiers=modifiers) == [
        [person(3)]
    ]


TABLES: dict[str, tuple[str, list[list[Any]]]] = {
    "persons are the newest version, without deleted ones": (
        "select id, properties.v from persons order by id",
        [[person(1), "2"], [person(2), "0"]],
    ),
    "the key, an order and a limit": (
        f"select id from persons where id > toUUID('{person(1)}') order by id limit 1",
        [[person(2)]],
    ),
    "by id": (f"select properties.v from persons where id in (toUUID('{person(1)}'), toUUID('{person(3)}'))", [["2"]]),
    "a condition on something else": ("select id from persons where properties.v = '0' limit 5", [[person(2)]]),
    "an old version is not found": ("select count() from persons where properties.v = '100'", [[0]]),
    "the greatest first": ("select id from persons order by id desc limit 1", [[person(2)]]),
    "an aggregate with a limit": ("select count() from persons limit 1", [[2]]),
    "the manifest": (
        "select id, max(version), argMax(is_deleted, version) from raw_persons group by id order by id",
        [[person(0), 100, 1], [person(1), 2, 0], [person(2), 0, 0], [person(3), 100, 1]],
    ),
    "distinct_ids are the newest mapping": (
        "select distinct_id, person_id from person_distinct_ids order by distinct_id",
        [["d1", person(1)], ["d2", person(2)], ["d3", person(1)]],
    ),
    "distinct_ids by key": (
        "select distinct_id from person_distinct_ids where distinct_id >= 'd2' order by distinct_id limit 1",
        [["d2"]],
    ),
    "the manifest of distinct_ids": (
        "select distinct_id, max(version), argMax(person_id, version) from raw_person_distinct_ids"
        " where distinct_id >= 'd3' group by distinct_id",
        [["d3", 1, person(1)]],
    ),
    "overrides": ("select distinct_id, person_id from person_distinct_id_overrides", [["d3", person(1)]]),
    "raw overrides": ("select version from raw_person_distinct_id_overrides", [[1]]),
    "person of a distinct_id": (
        "select person.properties.v from person_distinct_ids where distinct_id = 'd3'",
        [["2"]],
    ),
    "distinct_ids of a person": (
        f"select pdi.distinct_id from persons where id = toUUID('{person(1)}') order by pdi.distinct_id",
        [["d1"], ["d3"]],
    ),
    "over events": (
        "select pdi.person_id, pdi.person.properties.v, poe.properties.email from events"
        " where distinct_id = 'd3' limit 1",
        [[person(1), "2", "3@then.example"]],
    ),
    "in a condition only": (
        "select count() from events where pdi.person.properties.v = '2'",
        [[8]],
    ),
    "recordings are one row a session": (
        "select session_id, click_count, toString(start_time, 'UTC'), first_url from session_replay_events"
        " order by session_id",
        [
            ["s0", 2, "2026-01-01 00:00:00.000000", "https://example.com/0"],
            ["s1", 4, "2026-01-01 00:00:01.000000", "https://example.com/1"],
        ],
    ),
    "recordings as they arrived": (
        "select session_id, count(), max(_timestamp) > toDateTime('2026-01-01 00:00:00') from raw_session_replay_events"
        " group by session_id order by session_id",
        [["s0", 2, 1], ["s1", 2, 1]],
    ),
    "the person of a recording": (
        "select person_id, person.properties.v from session_replay_events where session_id = 's0'",
        [[person(1), "2"]],
    ),
    "sessions": (
        "select session_id, toString($start_timestamp, 'UTC'), $pageview_count, $autocapture_count, $session_duration,"
        " $is_bounce, toString(max_inserted_at, 'UTC') from sessions where session_id = 's1'",
        [["s1", "2026-01-01 02:00:00.123456", 2, 2, 72000, False, "2026-01-02 00:00:01.000000"]],
    ),
    "the session of an event": ("select session.$pageview_count from events order by timestamp limit 1", [[2]]),
}


@pytest.mark.parametrize(("text", "rows"), TABLES.values(), ids=TABLES)
def test_tables(run: Run, text: str, rows: list[list[Any]]) -> None:
    assert run(text) == rows
