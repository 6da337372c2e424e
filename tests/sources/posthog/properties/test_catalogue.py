"""What is remembered of columns from run to run, and what has to happen when they become wider."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.properties import Catalogue, ColumnRules
from posthog_warehouse.sources.posthog.properties.catalogue import Seen, Tally
from posthog_warehouse.sources.posthog.properties.infer import (
    DECLARED,
    Declared,
    Kind,
    PropertyType,
    is_wider,
    type_of,
    widened,
)
from posthog_warehouse.sources.posthog.properties.retyping import plan

NOON = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
KINDS = st.sets(st.sampled_from(list(Kind))).map(lambda kinds: Kind(sum(kinds)))
WIDENINGS: list[tuple[Kind, Kind, PropertyType, PropertyType]] = [
    (Kind.INTEGER, Kind.FLOAT, "bigint", "double"),
    (Kind.INTEGER, Kind.HUGE, "bigint", "decimal"),
    (Kind.LONG, Kind.FLOAT, "bigint", "text"),
    (Kind.DATE, Kind.TIME, "date", "timestamp"),
    (Kind.TIME, Kind.TEXT, "timestamp", "text"),
    (Kind.BOOL, Kind.INTEGER, "bool", "text"),
    (Kind.NESTED, Kind.TEXT, "json", "text"),
]


@given(KINDS, KINDS, st.sampled_from([None, *DECLARED]))
def test_more_kinds_never_make_a_type_narrower(some: Kind, more: Kind, declared: Declared | None) -> None:
    narrow, wide = type_of(some, declared), type_of(some | more, declared)
    assert narrow is None or (wide is not None and widened(narrow, wide) == wide)
    assert type_of(some | more, declared) == type_of(more | some | more, declared)


@pytest.mark.parametrize(("first", "later", "narrow", "wide"), WIDENINGS)
def test_a_column_stays_until_it_is_widened(first: Kind, later: Kind, narrow: PropertyType, wide: PropertyType) -> None:
    catalogue = Catalogue("events")
    catalogue.settle({"key": Seen(1, first)})
    assert plan(catalogue) == []
    assert catalogue.settle({"key": Seen(1, later)})["key"].type == narrow
    catalogue.count(Tally(2, Counter(key=2), Counter(key=1)))
    (widening,) = plan(catalogue)
    assert (widening.column, widening.from_type, widening.to_type) == ("key", narrow, wide)
    assert is_wider(narrow, wide)
    catalogue.widen(["key"])
    assert plan(catalogue) == []
    assert catalogue.properties[0].type == wide


def test_what_the_destination_holds_goes_first() -> None:
    catalogue = Catalogue("events", held={"amount": "bigint"})
    assert catalogue.settle({"amount": Seen(2, Kind.FLOAT)})["amount"].type == "bigint"
    assert catalogue.properties[0].wanted == "double"
    assert Catalogue("events", state=catalogue.state(), held={"amount": "text"}).properties[0].wanted == "text"


def test_a_later_run_goes_on_with_what_an_earlier_one_recorded() -> None:
    first = Catalogue("events", definitions={"Plan": "String"})
    first.settle({"Plan": Seen(3, Kind.TEXT), "n": Seen(1, Kind.INTEGER)}, NOON)
    first.count(Tally(4, Counter(Plan=3, n=1), Counter(n=1)))
    state: dict[str, Any] = json.loads(json.dumps(first.state()))
    later = Catalogue("events", definitions={"Plan": "Numeric", "plan": None}, state=state)
    assert later.properties == first.properties
    settled = later.settle({"Plan": Seen(1, Kind.TEXT), "plan": Seen(1, Kind.TEXT)}, NOON + timedelta(days=1))
    later.count(Tally(2, Counter(Plan=1, plan=1)))
    assert (settled["Plan"].name, settled["Plan"].declared) == ("plan", "String")
    assert settled["plan"].name.startswith("plan_x")
    by_key = {fact["key"]: fact for fact in later.facts()}
    assert by_key["Plan"]["coverage"] == pytest.approx(4 / 6)
    assert (by_key["Plan"]["first_seen"], by_key["Plan"]["last_seen"]) == (NOON, NOON + timedelta(days=1))
    assert by_key["n"]["conflicts"] == 1


def test_columns_are_declared_as_tables_have_them() -> None:
    catalogue = Catalogue("events", definitions={"$price": "Numeric"})
    catalogue.settle({"$price": Seen(1, Kind.HUGE)})
    (known,) = catalogue.properties
    hints = known.column.dlt_hints()
    assert (hints["name"], hints["data_type"], hints["precision"], hints["scale"]) == ("_price", "decimal", 38, 0)


def test_a_key_that_no_comment_takes_is_spelled_out() -> None:
    found = Catalogue("events")
    found.settle({"a\0b\n": Seen(1, Kind.TEXT)})
    (known,) = found.properties
    assert (known.key, known.column.hogql) == ("a\0b\n", "a\0b\n")
    assert known.column.description == "Property a\\u0000b\\u000a of the column properties."


@pytest.mark.parametrize(
    ("rules", "wanted"),
    [
        (ColumnRules(), {"a": "room", "$b": "room", "c[1]": "room"}),
        (ColumnRules(properties="none", include=("a",)), {"a": "always", "$b": "never", "c[1]": "never"}),
        (ColumnRules(properties=("$*",)), {"a": "never", "$b": "always", "c[1]": "never"}),
        (ColumnRules(include=("*",), exclude=("c[1]",)), {"a": "always", "$b": "always", "c[1]": "never"}),
    ],
)
def test_rules(rules: ColumnRules, wanted: dict[str, str]) -> None:
    assert {key: rules.wants(key) for key in wanted} == wanted


@pytest.mark.parametrize("wrong", [{"max_columns": -1}, {"properties": "some"}])
def test_wrong_rules(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ColumnRules(**wrong)


def test_a_property_of_which_no_value_fits_what_posthog_declares_is_a_column_that_holds_none() -> None:
    kinds: dict[Declared, PropertyType] = {
        "DateTime": "timestamp",
        "Boolean": "bool",
        "Numeric": "bigint",
        "Duration": "bigint",
        "String": "text",
    }
    catalogue = Catalogue("events", definitions=dict(zip(kinds, kinds, strict=True)))
    catalogue.settle({key: Seen(3, Kind(0)) for key in kinds})
    catalogue.count(Tally(3, Counter(dict.fromkeys(kinds, 3)), Counter(dict.fromkeys(kinds, 3))))
    facts = {fact["key"]: (fact["type"], fact["conflicts"]) for fact in catalogue.facts()}
    assert facts == {key: (kind, 3) for key, kind in kinds.items()}
    assert plan(catalogue) == [], "no other type would be what PostHog declares"
    catalogue.settle({"Numeric": Seen(1, Kind.FLOAT)})
    assert [(due.column, due.to_type) for due in plan(catalogue)] == [("numeric", "double")]


def test_columns_are_in_doubt_where_what_was_recorded_is_not_what_is_there() -> None:
    first = Catalogue("events")
    first.settle({"list": Seen(1, Kind.NESTED), "other": Seen(1, Kind.NESTED | Kind.TEXT)})
    assert not Catalogue("events", state=first.state(), held={"list": "json", "other": "text"}).is_doubtful
    for held in ({"list": "text"}, {"other": "json"}):
        later = Catalogue("events", state=first.state(), held=held)  # type: ignore[arg-type]  # of names, not of str
        assert later.is_doubtful
        assert Catalogue("events", state=later.state()).is_doubtful, "until all rows were read again"
        later.recount()
        assert not Catalogue("events", state=later.state()).is_doubtful


def test_columns_that_were_taken_for_text_by_an_older_version_are_in_doubt() -> None:
    first = Catalogue("events", held={"list": "text"})
    first.settle({"list": Seen(1, Kind.NESTED)})
    state = first.state()
    assert not Catalogue("events", state=state).is_doubtful
    state["properties"][0]["kinds"] = int(Kind.NESTED)  # as was recorded then
    assert Catalogue("events", state=state).is_doubtful
