"""However rows come, the glob finds each key once, with its last row; and what does not change is not written."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from posthog_warehouse.destinations.lake import merging
from tests.destinations.lake.lakes import LocalPlace, Place, event, load, load_events, numbers, read


def test_an_events_file_lies_in_the_folder_of_its_utc_day(place: Place) -> None:
    load_events(place, [event(1, "2026-11-20T23:59:59.999999Z"), event(2, "2026-11-21T00:00:00Z")])
    days = [path.split("/")[1] for path in place.files("events")]
    assert days == ["date=2026-11-20", "date=2026-11-21"]
    found = read(place, "events", ["uuid", "CAST(date AS VARCHAR)"])
    assert [day for _, day in found] == ["2026-11-20", "2026-11-21"]


def test_a_window_that_is_pulled_again_changes_nothing(place: Place) -> None:
    rows = [event(n, f"2026-11-{20 + n % 3}T12:00:00Z") for n in range(30)]
    load_events(place, rows)
    before = place.files("events")
    load_events(place, rows)
    assert numbers(place) == list(range(30))
    assert place.files("events") == before, "not one file was written"


def test_a_row_that_changed_replaces_its_old_one(place: Place) -> None:
    load_events(place, [event(n, "2026-11-20T12:00:00Z") for n in range(5)])
    load_events(place, [event(3, "2026-11-20T12:00:00Z", event="renamed")])
    assert numbers(place) == list(range(5))
    assert [name for _, name in read(place, "events", ["uuid", "event"])].count("renamed") == 1


def test_an_event_whose_day_changed_leaves_its_old_day(every_place: Place) -> None:
    load_events(every_place, [event(n, "2026-11-20T12:00:00Z") for n in range(3)])
    load_events(every_place, [event(1, "2026-11-25T12:00:00Z")])
    assert read(every_place, "events", ["right(uuid, 1)", "CAST(date AS VARCHAR)"]) == [
        ("0", "2026-11-20"),
        ("1", "2026-11-25"),
        ("2", "2026-11-20"),
    ]
    assert not [path for path in every_place.all_files() if "/moves/" in path]


def test_late_events_join_the_small_file_of_their_day(place: Place) -> None:
    load_events(place, [event(1, "2026-11-20T12:00:00Z")])
    load_events(place, [event(2, "2026-11-20T11:00:00Z")])
    assert numbers(place) == [1, 2]
    assert len(place.files("events")) == 1


def test_late_events_leave_a_large_file_as_it_is(local: LocalPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    load_events(local, [event(1, "2026-11-20T12:00:00Z")])
    before = local.files("events")
    monkeypatch.setattr(merging, "SMALL_BYTES", 10)
    load_events(local, [event(2, "2026-11-20T11:00:00Z")])
    assert numbers(local) == [1, 2]
    assert before.items() < local.files("events").items()


def test_of_two_rows_with_one_key_in_a_package_the_newest_counts(place: Place) -> None:
    first = event(1, "2026-11-20T12:00:00Z", created_at="2026-11-20T12:00:01Z", event="first")
    last = event(1, "2026-11-20T12:00:00Z", created_at="2026-11-20T12:00:02Z", event="last")
    never = event(1, "2026-11-20T12:00:00Z", created_at=None, event="never")
    load_events(place, [last, first, never])
    assert read(place, "events", ["event"]) == [("last",)]


def test_a_package_of_many_days_is_one_file_for_each(place: Place) -> None:
    days = [f"2026-{month:02d}-{day:02d}" for month in (9, 10) for day in range(1, 13)]
    rows = [event(n, f"{day}T0{n % 9}:00:00Z") for n, day in enumerate(days * 5)]
    load_events(place, rows)
    assert numbers(place) == list(range(len(rows)))
    assert len(place.files("events")) == len(days)


def test_a_row_without_a_time_has_a_partition_of_its_own(place: Place) -> None:
    load_events(place, [event(1, "2026-11-20T12:00:00Z"), {**event(2, ""), "timestamp": None, "created_at": None}])
    assert read(place, "events", ["right(uuid, 1)", "date IS NULL"]) == [("1", False), ("2", True)]


def test_rows_that_arrive_as_deleted_are_removed(place: Place) -> None:
    columns = {
        "distinct_id": {"data_type": "text", "nullable": False},
        "is_deleted": {"data_type": "bool", "hard_delete": True},
    }
    rows = [{"distinct_id": each, "is_deleted": False} for each in "abc"]
    load(place, "ids", rows, columns=columns, primary_key="distinct_id")
    load(place, "ids", [{"distinct_id": "b", "is_deleted": True}], columns=columns, primary_key="distinct_id")
    assert read(place, "ids", ["distinct_id"]) == [("a",), ("c",)]
    gone = [{"distinct_id": each, "is_deleted": True} for each in "ac"]
    load(place, "ids", gone, columns=columns, primary_key="distinct_id")
    assert read(place, "ids", ["distinct_id"]) == [], "a table that is empty can still be read"


def test_rows_of_one_merge_key_are_replaced_together(place: Place) -> None:
    columns = {
        "event_uuid": {"data_type": "text", "nullable": False},
        "position": {"data_type": "bigint", "nullable": False},
        "tag": {"data_type": "text"},
    }
    keys: Any = {"primary_key": ("event_uuid", "position"), "merge_key": "event_uuid"}
    rows = [{"event_uuid": each, "position": n, "tag": "old"} for each in "ab" for n in range(3)]
    load(place, "event_elements", rows, columns=columns, **keys)
    load(place, "event_elements", [{"event_uuid": "a", "position": 0, "tag": "new"}], columns=columns, **keys)
    assert read(place, "event_elements", ["event_uuid", "position", "tag"], "1, 2") == [
        ("a", 0, "new"),
        *(("b", n, "old") for n in range(3)),
    ]


def test_groups_that_arrive_as_gone_leave_no_row(place: Place) -> None:
    columns = {
        "insight_id": {"data_type": "text", "nullable": False},
        "point": {"data_type": "bigint"},
        "is_gone": {"data_type": "bool", "hard_delete": True},
    }
    rows = [{"insight_id": each, "point": n, "is_gone": False} for each in "ab" for n in range(3)]
    load(place, "points", rows, columns=columns, merge_key="insight_id")
    gone = [{"insight_id": "a", "point": None, "is_gone": True}]
    load(place, "points", [*gone, {**rows[3], "point": 9}], columns=columns, merge_key="insight_id")
    assert read(place, "points", ["insight_id", "point"], "1, 2") == [("b", 9)]


def test_a_table_that_is_replaced_is_one_file(place: Place) -> None:
    for rows in ([{"id": 1}, {"id": 2}], [{"id": 2}, {"id": 3}]):
        load(place, "cohorts", rows, write_disposition="replace", primary_key="id")
        assert read(place, "cohorts", ["id"]) == [(row["id"],) for row in rows]
        assert list(place.files("cohorts")) == ["cohorts/cohorts.parquet"]


def test_a_list_in_a_replaced_table_is_replaced_with_it(place: Place) -> None:
    rows: list[dict[str, Any]] = [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": ["c"]}]
    load(place, "actions", rows, write_disposition="replace", primary_key="id", max_table_nesting=1)
    assert read(place, "actions__tags", ["value"]) == [("a",), ("b",), ("c",)]
    load(place, "actions", [{"id": 2, "tags": ["d"]}], write_disposition="replace", max_table_nesting=1)
    assert read(place, "actions__tags", ["value"]) == [("d",)]
    load(place, "actions", [{"id": 2, "tags": []}], write_disposition="replace", max_table_nesting=1)
    assert read(place, "actions__tags", ["value"]) == []
    assert read(place, "actions", ["id"]) == [(2,)]


def test_rows_without_a_key_are_added(place: Place) -> None:
    for n in range(3):
        load(place, "log", [{"n": n}], write_disposition="append")
    assert read(place, "log", ["n"]) == [(0,), (1,), (2,)]


def test_a_column_that_comes_later_is_null_in_older_rows(place: Place) -> None:
    load_events(place, [event(1, "2026-11-20T12:00:00Z")])
    load_events(place, [event(2, "2026-11-21T12:00:00Z", os="Linux")], os={"data_type": "text"})
    assert read(place, "events", ["right(uuid, 1)", "os"]) == [("1", None), ("2", "Linux")]
    load_events(place, [event(3, "2026-11-21T12:00:00Z")])
    assert read(place, "events", ["right(uuid, 1)", "os"]) == [("1", None), ("2", "Linux"), ("3", None)]


def test_a_column_has_one_type_in_all_files(local: LocalPlace) -> None:
    columns: dict[str, Any] = {
        "id": {"data_type": "bigint", "nullable": False},
        "amount": {"data_type": "double"},
        "at": {"data_type": "timestamp", "timezone": True, "precision": 6},
        "big": {"data_type": "bigint", "x-unsigned": True},
        "price": {"data_type": "decimal", "precision": 12, "scale": 2},
    }
    rows: list[dict[str, Any]] = [{"id": 1, "amount": 1, "at": "2026-11-20T12:00:00.123456Z"}, {"id": 2, "amount": 1.5}]
    for row in rows:
        load(local, "things", [row], columns={k: v for k, v in columns.items() if k in row}, primary_key="id")
    load(local, "things", [{"id": 3, "amount": 2}], columns=columns, primary_key="id")
    [path] = local.files("things")
    schema = pq.read_schema(local.folder / "posthog" / path)
    assert schema.field("amount").type == pa.float64()
    assert schema.field("at").type == pa.timestamp("us", "UTC")
    assert read(local, "things", ["amount"]) == [(1.0,), (1.5,), (2.0,)]


def test_rows_are_sorted_and_in_groups_that_readers_can_leave_out(
    local: LocalPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("posthog_warehouse.destinations.lake.writing.ROW_GROUP_ROWS", 2_048)
    rows = [event(n, f"2026-11-20T{n % 24:02d}:{n % 60:02d}:00Z", event=f"event {n % 7}") for n in range(20_000)]
    load_events(local, rows)
    [path] = local.files("events")
    found = pq.ParquetFile(local.folder / "posthog" / path)
    assert found.metadata.num_row_groups >= 9
    table = found.read(["event", "timestamp"])
    assert table.equals(table.sort_by([("event", "ascending"), ("timestamp", "ascending")]))
    names = [found.metadata.row_group(group).column(1).statistics for group in range(found.metadata.num_row_groups)]
    assert sum(each.min <= "event 3" <= each.max for each in names) <= 3
