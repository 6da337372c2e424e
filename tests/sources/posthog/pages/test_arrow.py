"""Answers become Arrow by their types, without a value changed; what does not fit is an error that names the column."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.pages.arrow import (
    UTC_MICROS,
    ColumnMismatch,
    column_array,
    declared_table,
    empty_table,
    json_texts,
    times,
)
from posthog_warehouse.sources.posthog.tables import EVENTS, PERSONS, TABLES, Column

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)


@settings(deadline=None)  # the first call of a process loads what the others use
@given(st.lists(st.one_of(st.none(), st.datetimes(datetime(1900, 1, 2), datetime(2299, 12, 30)))))  # noqa: DTZ001 - bounds
def test_times_are_exact_whatever_their_spelling(moments: list[datetime | None]) -> None:
    aware = [None if moment is None else moment.replace(tzinfo=timezone.utc) for moment in moments]
    spellings: list[list[str | None]] = [
        [None if m is None else m.strftime("%Y-%m-%d %H:%M:%S.%f") for m in aware],
        [None if m is None else m.isoformat().replace("+00:00", "Z") for m in aware],
        [None if m is None else m.isoformat() for m in aware],
    ]
    for texts in spellings:
        assert times(texts).to_pylist() == aware
        assert times(texts).type == UTC_MICROS


def test_offsets_are_honoured_and_a_mix_with_none_is_refused() -> None:
    assert times(["2026-11-20T07:00:00-05:00"]).to_pylist() == [NOON]
    assert times(["2026-11-20T17:30:00+0530"]).to_pylist() == [NOON]
    with pytest.raises(pa.ArrowInvalid):
        times(["2026-11-20 12:00:00", "2026-11-20T12:00:00Z"])


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=8)), max_size=5),
    st.lists(st.dictionaries(st.text(max_size=3), values)),
)
def test_json_stays_text_and_objects_become_it(texts: list[str | None], objects: list[dict[str, Any]]) -> None:
    found = json_texts([*texts, *objects]).to_pylist()
    assert found[: len(texts)] == texts
    assert [orjson.loads(text) for text in found[len(texts) :]] == objects


@pytest.mark.parametrize("count", [4_095, 4_096, 4_097, 12_288, 20_000])
def test_pages_of_any_length_keep_their_texts_in_order(count: int) -> None:
    columns = (Column("a", "text", "a", "A", empty_is_null=True), Column("b", "json", "b", "B"))
    texts = [None if n % 7 == 0 else "" if n % 5 == 0 else f"é{n}" for n in range(count)]
    objects = [{"n": n} if n % 3 else None if n % 2 else f'{{"n":{n}}}' for n in range(count)]
    page = declared_table(["String", "String"], [[a, b] for a, b in zip(texts, objects, strict=True)], columns)
    assert page.column("a").to_pylist() == [text or None for text in texts]
    read = [None if text is None else orjson.loads(text)["n"] for text in page.column("b").to_pylist()]
    assert read == [None if value is None else n for n, value in enumerate(objects)]


def test_floats_beyond_the_exact_integers_are_taken_as_they_are() -> None:
    """JSON writes 1e18 as an integer."""
    assert column_array([10**18, 2**60 + 1, 0.5, None], pa.float64()).to_pylist() == [1e18, float(2**60 + 1), 0.5, None]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_no_rows_have_all_columns(table: Any) -> None:
    empty = empty_table(table)
    assert empty.column_names == [column.name for column in table.columns]
    assert empty.num_rows == 0


def test_rows_get_their_declared_types() -> None:
    row = ["018c5164-2314-770e-a285-ee611c2c2789", "2026-11-20 12:00:00.000", 1, '{"a": 1}', 7, 0]
    table = declared_table(["String"] * 6, [row], PERSONS.columns)
    assert table.to_pylist() == [
        {
            "person_id": row[0],
            "created_at": NOON,
            "is_identified": True,
            "properties": '{"a": 1}',
            "version": 7,
            "is_deleted": False,
        }
    ]
    assert table.schema.equals(empty_table(PERSONS).schema)


def test_an_empty_text_is_null_where_posthog_has_no_null() -> None:
    columns = (Column("a", "text", "a", "", empty_is_null=True), Column("b", "text", "b", ""))
    assert declared_table(["", ""], [["", ""], ["x", None]], columns).to_pylist() == [
        {"a": None, "b": ""},
        {"a": "x", "b": None},
    ]


@pytest.mark.parametrize(
    ("data_type", "value"),
    [
        ("bigint", "x"),
        ("bigint", "12"),
        ("bigint", True),
        ("bigint", 2**63),
        ("bigint", 2**70),
        ("bigint", 1.5),
        ("timestamp", "soon"),
        ("timestamp", 1_763_596_800),
        ("text", 5),
        ("text", {"a": 1}),
        ("double", "x"),
        ("double", True),
        ("bool", 2),
        ("bool", "true"),
        ("bool", 0.5),
        ("date", "2026-13-45"),
    ],
)
def test_what_does_not_fit_names_the_column(data_type: Any, value: object) -> None:
    with pytest.raises(ColumnMismatch, match="my_column"):
        declared_table(["String"], [[value]], (Column("my_column", data_type, "x", ""),))


@pytest.mark.parametrize("value", ["not-a-uuid", 5, "018c516422770e-a285-ee611c2c2789-018c", None])
def test_a_uuid_is_one(value: object) -> None:
    column = Column("uuid", "text", "uuid", "", nullable=False, is_uuid=True)
    good = "018c5164-2314-770e-a285-ee611c2c2789"
    with pytest.raises(ColumnMismatch, match="in the column uuid, where a UUID was due") as caught:
        declared_table(["UUID"], [[good], [value]], (column,), "/api/projects/1/query/")
    assert caught.value.path == "/api/projects/1/query/"
    assert good not in caught.value.message
    nullable = Column("uuid", "text", "uuid", "", is_uuid=True)
    assert declared_table([], [[good], [None]], (nullable,)).column("uuid").to_pylist() == [good, None]


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(ColumnMismatch):
        declared_table(["String"], [["a"]], EVENTS.columns)
