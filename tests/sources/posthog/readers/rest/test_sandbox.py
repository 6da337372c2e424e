"""Every table of a list, from the local PostHog into DuckDB: its own number of rows, and its own keys."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import resources_of
from posthog_warehouse.sources.posthog.errors import AccessDenied, NotFound, PaymentRequired
from posthog_warehouse.sources.posthog.http.client import PostHogClient
from posthog_warehouse.sources.posthog.readers.base import TableReading
from posthog_warehouse.sources.posthog.readers.extraction import Extraction
from posthog_warehouse.sources.posthog.settings import Requests
from posthog_warehouse.sources.posthog.tables import CONFIGURATION_TABLES, TABLES, Table
from posthog_warehouse.sources.posthog.tables.rest import Growing
from tests.sandboxes import started

LISTS = {
    "early_access_features": "early_access_feature",
    "plugin_config_logs": "plugin_logs",
    "file_download_exports": "file_downloads",
    "error_tracking_issues": "issues",
    "person_deletion_status": "deletion_status",
}
"""What the sandbox calls lists whose tables have other names."""

WHOLE = [table for table in CONFIGURATION_TABLES if not table.is_on_request and table.name != "projects"]
SMALL: dict[str, Any] = {"events": 1_500, "persons": 120, "seed": 11, "days": 4}


class Loaded:
    """What was loaded from a sandbox."""

    def __init__(self, sandbox: Sandbox, folder: Path, api_key: str | None = None) -> None:
        self.sandbox = sandbox
        self.file = folder / "lists.duckdb"
        self.api_key = api_key or sandbox.api_key
        self.requests = 0
        self.pipeline = dlt.pipeline(
            "lists",
            destination=dlt.destinations.duckdb(str(self.file)),
            dataset_name="posthog",
            pipelines_dir=str(folder / "dlt"),
        )

    def load(self, *tables: Table, **requests: Any) -> dict[str, TableReading]:
        """One run of these tables: how each was read."""
        sandbox = self.sandbox
        extraction = Extraction(
            lambda: PostHogClient(self.api_key, sandbox.host, sandbox.project_id, attempts=1),
            tables=tables,
            requests=Requests.of(requests),
            keeps_partial=True,
        )

        @dlt.source(name="posthog", max_table_nesting=0)
        def source() -> Any:
            return resources_of(extraction, lambda _: True)

        with closing(extraction):
            self.pipeline.run(source())
            self.requests = extraction.open().client.usage.requests
        assert {
            name: reading.outcome.failed for name, reading in extraction.readings.items() if reading.outcome.failed
        } == {}
        return extraction.readings

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.file), read_only=True) as con:
            con.execute("SET search_path = 'posthog'")
            return con.execute(sql).fetchall()

    def keys(self, table: Table) -> list[str]:
        return sorted(str(row[0]) for row in self.rows(f'SELECT "{table.key}" FROM {table.name}'))

    def held(self, table: Table) -> list[str]:
        return sorted(self.sandbox.list_keys(LISTS.get(table.name, table.name)))


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Loaded, dict[str, TableReading]]]:
    """All tables of lists, loaded once, from a sandbox that no test changes."""
    with started(**SMALL) as sandbox:
        loaded = Loaded(sandbox, tmp_path_factory.mktemp("everything"))
        yield loaded, loaded.load(*(table for table in CONFIGURATION_TABLES if not table.is_on_request))


Everything = tuple[Loaded, dict[str, TableReading]]


@pytest.mark.parametrize("table", WHOLE, ids=lambda table: table.name)
def test_each_table_has_the_rows_of_its_list(everything: Everything, table: Table) -> None:
    loaded, readings = everything
    keys = loaded.keys(table)
    assert keys == loaded.held(table)
    assert len(set(keys)) == len(keys) > 0
    assert readings[table.name].evidence.held == len(keys)
    assert readings[table.name].notes == []


def test_the_project_is_there(everything: Everything) -> None:
    loaded, readings = everything
    assert loaded.rows("SELECT id, timezone IS NOT NULL FROM projects") == [(loaded.sandbox.project_id, True)]
    assert readings["projects"].evidence.held == 1


def test_objects_are_json_lists_are_tables_and_users_are_told_by_id_and_email(everything: Everything) -> None:
    loaded, _ = everything
    flags = {row["id"]: row for row in loaded.sandbox.list_rows("feature_flags")}
    found = loaded.rows("SELECT id, filters->>'$.groups[0].rollout_percentage', created_by_email FROM feature_flags")
    assert {id_: (rollout, email) for id_, rollout, email in found} == {
        id_: (
            None if (share := row["filters"]["groups"][0]["rollout_percentage"]) is None else str(share),
            row["created_by"]["email"],
        )
        for id_, row in flags.items()
    }
    tags = loaded.rows(
        "SELECT f.id, t.value FROM feature_flags f JOIN feature_flags__tags t ON t._dlt_parent_id = f._dlt_id"
    )
    assert sorted(tags) == sorted((id_, tag) for id_, row in flags.items() for tag in row["tags"])
    steps = loaded.rows("SELECT count(*) FROM actions__steps")[0][0]
    assert steps == sum(len(row["steps"]) for row in loaded.sandbox.list_rows("actions"))
    kinds = dict(loaded.rows("SELECT type, count(*) FROM property_definitions GROUP BY type"))
    assert kinds.keys() == {"event", "person", "session", "group"}
    groups = loaded.rows("SELECT DISTINCT group_type_index FROM property_definitions WHERE type = 'group'")
    assert groups == [(0,)]


def test_a_second_run_loads_what_changed_and_nothing_else(tmp_path: Path) -> None:
    with started(**SMALL) as sandbox:
        loaded = Loaded(sandbox, tmp_path)
        loaded.load(*WHOLE)
        changed = {"cohorts": (2, 1, 1), "annotations": (3, 5, 4), "surveys": (0, 1, 0), "insights": (0, 0, 2)}
        for name, (insert, update, delete) in changed.items():
            sandbox.change_list(name, insert=insert, update=update, delete=delete)
        sandbox.change_list("activity_log", insert=7)
        sandbox.change_list("plugin_logs", insert=4)
        readings = loaded.load(*WHOLE)
        assert {name for name, reading in readings.items() if reading.rows} - {
            "activity_log",
            "plugin_config_logs",
        } == (changed.keys())
        for table in WHOLE:
            reading = readings[table.name]
            assert loaded.keys(table) == loaded.held(table)
            assert reading.evidence.is_unchanged == (table.name not in changed and not isinstance(table.reads, Growing))
        assert 7 <= readings["activity_log"].rows <= 7 + 3
        assert 4 <= readings["plugin_config_logs"].rows <= 4 + 3 * 4


SERVERS: dict[str, dict[str, Any]] = {
    "short pages": {"list_page_cap": 9},
    "no counts": {"list_count": False, "list_page_cap": 40},
    "bare": {"bare_lists": frozenset({"annotations", "exports", "issues", "feature_flags"})},
    "another order of ties each time": {"unstable_ties": True, "list_page_cap": 60},
    "a next that repeats": {"next_link": "repeats", "list_page_cap": 40},
    "a next that loops": {"next_link": "loops", "list_page_cap": 40},
    "a next that ends early": {"next_link": "ends_early", "list_page_cap": 40},
}


@pytest.mark.parametrize("behaviour", SERVERS.values(), ids=SERVERS)
def test_every_row_is_found_whatever_the_server_is_like(
    everything: Everything, tmp_path: Path, behaviour: dict[str, Any]
) -> None:
    sandbox = everything[0].sandbox
    tables = [TABLES[name] for name in ("annotations", "exports", "error_tracking_issues", "feature_flags", "actions")]
    before = sandbox.behaviour()
    sandbox.set_behaviour(**behaviour)
    try:
        loaded = Loaded(sandbox, tmp_path)
        readings = loaded.load(*tables)
        for table in tables:
            assert loaded.keys(table) == loaded.held(table)
            assert readings[table.name].evidence.held == len(loaded.held(table))
    finally:
        sandbox.set_behaviour(**{name: before[name] for name in behaviour})


def test_fields_that_change_their_type_are_told_and_nothing_of_them_is_lost(
    everything: Everything, tmp_path: Path
) -> None:
    sandbox = everything[0].sandbox
    tables = [TABLES[name] for name in ("feature_flags", "insights", "surveys", "cohorts")]
    loaded = Loaded(sandbox, tmp_path)
    loaded.load(*tables)
    changed = ["feature_flags.active", "insights.name", "surveys.appearance", "cohorts.created_at", "cohorts.count"]
    sandbox.set_behaviour(changed_types=changed)
    try:
        readings = loaded.load(*tables)
    finally:
        sandbox.set_behaviour(changed_types=[])
    # A number that comes as text fits where it was, and so does "yes".
    assert readings["feature_flags"].notes == []
    assert readings["surveys"].notes == []
    [insights], [cohorts] = readings["insights"].notes, readings["cohorts"].notes
    assert (
        insights == f"name was text, and came as json in {readings['insights'].evidence.held} rows: kept as JSON text"
    )
    assert cohorts.startswith("created_at was timestamp, and came as json")
    assert cohorts.endswith("see created_at__v_text")
    flags = {row["id"]: row["active"] for row in sandbox.list_rows("feature_flags")}
    assert dict(loaded.rows("SELECT id, active FROM feature_flags")) == flags
    times = {row["id"]: row["created_at"] for row in sandbox.list_rows("cohorts")}
    found = loaded.rows("SELECT id, created_at, created_at__v_text::JSON->>'value', count FROM cohorts")
    assert {id_: text for id_, _, text, _ in found} == times
    assert all(moment is None for _, moment, _, _ in found)
    counts = {row["id"]: row["count"] for row in sandbox.list_rows("cohorts")}
    assert {id_: count for id_, _, _, count in found} == counts


def test_lists_that_are_missing_unpaid_or_closed_are_skipped(everything: Everything, tmp_path: Path) -> None:
    sandbox = everything[0].sandbox
    names = {"missing_endpoints": "evaluations", "unpaid_endpoints": "activity_log", "forbidden_endpoints": "surveys"}
    sandbox.set_behaviour(**{name: [path] for name, path in names.items()})
    try:
        loaded = Loaded(sandbox, tmp_path)
        readings = loaded.load(*(TABLES[name] for name in ("evaluations", "activity_log", "surveys", "cohorts")))
    finally:
        sandbox.set_behaviour(**{name: [] for name in names})
    kinds = {"evaluations": NotFound, "activity_log": PaymentRequired, "surveys": AccessDenied}
    assert all(isinstance(readings[name].outcome.skipped, kind) for name, kind in kinds.items())
    assert loaded.keys(TABLES["cohorts"]) == loaded.held(TABLES["cohorts"])


def test_a_key_of_one_project_is_told_of_that_one(everything: Everything, tmp_path: Path) -> None:
    sandbox = everything[0].sandbox
    key = sandbox.create_key(["project:read"], projects=[sandbox.project_id])
    loaded = Loaded(sandbox, tmp_path, key)
    assert loaded.load(TABLES["projects"])["projects"].evidence.held == 1
    assert loaded.rows("SELECT id FROM projects") == [(sandbox.project_id,)]


def test_what_is_asked_of_persons_and_properties(everything: Everything, tmp_path: Path) -> None:
    sandbox = everything[0].sandbox
    persons = [row[0] for row in sandbox.sql("SELECT toString(any(person_id)) FROM events GROUP BY person_id LIMIT 2")]
    names = ("person_activity", "person_properties_timeline", "person_property_values", "event_property_values")
    # Only keys without scopes may read the timeline.
    loaded = Loaded(sandbox, tmp_path, sandbox.create_key(None))
    readings = loaded.load(
        *(TABLES[name] for name in names),
        person_ids=persons,
        person_properties=["plan", "email"],
        event_properties=["$pageview:$browser"],
    )
    assert {name: reading.outcome.skipped for name, reading in readings.items() if reading.outcome.skipped} == {}
    assert set(loaded.rows("SELECT DISTINCT person_id FROM person_properties_timeline")) == {(p,) for p in persons}
    events = loaded.rows("SELECT sum(relevant_event_count) FROM person_properties_timeline")[0][0]
    theirs = ", ".join(f"'{person}'" for person in persons)
    assert events == sandbox.sql(f"SELECT count() FROM events WHERE toString(person_id) IN ({theirs})")[0][0]
    values = dict(loaded.rows("SELECT value, count FROM person_property_values WHERE property = 'plan'"))
    assert {"free", "pro"} <= values.keys()
    browsers = {row[0] for row in loaded.rows("SELECT value FROM event_property_values WHERE property = '$browser'")}
    assert "Chrome" in browsers


def test_what_was_done_to_all_persons(everything: Everything, tmp_path: Path) -> None:
    sandbox = everything[0].sandbox
    loaded = Loaded(sandbox, tmp_path)
    reading = loaded.load(TABLES["person_activity"])["person_activity"]
    entries = [row for row in sandbox.list_rows("activity_log") if row["scope"] == "Person"]
    assert reading.evidence.held == len(entries)
    assert loaded.rows("SELECT count(*), count(DISTINCT entry_id) FROM person_activity") == [(len(entries),) * 2]


def test_files_of_exports_are_loaded_once(everything: Everything, tmp_path: Path) -> None:
    sandbox = everything[0].sandbox
    exports = {row["id"]: row for row in sandbox.list_rows("exports")}
    with_file = [number for number, row in exports.items() if row["has_content"]]
    loaded = Loaded(sandbox, tmp_path)
    table = TABLES["export_contents"]
    chosen = with_file[:2]
    reading = loaded.load(table, export_ids=[*chosen, 999_999])[table.name]
    assert (reading.rows, reading.evidence.held, reading.notes) == (2, 2, ["PostHog has no such files: 999999"])
    reading = loaded.load(table, export_ids=with_file[:4])[table.name]
    assert (reading.rows, reading.evidence.held) == (2, 4)
    for number, kind, size, content in loaded.rows(
        "SELECT export_id, content_type, size_bytes, content FROM export_contents"
    ):
        assert kind == exports[number]["export_format"]
        assert len(content) == size
        assert content.startswith(b"\x89PNG" if kind == "image/png" else b"series,day,value")
