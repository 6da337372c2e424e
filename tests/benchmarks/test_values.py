"""The comparison of values: what it calls exact, a conflict or wrong. It must find what is wrong."""

from __future__ import annotations

from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import values

MOMENT = datetime(2026, 11, 20, 8, 11, 12, 500_000, tzinfo=timezone.utc)
MIDNIGHT = datetime(2026, 11, 20, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("kind", "declared", "value", "wanted"),
    [
        ("text", None, "5", "5"),
        ("text", None, 5, 5),
        ("bool", None, True, True),
        ("bool", "Boolean", "false", False),
        ("bigint", None, 2**63 - 1, 2**63 - 1),
        ("bigint", "Numeric", "-7", -7),
        ("decimal", None, 10**38 - 1, 10**38 - 1),
        ("double", None, Decimal("1.10"), 1.1),
        ("double", None, 2**53 - 1, 2.0**53 - 1),
        ("double", "Duration", "1e5", 100_000.0),
        ("date", None, "2024-02-29", date(2024, 2, 29)),
        ("timestamp", None, "2026-11-20", MIDNIGHT),
        ("timestamp", None, "2026-11-20T10:11:12.5+0200", MOMENT),
        ("timestamp", "DateTime", "2026-11-20 08:11:12.500000", MOMENT),
        ("timestamp", "DateTime", 1_795_162_272, MOMENT.replace(microsecond=0)),
        ("timestamp", "DateTime", "1795162272.5", MOMENT),
        ("timestamp", "DateTime", 1_795_162_272_500, MOMENT),
        ("json", None, {"a": [1]}, {"a": [1]}),
    ],
)
def test_what_a_type_holds(kind: str, declared: str | None, value: Any, wanted: Any) -> None:
    found = values.held(kind, declared, value)
    assert found == wanted
    assert type(found) is type(wanted)


@pytest.mark.parametrize(
    ("kind", "declared", "value"),
    [
        ("bool", None, "true"),
        ("bool", "Boolean", 1),
        ("bigint", None, True),
        ("bigint", None, 2**63),
        ("bigint", None, Decimal("1.0")),
        ("bigint", None, "5"),
        ("decimal", None, 10**38),
        ("double", None, 2**53),
        ("double", None, Decimal("1e400")),
        ("date", None, "2026-02-30"),
        ("date", None, "2026-11-20T10:11:12Z"),
        ("timestamp", None, "2026-11-20T10:11:12"),
        ("timestamp", None, 1_795_162_272),
        ("timestamp", "DateTime", "noon"),
        ("json", None, "{}"),
    ],
)
def test_what_it_has_no_place_for(kind: str, declared: str | None, value: Any) -> None:
    with pytest.raises(values.Conflict):
        values.held(kind, declared, value)


@pytest.mark.parametrize(
    ("kind", "typed", "value", "is_same"),
    [
        ("text", "5", "5", True),
        ("text", "5", 5, True),
        ("text", "[1.10]", [Decimal("1.1")], True),
        ("text", "9007199254740992.0", Decimal("9007199254740993.0"), False),
        ("text", "true", True, True),
        ("text", "1", True, False),
        ("json", '{"a": 1}', {"a": True}, False),
        ("bool", True, True, True),
        ("bigint", 1, True, False),
        ("bigint", 5, 6, False),
    ],
)
def test_when_a_value_is_the_same(*, kind: str, typed: Any, value: Any, is_same: bool) -> None:
    assert values.same(kind, typed, value) == is_same


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two columns of five events: the last value of `seats` is a conflict, and listed."""
    path = tmp_path / "values.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            """
            CREATE SCHEMA posthog;
            CREATE TABLE posthog.property_columns AS SELECT * FROM (VALUES
                ('events', 'Plan', 'plan_x0', 'text', NULL, 0), ('events', 'seats', 'seats', 'bigint', NULL, 1),
                ('persons', 'email', 'email', 'text', NULL, 0)
            ) AS rows(table_name, key, column_name, type, declared_type, conflicts);
            CREATE TABLE posthog.events AS SELECT uuid() AS uuid, number::BIGINT AS seats, 'team' AS plan_x0,
                '{"Plan": "team", "seats": ' || number || '}' AS properties FROM range(1, 5) AS numbers(number);
            INSERT INTO posthog.events VALUES (uuid(), NULL, NULL, '{"seats": "many"}')
            """
        )
    return path


def test_a_true_table_is_found_true(table: Path) -> None:
    found = values.compare(table, pairs=200, seed=1)
    assert (found.columns, found.wrong, set(found.conflicts)) == (2, [], {"seats"})
    assert found.pairs >= 200
    assert found.exact > 100


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("UPDATE posthog.events SET seats = seats + 1 WHERE seats = 3", id="another value"),
        pytest.param("UPDATE posthog.events SET seats = NULL WHERE seats = 3", id="a value that is lost"),
        pytest.param("UPDATE posthog.events SET seats = 0 WHERE seats IS NULL", id="a value for a conflict"),
        pytest.param("UPDATE posthog.events SET plan_x0 = 'free' WHERE plan_x0 IS NULL", id="a value out of nothing"),
        pytest.param("UPDATE posthog.property_columns SET conflicts = 0", id="a conflict that is not listed"),
    ],
)
def test_damage_is_found(table: Path, damage: str) -> None:
    with duckdb.connect(str(table)) as connection:
        connection.execute(damage)
    assert values.compare(table, pairs=200, seed=1).wrong
