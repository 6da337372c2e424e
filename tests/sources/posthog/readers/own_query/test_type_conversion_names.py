from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.readers.own_query.type_conversion import ClickHouseType, parse_type


@pytest.mark.parametrize(
    ("text", "name", "arguments", "is_nullable"),
    [
        ("String", "String", (), False),
        ("Nullable(String)", "String", (), True),
        ("LowCardinality(Nullable(String))", "String", (), True),
        ("DateTime64(6, 'UTC')", "DateTime64", ("6", "'UTC'"), False),
        ("Nullable(Decimal(18, 3))", "Decimal", ("18", "3"), True),
        ("SimpleAggregateFunction(max, Nullable(UInt64))", "UInt64", (), True),
        ("Enum8('a, b' = 1, 'it\\'s (' = 2)", "Enum8", ("'a, b' = 1", "'it\\'s (' = 2"), False),
        ("Nullable(Nothing)", "Nothing", (), True),
        ("Point", "Tuple", ("Float64", "Float64"), False),
        ("JSON(max_dynamic_paths=8, a.b UInt32)", "JSON", ("max_dynamic_paths=8", "a.b UInt32"), False),
    ],
)
def test_types_are_read_apart(text: str, name: str, arguments: tuple[str, ...], *, is_nullable: bool) -> None:
    assert parse_type(text) == ClickHouseType(name, arguments, is_nullable)


def test_members_have_their_names_and_types() -> None:
    kind = parse_type("Tuple(a UInt8, `b (c` Nullable(DateTime64(3, 'Asia/Kolkata')), Map)")
    assert [(name, member.name, member.is_nullable) for name, member in kind.members] == [
        ("a", "UInt8", False),
        ("b (c", "DateTime64", True),
        ("", "Map", False),
    ]
    assert parse_type("Map(String, Array(Tuple(x Int8)))").has_names
    assert not parse_type("Map(String, Array(Tuple(Int8)))").has_names
    assert parse_type("Ring").inner.name == "Tuple"


names = st.sampled_from(["String", "UInt64", "DateTime64(6, 'UTC')", "Enum8('a)' = 1)", "Decimal(76, 38)"])
types = st.recursive(
    names,
    lambda inner: (
        inner.map(lambda one: f"Array({one})")
        | st.tuples(inner, inner).map(lambda two: f"Map({two[0]}, {two[1]})")
        | st.lists(inner, min_size=1, max_size=3).map(lambda some: f"Tuple({', '.join(some)})")
    ),
    max_leaves=8,
)


def _written(kind: ClickHouseType) -> str:
    return f"{kind.name}({', '.join(kind.arguments)})" if kind.arguments else kind.name


@settings(deadline=None)
@given(types)
def test_nothing_of_a_type_is_lost(text: str) -> None:
    kind = parse_type(text)
    assert _written(kind) == text
    assert [_written(member) for _, member in kind.members] == (list(kind.arguments) if kind.is_nested else [])
