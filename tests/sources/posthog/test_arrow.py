"""Answers become Arrow by their types, without a value changed; what does not fit is an error that names the column."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.local import Sandbox
from sources.posthog.arrow import (
    UTC_MICROS,
    ColumnMismatch,
    arrow_type,
    column_array,
    declared_table,
    empty_table,
    json_texts,
    times,
    typed_table,
)
from sources.posthog.tables import EVENTS, PERSONS, TABLES, Column
from tests.sources.posthog.reading import connected

NOON = datetime(2026, 11, 20, 12, 0, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("clickhouse", "arrow"),
    [
        ("String", pa.string()),
        ("FixedString(16)", pa.string()),
        ("LowCardinality(String)", pa.string()),
        ("LowCardinality(Nullable(String))", pa.string()),
        ("Nullable(String)", pa.string()),
        ("UUID", pa.string()),
        ("Enum8('full' = 0, 'propertyless' = 1)", pa.string()),
        ("Enum16('a(b' = 1)", pa.string()),
        ("DateTime", UTC_MICROS),
        ("DateTime('UTC')", UTC_MICROS),
        ("DateTime64(6, 'UTC')", UTC_MICROS),
        ("Nullable(DateTime64(3, 'America/New_York'))", UTC_MICROS),
        ("Date", pa.date32()),
        ("Date32", pa.date32()),
        ("Bool", pa.bool_()),
        ("Int8", pa.int64()),
        ("Int64", pa.int64()),
        ("UInt8", pa.int64()),
        ("UInt32", pa.int64()),
        ("UInt64", pa.uint64()),
        ("Float32", pa.float64()),
        ("Nullable(Float64)", pa.float64()),
        ("Decimal(10, 2)", pa.decimal128(10, 2)),
        ("Decimal(76, 20)", pa.decimal256(76, 20)),
        # Nested ones, and those without a type of their own, stay JSON text.
        ("Array(String)", None),
        ("Tuple(String, UInt8)", None),
        ("Map(String, String)", None),
        ("JSON", None),
        ("Nullable(Nothing)", None),
        ("Int128", None),
    ],
)
def test_each_clickhouse_type_has_its_arrow_type(clickhouse: str, arrow: pa.DataType | None) -> None:
    assert arrow_type(clickhouse) == arrow


@pytest.mark.parametrize(
    ("hogql", "value"),
    [
        ("toDateTime64('2026-11-20 12:00:00.123456', 6, 'UTC')", NOON.replace(microsecond=123_456)),
        ("toDateTime('2026-11-20 12:00:00', 'UTC')", NOON),
        ("toDate('2026-11-20')", date(2026, 11, 20)),
        ("toUUID('018c5164-2314-770e-a285-ee611c2c2789')", "018c5164-2314-770e-a285-ee611c2c2789"),
        ("_toUInt64(18446744073709551615)", 2**64 - 1),
        ("toInt(-5)", -5),
        ("toFloat(0.1)", 0.1),
        ("toFloat('1e18')", 1e18),
        ("toFloat('1e300')", 1e300),
        ("divide(1, 0)", None),
        ("toDecimal('12.30', 2)", Decimal("12.30")),
        ("1 = 1", 1),
        ("toBool(1)", True),
        ("[1, 2]", "[1,2]"),
        ("tuple('a', 1)", '["a",1]'),
        ("map('a', 1)", '{"a":1}'),
        ("NULL", None),
        ("toNullable('x')", "x"),
    ],
)
def test_values_of_the_server_arrive_typed(sandbox_cloud: Sandbox, hogql: str, value: object) -> None:
    with connected(sandbox_cloud) as client:
        answer = client.query(f"SELECT {hogql} AS v LIMIT 1", modifiers={"convertToProjectTimezone": False})
    (found,) = typed_table(answer.columns, answer.types, answer.rows).column("v").to_pylist()
    assert found == value or (isinstance(found, Decimal) and found == value)


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
    [("bigint", "x"), ("bigint", 2**63), ("bigint", 1.5), ("timestamp", "soon"), ("text", 5), ("double", "x")],
)
def test_what_does_not_fit_names_the_column(data_type: Any, value: object) -> None:
    with pytest.raises(ColumnMismatch, match="my_column"):
        declared_table(["String"], [[value]], (Column("my_column", data_type, "x", ""),))


def test_another_number_of_columns_is_refused() -> None:
    with pytest.raises(ColumnMismatch):
        declared_table(["String"], [["a"]], EVENTS.columns)
