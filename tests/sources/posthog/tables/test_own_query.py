from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from posthog_warehouse.sources.posthog.clock import DAY, HOUR
from posthog_warehouse.sources.posthog.tables.own_query import BadQuery, Query, queries_of, query_table

SQL = "SELECT id, changed_at FROM things"


@pytest.mark.parametrize(
    ("settings", "write"),
    [
        ({}, "replace"),
        ({"key": "id"}, "replace"),
        ({"key": "id", "cursor": "changed_at"}, "merge"),
        ({"cursor": "changed_at"}, "append"),
        ({"key": ["id"], "write": "merge"}, "merge"),
        ({"key": "id", "cursor": "changed_at", "write": "append"}, "append"),
        ({"write": "append"}, "append"),
    ],
)
def test_how_rows_are_written_follows_from_what_is_declared(settings: dict[str, Any], write: str) -> None:
    query = Query.of("things", {"sql": SQL, **settings})
    assert query.write == write
    assert query_table(query).loads == ("replace" if write == "replace" else "merge")
    assert query.kept_up_to_date()


def test_settings_are_read_as_people_write_them() -> None:
    query = Query.of(
        "things", {"sql": f"\n{SQL};\n ; ", "key": [" id ", "kind"], "refresh": "12h", "variables": {"a": 1}}
    )
    assert (query.sql, query.key, query.refresh, query.variables) == (SQL, ("id", "kind"), 12 * HOUR, {"a": 1})
    assert Query.of("things", {"sql": SQL, "refresh": "always"}).refresh == 0
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    times = Query.of("things", {"sql": SQL, "variables": {"day": date(2026, 1, 2), "time": moment}}).variables
    assert times == {"day": "2026-01-02", "time": "2026-01-02 02:04:05.000000"}
    assert Query.of("things", {"sql": SQL, "refresh": "1.5 d"}).refresh == 1.5 * DAY


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("things", {"sql": SQL, "kye": "id"}, ["kye", "things", "Did you mean key?"]),
        ("things", {"sql": SQL, "zzz": 1}, ["zzz", "There are: sql, key, cursor"]),
        ("things", {}, ["no sql"]),
        ("things", {"sql": " ; "}, ["no sql"]),
        ("things", {"sql": SQL, "key": 7}, ["key", "7"]),
        ("things", {"sql": SQL, "key": ["id", "id"]}, ["twice"]),
        ("things", {"sql": SQL, "cursor": ["a", "b"]}, ["2 columns"]),
        ("things", {"sql": SQL, "write": "upsert"}, ["upsert", "merge, replace, append"]),
        ("things", {"sql": SQL, "write": "merge"}, ["no key"]),
        ("things", {"sql": SQL, "write": "replace", "cursor": "a"}, ["replaced", "cursor"]),
        ("things", {"sql": SQL, "refresh": "daily"}, ["daily", "1d"]),
        ("things", {"sql": SQL, "variables": [1]}, ["variables"]),
        ("My Things", {"sql": SQL}, ["My Things", "my_things would do"]),
        ("_dlt_things", {"sql": SQL}, ["cannot be the name"]),
        ("", {"sql": SQL}, ["cannot be the name"]),
        ("events", {"sql": SQL}, ["There is a table events already"]),
        ("things", SQL, ["[queries.things]"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_right_is_refused_with_advice(name: str, settings: Any, words: list[str]) -> None:
    with pytest.raises(BadQuery) as refused:
        queries_of({name: settings}, taken=["events"])
    for word in words:
        assert word in str(refused.value)
