"""The declarations of tables that REST lists hold."""

from __future__ import annotations

from string import Formatter

import pytest

from posthog_warehouse.sources.posthog.tables import CONFIGURATION_TABLES, TABLES, Table
from posthog_warehouse.sources.posthog.tables.rest import Contents, EachRow, Growing, Listing, Values, Wanted

each_table = pytest.mark.parametrize("table", CONFIGURATION_TABLES, ids=lambda table: table.name)


def test_the_tables_that_are_promised_are_there() -> None:
    promised = (
        "projects cohorts feature_flags experiments surveys actions annotations insights dashboards event_definitions "
        "property_definitions hog_functions early_access_features notebooks activity_log exports file_system "
        "plugin_configs plugin_config_logs evaluations error_tracking_issues batch_exports person_deletion_status"
    )
    assert set(promised.split()) <= TABLES.keys()


@each_table
def test_a_declaration_says_what_there_is_to_know(table: Table) -> None:
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert set(table.keys) <= set(names)
    assert all(not column.nullable for column in table.columns if column.name in table.keys)
    assert all(column.description.endswith(".") for column in table.columns)
    assert all("UTC" in column.description for column in table.columns if column.data_type == "timestamp")
    assert table.description.startswith(("One row per", "The "))
    assert table.scope.endswith(":read")
    # Keys without the scope, plans without the feature and older servers are usual.
    assert table.is_optional


@each_table
def test_rows_that_only_come_are_merged_and_all_others_replaced(table: Table) -> None:
    assert table.loads == ("merge" if isinstance(table.reads, (Growing, Contents)) else "replace")


@each_table
def test_child_tables_are_made_where_they_are_declared(table: Table) -> None:
    children = table.reads.children if isinstance(table.reads, Listing) else ()
    assert table.max_nesting == (1 if children else 0)
    assert not set(children) & {column.name for column in table.columns}


@each_table
def test_what_a_path_needs_is_given(table: Table) -> None:
    assert isinstance(table.reads, (Listing, Contents))
    needed = {name for _, name, _, _ in Formatter().parse(table.reads.path) if name}
    for each in table.reads.each:
        if isinstance(each, EachRow):
            given = each.values.keys() | each.also.keys()
        elif isinstance(each, Wanted):
            given = set(each.names)
        else:
            assert isinstance(each, Values)
            given = set.intersection(*(set(values) for values in each.values))
        assert needed <= given
    assert bool(needed) <= bool(table.reads.each)


@each_table
def test_what_is_asked_for_in_particular_is_read_on_request_only(table: Table) -> None:
    assert isinstance(table.reads, (Listing, Contents))
    is_wanted = isinstance(table.reads, Contents) or any(isinstance(each, Wanted) for each in table.reads.each)
    assert table.is_on_request == is_wanted


def test_a_probe_asks_for_one_row() -> None:
    found = {name: TABLES[name].reads.probe() for name in ("cohorts", "property_definitions", "group_types")}
    asked = {name: (probe.path, dict(probe.params)) for name, probe in found.items() if probe is not None}
    assert asked == {
        "cohorts": ("cohorts", {"limit": 1}),
        "property_definitions": ("property_definitions", {"type": "event", "limit": 1}),
        "group_types": ("groups_types", {}),
    }
    assert TABLES["plugin_config_logs"].reads.probe() is None


@each_table
def test_people_are_told_how_it_is_kept_up_to_date(table: Table) -> None:
    assert len(table.reads.kept_up_to_date()) > 10
