from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import Run
from posthog_warehouse.sources.posthog.errors import OwnQueryRefused
from tests.conftest import StartSandbox
from tests.sources.posthog.readers.own_query.asking import a_run, described, rows_of


@pytest.fixture(scope="module")
def asked(sandbox_cloud: Sandbox) -> Iterator[Run]:
    with a_run(sandbox_cloud) as run:
        yield run


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT event, count() FROM events GROUP BY event", ["event", "count"]),
        (
            "SELECT 1 + 1, count(), count(), 'a' AS `a.b ``c`, 2 AS \"d e\"",
            ["plus_1_1", "count", "count_2", "a_b_c", "d_e"],
        ),
        ("SELECT a.id, b.id FROM persons AS a JOIN persons AS b ON a.id != b.id LIMIT 2", ["id", "id_2"]),
        ("WITH some AS (SELECT event AS e, 1 AS n FROM events) SELECT * FROM some LIMIT 2", ["e", "n"]),
        ("SELECT 1 AS a UNION ALL SELECT 2", ["a"]),
        ("SELECT properties.$browser, person.properties.email FROM events LIMIT 2", ["browser", "email"]),
        ("SELECT event FROM events LIMIT 2 -- a comment", ["event"]),
        ("SELECT event FROM events LIMIT 2 /* a; comment */ ;", ["event"]),
    ],
)
def test_columns_are_known_before_any_row(asked: Run, sql: str, names: list[str]) -> None:
    about = described(asked, sql)
    assert [column.name for column in about.columns] == names
    assert all(len(row) == len(names) for row in rows_of(asked, sql))


def test_columns_of_one_name_hold_what_is_theirs(asked: Run) -> None:
    rows = rows_of(asked, "SELECT a.id, b.id FROM persons AS a JOIN persons AS b ON a.id != b.id LIMIT 5")
    assert len(rows) == 5
    assert all(one != other for one, other in rows)


def test_describing_reads_no_rows(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=500, persons=20)
    with a_run(sandbox) as run:
        described(run, "SELECT 1")
        sandbox.reset_counters()
        described(run, "SELECT uuid, event FROM events", key="uuid")
    log = [entry for entry in sandbox.requests() if entry["kind"] == "HogQLQuery"]
    assert log
    assert all("LIMIT 0" in entry["query"] for entry in log)
    assert sum(entry["rows"] or 0 for entry in log) == 0


@pytest.mark.parametrize(
    ("sql", "settings", "position", "words"),
    [
        ("SELECT event,\n  countt() FROM events", {}, (16, 24), ["line 2, column 3", "countt", "Perhaps you meant"]),
        ("SELECT nothere FROM events", {}, (7, 14), ["line 1, column 8", "Unable to resolve field: nothere"]),
        ("SELECT 1 FRO events", {}, None, ["line 1"]),
        ("SELECT event FROM evnts", {}, None, ["Unknown table `evnts`"]),
        ("SELECT toUUID(event) > 1 FROM events", {}, None, ["Illegal types of arguments"]),
        ("SELECT {missing}", {}, None, ["{missing}"]),
        ("SELECT 1 LIMIT 1 OFFSET 1", {}, None, ["OFFSET is not supported"]),
        ("INSERT INTO events SELECT 1", {}, None, ["refused"]),
        ("SELECT event FROM events", {"key": "evnt"}, None, ["no column evnt", "Did you mean event?"]),
        ("SELECT event FROM events", {"key": "event", "cursor": "zzz"}, None, ["no column zzz", "columns are: event"]),
        ("SELECT sumState(1) AS s", {}, None, ["AggregateFunction", "sumMerge"]),
    ],
)
def test_a_fault_is_told_with_its_place(
    asked: Run, sql: str, settings: dict[str, Any], position: tuple[int, int] | None, words: list[str]
) -> None:
    with pytest.raises(OwnQueryRefused) as refused:
        described(asked, sql, **settings)
    for word in words:
        assert word in str(refused.value)
    if position is not None:
        assert refused.value.position == position
    assert "pw_column" not in str(refused.value)


def test_variables_are_values_and_never_hogql(asked: Run) -> None:
    values = {"name": "it's -- {other}", "number": 5, "nothing": None, "other": "x"}
    assert rows_of(asked, "SELECT {name}, {number} + 1, {nothing}", variables=values) == [("it's -- {other}", 6, None)]


def test_an_old_server_tells_columns_by_name_and_asks_for_names(start_sandbox: StartSandbox) -> None:
    old = start_sandbox(events=200, persons=20, profile="selfhosted-2023")
    with a_run(old) as run:
        assert rows_of(run, "SELECT count(), 1 AS `a b` FROM events") == [(200, 1)]
        with pytest.raises(OwnQueryRefused, match=r"id(?s:.*)Give each a name"):
            described(run, "SELECT a.id, b.id FROM persons AS a JOIN persons AS b ON a.id = b.id")
        with pytest.raises(OwnQueryRefused, match="nothere"):
            described(run, "SELECT nothere FROM events")
