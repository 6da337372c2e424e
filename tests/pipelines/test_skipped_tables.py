"""Which tables a run leaves out for what the destination says of its own."""

from __future__ import annotations

from posthog_warehouse.destinations.errors import TableUnusable
from posthog_warehouse.pipelines.skipped_tables import left_out, withheld
from posthog_warehouse.sources.posthog import TABLES

RUN = [TABLES[name] for name in ("events", "persons", "insights")]
DAY = "2026-11-20"


def error(table: str, lost: list[str] | None) -> TableUnusable:
    return TableUnusable(table, f"{table} has a bad file.", "Mend it.", lost=lost)


def test_a_child_table_takes_its_parent_with_it() -> None:
    found = left_out([error("insights__tags", None), error("event_elements", None), error("events", [DAY])], RUN)
    assert {name: [each.table for each in errors] for name, errors in found.items()} == {
        "insights": ["insights__tags"],
        "events": ["event_elements", "events"],
    }
    assert withheld(found)["events"].lost is None, "elements may be of events of any day"


def test_a_table_that_is_not_loaded_is_no_matter_of_this_run() -> None:
    assert left_out([error("cohorts", None), error("mine", [])], RUN) == {}


def test_records_of_runs_are_left_out_alone() -> None:
    assert list(left_out([error("sync_runs", None), error("property_columns", None)], RUN)) == [
        "sync_runs",
        "property_columns",
    ]


def test_days_of_several_files_come_together() -> None:
    found = withheld(left_out([error("events", [DAY]), error("events", ["2026-11-19"]), error("events", [])], RUN))
    assert found["events"].lost == ["2026-11-19", DAY]
    assert found["events"].reason.count("bad file") == 3
