"""Each type, asked for by HogQL and loaded by dlt into DuckDB, is what ClickHouse itself says that it is."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import Run
from posthog_warehouse.sources.posthog.pages.arrow import UTC_MICROS
from posthog_warehouse.sources.posthog.readers.own_query.type_conversion import UnreadableType, form_of, parse_type
from posthog_warehouse.sources.posthog.sql.dialect import Dialect, text_literal
from tests.conftest import StartSandbox
from tests.sources.posthog.readers.own_query.asking import Warehouse, a_run, pages_of, rows_of

NOON = datetime(2026, 1, 1, 12, 0, 0, 123_456, tzinfo=timezone.utc)
ID = "018c5164-2314-770e-a285-ee611c2c2789"
TIME = "toDateTime64('2026-01-01 12:00:00.123456', 6, 'UTC')"


def _extract(kind: str, text: str) -> str:
    return f"JSONExtract({text_literal(text)}, {text_literal(kind)})"


# HogQL, its type in DuckDB, its value there (JSON: parsed).
CASES: dict[str, tuple[str, str, Any]] = {
    "string": ("'caf\\'é \\n✓'", "VARCHAR", "caf'é \n✓"),
    "string_empty": ("''", "VARCHAR", ""),
    "string_null": ("toNullable('x')", "VARCHAR", "x"),
    "fixed_string": (_extract("FixedString(5)", '"abc"'), "VARCHAR", "abc"),
    "low_cardinality": (_extract("LowCardinality(Nullable(String))", '"x"'), "VARCHAR", "x"),
    "enum": (_extract("Enum8('a' = 1, 'b' = 2)", '"b"'), "VARCHAR", "b"),
    "nothing": ("NULL", "VARCHAR", None),
    "ipv4": (_extract("IPv4", '"10.0.0.1"'), "VARCHAR", "10.0.0.1"),
    "ipv6": (_extract("IPv6", '"::1"'), "VARCHAR", "::1"),
    "time_of_day": (_extract("Time", '"12:30:00"'), "VARCHAR", "12:30:00"),
    "uuid": (f"toUUID('{ID}')", "UUID", UUID(ID)),
    "flag": ("toBool(1)", "BOOLEAN", True),
    "flag_off": ("toBool(0)", "BOOLEAN", False),
    "comparison": ("1 = 1", "BIGINT", 1),
    "int_lowest": ("-9223372036854775808", "BIGINT", -(2**63)),
    "int_highest": ("9223372036854775807", "UBIGINT", 2**63 - 1),
    "uint_highest": ("18446744073709551615", "UBIGINT", 2**64 - 1),
    "int128": (_extract("Int128", "170141183460469231731687303715884105727"), "VARCHAR", str(2**127 - 1)),
    "float": ("toFloat(0.1)", "DOUBLE", 0.1),
    "float_large": ("toFloat('1e300')", "DOUBLE", 1e300),
    "float_nan": ("0 / 0", "DOUBLE", math.nan),
    "float_infinite": ("-1 / 0", "DOUBLE", -math.inf),
    "float32": (_extract("Float32", "0.1"), "DOUBLE", 0.10000000149011612),
    "decimal": ("toDecimal('12.30', 2)", "DECIMAL(18,2)", Decimal("12.30")),
    "decimal_negative": ("toDecimal('-0.05', 3)", "DECIMAL(18,3)", Decimal("-0.050")),
    "decimal_long": (_extract("Decimal(60, 3)", '"12345678901234567890123456789012345678901234567.5"'), "VARCHAR",
                     "12345678901234567890123456789012345678901234567.5"),
    "date": ("toDate('2026-01-02')", "DATE", date(2026, 1, 2)),
    "date_of_old": (_extract("Date32", '"1900-01-01"'), "DATE", date(1900, 1, 1)),
    "date_first": ("toDate('1970-01-01')", "DATE", date(1970, 1, 1)),
    "time": (TIME, "TIMESTAMP WITH TIME ZONE", NOON),
    "time_elsewhere": ("toDateTime64('2026-01-01 07:00:00.123456', 6, 'America/New_York')", "TIMESTAMP WITH TIME ZONE",
                       NOON),
    "time_of_seconds": ("toDateTime('2026-01-01 17:30:00', 'Asia/Kolkata')", "TIMESTAMP WITH TIME ZONE",
                        NOON.replace(microsecond=0)),
    "time_of_nanos": ("toDateTime64('2026-01-01 12:00:00.123456789', 9, 'UTC')", "TIMESTAMP WITH TIME ZONE", NOON),
    "interval": ("toIntervalDay(3)", "BIGINT", 3),
    "array": ("[1, 2]", "JSON", [1, 2]),
    "array_empty": ("[]", "JSON", []),
    "array_of_times": (f"[{TIME}]", "JSON", ["2026-01-01 12:00:00.123456"]),
    "array_of_ids": (f"[toUUID('{ID}'), NULL]", "JSON", [ID, None]),
    "array_of_floats": ("[1.5, 0 / 0]", "JSON", [1.5, None]),
    "tuple": (f"tuple('a', 1, NULL, {TIME})", "JSON", ["a", 1, None, "2026-01-01 12:00:00.123456"]),
    "tuple_named": (_extract("Tuple(a Int32, b Nullable(String))", '{"a": 1}'), "JSON", {"a": 1, "b": None}),
    "tuples_named": (_extract("Array(Tuple(`a b` Int128, c Array(Date)))", '[{"a b": 7, "c": ["2026-01-02"]}]'), "JSON",
                     [{"a b": "7", "c": ["2026-01-02"]}]),
    "map": ("map('a', 18446744073709551615)", "JSON", {"a": 2**64 - 1}),
    "map_of_days": ("map(assumeNotNull(toDate('2026-01-02')), map('x', toDecimal('1.50', 2)))", "JSON",
                    {"2026-01-02": {"x": "1.5"}}),
    "json": (_extract("JSON", '{"a": [1, {"b": "c"}]}'), "JSON", {"a": [1, {"b": "c"}]}),
}  # fmt: skip


@pytest.fixture(scope="module")
def loaded(sandbox_cloud: Sandbox) -> Iterator[Warehouse]:
    """A row with every case, and one with a NULL wherever the type has one."""
    warehouse = Warehouse(sandbox_cloud)
    columns = ", ".join(f"{hogql} AS {name}" for name, (hogql, *_) in CASES.items())
    warehouse.load({"kinds": {"sql": f"SELECT {columns}"}, "no_kinds": {"sql": f"SELECT {columns} WHERE 1 = 0"}})
    yield warehouse
    warehouse.connection.close()


@pytest.fixture(scope="module")
def asked(sandbox_cloud: Sandbox) -> Iterator[Run]:
    with a_run(sandbox_cloud) as run:
        yield run


@pytest.mark.parametrize("name", CASES)
def test_each_type_has_its_column_and_value_in_duckdb(loaded: Warehouse, name: str) -> None:
    _, kind, value = CASES[name]
    assert loaded.types("kinds")[name] == kind
    [(found,)] = loaded.rows(f'SELECT "{name}" FROM mine.kinds')
    if kind == "JSON":
        found = json.loads(found)
    if isinstance(value, float) and math.isnan(value):
        assert math.isnan(found)
    else:
        assert found == value


def test_an_answer_without_rows_makes_the_same_columns(loaded: Warehouse) -> None:
    assert loaded.types("no_kinds") == loaded.types("kinds")
    assert loaded.rows("SELECT count(*) FROM mine.no_kinds") == [(0,)]


def test_a_column_of_null_alone_keeps_its_type_from_page_to_page(sandbox_cloud: Sandbox) -> None:
    sql = "SELECT number AS k, if(number < 6, NULL, number) AS late, if(number < 6, NULL, now()) AS t FROM numbers(9)"
    with a_run(sandbox_cloud, leaf_rows=3) as run:
        schemas = [page.schema for page in pages_of(run, sql, key="k")]
    assert len(schemas) > 2
    assert all(schema == schemas[0] for schema in schemas)


@pytest.mark.parametrize(
    ("clickhouse", "data_type", "arrow"),
    [
        ("String", "text", pa.string()),
        ("FixedString(16)", "text", pa.string()),
        ("LowCardinality(Nullable(String))", "text", pa.string()),
        ("Enum16('a(b' = 1)", "text", pa.string()),
        ("DateTime", "timestamp", UTC_MICROS),
        ("Nullable(DateTime64(3, 'America/New_York'))", "timestamp", UTC_MICROS),
        ("Date32", "date", pa.date32()),
        ("Int8", "bigint", pa.int64()),
        ("UInt32", "bigint", pa.int64()),
        ("UInt64", "decimal", pa.decimal128(20, 0)),
        ("BFloat16", "double", pa.float64()),
        ("Decimal(10, 2)", "decimal", pa.decimal128(10, 2)),
        ("Decimal64(3)", "decimal", pa.decimal128(18, 3)),
        ("Decimal(38, 38)", "decimal", pa.decimal128(38, 38)),
        ("Decimal(39, 1)", "text", pa.string()),
        ("UInt256", "text", pa.string()),
        ("IntervalMonth", "bigint", pa.int64()),
        ("Map(String, String)", "json", pa.string()),
        ("Point", "json", pa.string()),
        ("SimpleAggregateFunction(max, Nullable(Int16))", "bigint", pa.int64()),
    ],
)
def test_each_type_has_its_form_also_without_values(clickhouse: str, data_type: str, arrow: pa.DataType) -> None:
    form = form_of(parse_type(clickhouse))
    assert (form.data_type, form.arrow) == (data_type, arrow)
    assert form.read([]).type == arrow
    assert form.read([None, None]).to_pylist() == [None, None]
    assert form.read([None]).type == arrow


def test_the_inner_state_of_an_aggregation_is_refused_with_advice() -> None:
    with pytest.raises(UnreadableType, match="sumMerge"):
        form_of(parse_type("AggregateFunction(sum, UInt8)"))


def test_a_type_that_is_yet_to_come_is_text() -> None:
    form = form_of(parse_type("BrandNew(7)"))
    assert (form.data_type, form.select(Dialect(), "x")) == ("text", "toString(x)")


def test_a_server_that_cuts_times_and_knows_no_zones_gives_the_same(start_sandbox: StartSandbox) -> None:
    # An old server: no column lists, times cut to milliseconds unless asked for as text.
    old = start_sandbox(events=300, persons=20, profile="selfhosted-2023")
    sql = (
        "SELECT min(timestamp) AS t, [max(timestamp)] AS ts, count() AS n, 1 / 0 AS x, toDecimal('1.50', 2) AS d "
        "FROM events"
    )
    with a_run(old) as run:
        [(first, last, count, endless, exact)] = rows_of(run, sql)
    # Copies that were sent again count as long as ClickHouse has not merged them.
    [[low, high, rows]] = old.sql("SELECT toString(min(timestamp)), toString(max(timestamp)), count() FROM events")
    assert first == datetime.fromisoformat(low).replace(tzinfo=timezone.utc)
    assert json.loads(last) == [high]
    assert (count, endless, exact) == (rows, math.inf, Decimal("1.50"))


_FOUR = Decimal("0.0001")
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(max_examples=15, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            texts,
            st.floats(width=64),
            st.integers(0, 2**64 - 1),
            st.decimals(-(10**9), 10**9, places=4),
            st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)),  # noqa: DTZ001 - bounds
            st.lists(texts.filter(bool), max_size=2),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_what_goes_in_comes_out(asked: Run, rows: list[tuple[Any, ...]]) -> None:
    selects = []
    for text, number, whole, exact, moment, some in rows:
        listed = ", ".join(map(text_literal, ["", *some]))
        selects.append(
            f"SELECT {text_literal(text)} AS a, reinterpretAsFloat64(unhex('{struct.pack('<d', number).hex()}')) AS b, "
            f"_toUInt64({whole}) AS c, "
            f"toDecimal('{exact:f}', 4) AS d, toDateTime64('{moment:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC') AS e, "
            f"arrayFilter(x -> x != '', [{listed}]) AS f"
        )
    found = rows_of(asked, " UNION ALL ".join(selects))
    wanted = [
        (text, repr(number), whole, exact.quantize(_FOUR), moment.isoformat(), some)
        for text, number, whole, exact, moment, some in rows
    ]
    assert sorted(map(repr, wanted)) == sorted(
        repr((a, repr(b), int(c), d, e.replace(tzinfo=None).isoformat(), json.loads(f))) for a, b, c, d, e, f in found
    )
