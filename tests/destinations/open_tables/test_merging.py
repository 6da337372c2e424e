"""What a load package makes of a table: each key once, and nothing written that stays as it was."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from posthog_warehouse.destinations.destination import Bounds
from tests.destinations.lake.lakes import event
from tests.destinations.open_tables.tables import LocalTables, Tables, load, load_events, numbers

OLD = [event(n, f"2026-11-2{n % 3}T12:00:00Z") for n in range(6)]


def names_of(tables: Tables) -> dict[int, str]:
    found = tables.read("events").select(["uuid", "event"]).to_pylist()
    return {int(row["uuid"][-12:]): row["event"] for row in found}


def test_rows_are_merged_on_their_key(tables: Tables) -> None:
    load_events(tables, OLD)
    changed = [event(1, "2026-11-21T12:00:00Z", event="changed"), event(2, "2026-12-24T12:00:00Z", event="moved")]
    load_events(tables, [event(0, "2026-11-20T12:00:00Z"), *changed, event(9, "2026-11-20T12:00:00Z", event="late")])
    assert numbers(tables) == [0, 1, 2, 3, 4, 5, 9]
    assert names_of(tables) | {1: "changed", 2: "moved", 9: "late"} == names_of(tables)
    with tables.opened() as destination:
        assert destination.totals(["events", "nothing"]) == {"events": 7}
        assert destination.count_events(Bounds())["2026-12-24", "moved"] == 1


def test_what_comes_again_as_it_was_is_not_written(local: LocalTables) -> None:
    load_events(local, OLD)
    commits = local.commits("events")
    load_events(local, OLD[:4])
    assert local.commits("events") == commits
    load(local, "cohorts", [{"id": 1}, {"id": 2}], write_disposition="replace")
    commits = local.commits("cohorts")
    load(local, "cohorts", [{"id": 2}, {"id": 1}], write_disposition="replace")
    assert local.commits("cohorts") == commits


def test_of_rows_with_one_key_the_newest_counts(local: LocalTables) -> None:
    both = [
        event(1, "2026-11-20T12:00:00Z", event=name, created_at=at)
        for name, at in (("newer", "2026-11-22T00:00:00Z"), ("older", "2026-11-21T00:00:00Z"))
    ]
    load_events(local, both)
    assert names_of(local) == {1: "newer"}


def test_rows_of_a_group_are_replaced_together(local: LocalTables) -> None:
    columns: Any = {
        "insight_id": {"data_type": "bigint", "merge_key": True},
        "point": {"data_type": "text"},
        "is_gone": {"data_type": "bool", "hard_delete": True},
    }

    def loaded(*rows: tuple[int, str, bool]) -> list[tuple[int, str]]:
        given = [dict(zip(columns, row, strict=True)) for row in rows]
        load(local, "insight_trends", given, columns=columns, primary_key=None)
        return sorted((row["insight_id"], row["point"]) for row in local.read("insight_trends").to_pylist())

    assert loaded((1, "a", False), (1, "b", False), (2, "a", False), (3, "a", False)) == [
        (1, "a"),
        (1, "b"),
        (2, "a"),
        (3, "a"),
    ]
    assert loaded((1, "b", False), (1, "c", False), (3, "", True), (4, "a", False)) == [
        (1, "b"),
        (1, "c"),
        (2, "a"),
        (4, "a"),
    ]
    commits = local.commits("insight_trends")
    loaded((1, "c", False), (1, "b", False), (7, "", True))
    assert local.commits("insight_trends") == commits, "a group that is the same is left alone"


def test_rows_that_are_told_to_go_are_removed(local: LocalTables) -> None:
    columns: Any = {"distinct_id": {"data_type": "text"}, "is_deleted": {"data_type": "bool", "hard_delete": True}}

    def loaded(names: str, *, is_deleted: bool) -> list[str]:
        rows = [{"distinct_id": name, "is_deleted": is_deleted} for name in names]
        load(local, "ids", rows, columns=columns, primary_key="distinct_id")
        return sorted(local.read("ids").column("distinct_id").to_pylist())

    loaded("abc", is_deleted=False)
    assert loaded("bz", is_deleted=True) == ["a", "c"]
    assert loaded("ac", is_deleted=True) == [], "a table without rows is one"


def test_a_key_of_two_columns(local: LocalTables) -> None:
    columns: Any = {"kind": {"data_type": "bigint"}, "key": {"data_type": "text"}, "name": {"data_type": "text"}}
    for name in ("old", "new"):
        rows = [{"kind": kind, "key": "x", "name": name} for kind in ((0, 1) if name == "old" else (1, 2))]
        load(local, "groups", rows, columns=columns, primary_key=["kind", "key"])
    assert sorted((row["kind"], row["name"]) for row in local.read("groups").to_pylist()) == [
        (0, "old"),
        (1, "new"),
        (2, "new"),
    ]


def test_a_table_is_replaced_as_a_whole(tables: Tables) -> None:
    load(tables, "cohorts", [{"id": n} for n in range(3)], write_disposition="replace")
    load(tables, "cohorts", [{"id": n, "name": "a"} for n in range(2, 7)], write_disposition="replace")
    assert sorted(tables.read("cohorts").column("id").to_pylist()) == [2, 3, 4, 5, 6]
    assert set(tables.read("cohorts").column("name").to_pylist()) == {"a"}


def test_columns_that_come_later_are_added(local: LocalTables) -> None:
    load_events(local, OLD[:3])
    amount: Any = {"amount": {"data_type": "double"}}
    load_events(local, [event(7, "2026-11-20T12:00:00Z", amount=1.5)], **amount)
    plan: Any = {**amount, "plan": {"data_type": "text"}}
    load_events(local, [event(1, "2026-11-21T12:00:00Z", plan="pro")], **plan)
    found = {int(row["uuid"][-12:]): (row["amount"], row["plan"]) for row in local.read("events").to_pylist()}
    assert found == {0: (None, None), 1: (None, "pro"), 2: (None, None), 7: (1.5, None)}


def test_types_are_those_that_every_reader_knows(local: LocalTables) -> None:
    columns: Any = {
        "id": {"data_type": "bigint"},
        "at": {"data_type": "timestamp", "timezone": True, "precision": 6},
        "day": {"data_type": "date"},
        "yes": {"data_type": "bool"},
        "number": {"data_type": "double"},
        "exact": {"data_type": "decimal", "precision": 38, "scale": 9},
        "properties": {"data_type": "json"},
    }
    row = {
        "id": 1,
        "at": "2026-11-20T12:00:00.123456Z",
        "day": "2026-11-20",
        "yes": True,
        "number": 0.1,
        "exact": "12345678901234567890.123456789",
        "properties": '{"a": "😀"}',
    }
    load(local, "things", [row], columns=columns, primary_key="id")
    found = local.read("things").select(list(columns))
    assert found.schema.field("at").type == pa.timestamp("us", "UTC")
    assert found.schema.field("day").type == pa.date32()
    assert found.schema.field("exact").type == pa.decimal128(38, 9)
    [read] = found.to_pylist()
    assert read["at"].isoformat() == "2026-11-20T12:00:00.123456+00:00"
    assert read["exact"] == Decimal("12345678901234567890.123456789")
    assert (read["yes"], read["number"], read["properties"]) == (True, 0.1, row["properties"])


@pytest.mark.parametrize("packages", [4])
def test_compact_makes_one_file_of_many(local: LocalTables, packages: int) -> None:
    for start in range(packages):
        load_events(local, [event(n, f"2026-11-2{start}T12:00:00Z") for n in range(start * 3, start * 3 + 3)])
    with local.opened() as destination:
        [done] = destination.compact(["events"])
        assert (done.folder, done.files_before, done.files_after) == ("events", packages, 1)
        assert list(destination.compact(["events"])) == []
    assert numbers(local) == list(range(packages * 3))
    load_events(local, [event(1, "2026-11-20T12:00:00Z", event="changed")])
    assert numbers(local) == list(range(packages * 3))
