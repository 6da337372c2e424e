from __future__ import annotations

from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.readers.own_query.schema import (
    MOST_CHARACTERS,
    column_names,
    find_column,
    nearest,
)


def test_names_are_those_that_people_would_choose() -> None:
    given_names = ["count()", "count()", "properties.$browser", "eventName", "plus(1, 2)", "1", "", "_dlt_id", "a b"]
    assert column_names(given_names) == (
        *("count", "count_2", "properties_browser", "event_name", "plus_1_2", "_1", "column_7", "dlt_id", "a_b"),
    )


@settings(deadline=None)
@given(st.lists(st.text(max_size=90), max_size=8))
def test_names_are_different_and_stay_as_dlt_has_them(given_names: list[str]) -> None:
    found = column_names(given_names)
    assert len(set(found)) == len(given_names)
    assert column_names(given_names) == found
    for name in found:
        assert NamingConvention().normalize_identifier(name) == name
        assert not name.startswith("_dlt")
        assert 0 < len(name) <= MOST_CHARACTERS + 1


def test_columns_are_found_by_either_name() -> None:
    hogql, names = ("count()", "eventName", "count()"), ("count", "event_name", "count_2")
    assert find_column("eventName", hogql, names) == 1
    assert find_column("event_name", hogql, names) == 1
    assert find_column("count_2", hogql, names) == 2
    assert find_column("count()", hogql, names) == 0
    assert find_column("missing", hogql, names) is None
    assert nearest("evnt_name", names) == "event_name"
    assert nearest("zzz", names) is None
