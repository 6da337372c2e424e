"""Rows as they come, and as they are loaded."""

from __future__ import annotations

import json as standard_json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.errors import ListUnreadable
from posthog_warehouse.sources.posthog.readers.rest.rows import Shape
from posthog_warehouse.sources.posthog.tables.rest import by, listed
from posthog_warehouse.sources.posthog.tables.schema import bigint, flag, json, text, time

THINGS = listed(
    "things",
    "things",
    bigint("id", "The key.", nullable=False),
    text("name", "Its name."),
    flag("active", "Whether it is on."),
    json("filters", "Conditions."),
    time("created_at", "When it was made, UTC."),
    bigint("flag_id", "Its flag.", hogql="flag.id"),
    *by("created_by", "Who made it"),
    about="One row per thing.",
    scope="thing:read",
    children=("tags",),
)


def shaped(raw: dict[str, Any], types: dict[str, str] | None = None, **values: Any) -> tuple[dict[str, Any], Shape]:
    shape = Shape(THINGS, {} if types is None else types)
    return shape.row(raw, values), shape


def test_declared_columns_are_found_by_their_path_and_the_rest_of_such_an_object_is_left_out() -> None:
    raw = {"id": 1, "flag": {"id": 7, "key": "x"}, "created_by": {"id": 3, "email": "a@b.example", "first_name": "A"}}
    row, shape = shaped(raw)
    assert row == {"id": 1, "flag_id": 7, "created_by_id": 3, "created_by_email": "a@b.example"}
    assert shape.notes == []


def test_where_a_version_has_just_the_id_of_an_object_it_is_that() -> None:
    assert shaped({"id": 1, "flag": 7, "created_by": None})[0] == {"id": 1, "flag_id": 7}
    assert shaped({"id": 1, "flag": None, "flag_id": 8})[0] == {"id": 1, "flag_id": 8}


def test_nothing_that_is_not_declared_is_lost() -> None:
    raw = {
        "id": 1,
        "score": 2.5,
        "seen": "2026-01-01T00:00:00Z",
        "deep": {"a": {"b": [1]}},
        "list": [1, "x"],
        "no": None,
    }
    row, shape = shaped(raw)
    assert row == {name: value for name, value in raw.items() if value is not None}
    assert shape.types == {"score": "double", "seen": "timestamp", "deep": "json", "list": "json"}
    assert [(column.name, column.data_type) for column in shape.more_columns] == [("deep", "json"), ("list", "json")]


def test_children_are_left_to_dlt_without_their_nulls() -> None:
    row, shape = shaped({"id": 1, "tags": [{"a": 1, "b": None}, {"a": None, "b": {"c": None}}]})
    assert row["tags"] == [{"a": 1}, {"b": {"c": None}}]
    assert shape.more_columns == ()
    assert shaped({"id": 1, "tags": ["x", "y"]})[0]["tags"] == ["x", "y"]


def test_a_child_s_value_that_does_not_fit_is_told() -> None:
    types: dict[str, str] = {}
    shaped({"id": 1, "tags": [{"a": 1, "b": {"c": 1}}]}, types)
    row, shape = shaped({"id": 1, "tags": [{"a": "x", "b": 5}, {"a": {"y": 1}}]}, types)
    assert types == {"tags__a": "bigint", "tags__b": "json"}
    assert [item["a"] for item in row["tags"]] == ["x", '{"y":1}']
    assert standard_json.loads(standard_json.loads(row["tags"][0]["b"])) == 5
    assert shape.notes == [
        "tags__a was bigint, and came as json in 1 rows: see tags__a__v_text",
        "tags__a was bigint, and came as text in 1 rows: see tags__a__v_text",
    ]
    assert shape.more_columns == ()


def test_values_of_the_request_fill_columns_that_the_row_does_not() -> None:
    assert shaped({"id": 1}, name="asked")[0]["name"] == "asked"
    assert shaped({"id": 1, "name": "own"}, name="asked")[0]["name"] == "own"
    assert "other" not in shaped({"id": 1}, other="asked")[0]


@pytest.mark.parametrize(
    ("field", "value", "loaded", "note"),
    [
        ("name", {"de": "Ding"}, '{"de":"Ding"}', "name was text, and came as json in 1 rows: kept as JSON text"),
        ("active", {"on": 1}, '{"on":1}', "active was bool, and came as json in 1 rows: see active__v_text"),
        ("active", "perhaps", "perhaps", "active was bool, and came as text in 1 rows: see active__v_text"),
        ("created_at", "soon", "soon", "created_at was timestamp, and came as text in 1 rows: see created_at__v_text"),
        ("id", 1.5, 1.5, "id was bigint, and came as double in 1 rows: see id__v_double"),
        ("new", "x", "x", "new was bigint, and came as text in 1 rows: see new__v_text"),
    ],
)
def test_a_value_that_does_not_fit_is_kept_and_told(field: str, value: Any, loaded: Any, note: str) -> None:
    row, shape = shaped({"id": 1, field: value}, {"new": "bigint"})
    assert (row[field], shape.notes) == (loaded, [note])


@pytest.mark.parametrize(
    ("field", "value"), [("id", "12"), ("active", "yes"), ("name", 5), ("created_at", "2026-01-01")]
)
def test_a_value_that_can_be_turned_into_the_column_s_type_is_no_news(field: str, value: Any) -> None:
    assert shaped({"id": 1, field: value})[1].notes == []


_NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.none() | st.booleans() | _NUMBERS | st.text())
def test_a_scalar_in_a_json_column_is_json(value: Any) -> None:
    row, shape = shaped({"id": 1, "filters": value})
    if value is not None:
        # dlt parses the text once, and the destination what is left.
        assert standard_json.loads(standard_json.loads(row["filters"])) == pytest.approx(value)
    assert shape.notes == []


def test_a_field_that_held_objects_stays_json() -> None:
    types = {"more": "json"}
    row, shape = shaped({"id": 1, "more": "text"}, types)
    assert standard_json.loads(standard_json.loads(row["more"])) == "text"
    assert (shape.notes, [column.name for column in shape.more_columns]) == ([], ["more"])


@pytest.mark.parametrize("raw", [{"name": "x"}, {"id": None}, 7, "x", None, []])
def test_a_row_without_a_key_is_refused(raw: Any) -> None:
    with pytest.raises(ListUnreadable, match="has no id, which is its key"):
        Shape(THINGS, {}).key(raw, {})


def test_rows_without_an_id_are_known_by_all_that_they_hold() -> None:
    table = listed("log", "log", text("entry", "The key."), about="x", scope="x:read", key="entry", row_id="entry")
    shape = Shape(table, {})
    first, again, other = {"a": 1, "b": [2]}, {"b": [2], "a": 1}, {"a": 1, "b": [3]}
    assert shape.key(first, {}) == shape.key(again, {})
    assert len({shape.key(first, {}), shape.key(other, {}), shape.key(first, {"person": "x"})}) == 3
    assert shape.row(first, {})["entry"] == shape.key(first, {})[0]
