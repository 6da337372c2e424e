"""`tables`: the reference, out of the declarations; and docs/tables.md, which is the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from posthog_warehouse.pipelines.reference import columns_of, markdown
from posthog_warehouse.sources.posthog import TABLES, Table
from tests.pipelines.conftest import InProcess, assert_one_screen

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "tables.md"


def test_the_reference_is_what_the_declarations_say() -> None:
    assert REFERENCE.read_text() == markdown(), "posthog-warehouse tables --markdown > docs/tables.md"


def test_all_tables_are_shown(quick: InProcess) -> None:
    shown = quick("tables")
    assert shown.code == 0
    for name in TABLES:
        assert name in shown.out


def test_a_table_is_shown_with_its_columns(quick: InProcess) -> None:
    shown = quick("tables", "person_distinct_ids")
    assert shown.code == 0
    for column in TABLES["person_distinct_ids"].columns:
        assert column.name in shown.out


def test_programs_get_everything(quick: InProcess) -> None:
    outcome = quick("tables", "--format", "json")
    found = {each["table"]: each for each in map(json.loads, outcome.out.splitlines())}
    assert list(found) == list(TABLES)
    assert found["persons"]["key"] == "person_id"
    assert {c["name"] for c in found["persons"]["columns"]} == {c.name for c in TABLES["persons"].columns}


def test_markdown_is_the_reference(quick: InProcess) -> None:
    assert quick("tables", "--markdown").out.strip() == markdown().strip()


def test_a_table_that_there_is_not_is_refused(quick: InProcess) -> None:
    outcome = quick("tables", "evnts")
    assert outcome.code == 2
    assert_one_screen(outcome.err, "There is no table evnts.", "Did you mean events?")


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_table_and_column_says_what_it_is(table: Table) -> None:
    assert len(table.description) > 10
    assert table.description.endswith(".")
    assert table.reads.kept_up_to_date()
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    if table.columns:
        assert set(table.keys) <= set(names)
    for row in columns_of(table):
        assert len(str(row["description"])) > 5
        assert str(row["description"]).endswith(".")
