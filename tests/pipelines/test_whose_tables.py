"""Whose tables these are is at the destination before the first row of theirs is: two projects never meet in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE, posthog
from posthog_warehouse.sources.posthog.readers.extraction import OtherProject, ProjectUnknown
from posthog_warehouse.sources.posthog.tables import TABLES
from tests.faults.syncing import LONG, sync_process
from tests.local_postgres import LocalPostgres
from tests.pipelines.elsewhere import Elsewhere, set_to, settings_of
from tests.pipelines.test_sync import SMALL, Warehouse, assert_equal
from tests.sandboxes import started

KINDS = ("duckdb", "postgres", "parquet")
MORE = ("ducklake in duckdb", "parquet as delta", "parquet as iceberg")


@pytest.fixture(scope="module")
def still() -> Iterator[Sandbox]:
    """Data that no test changes."""
    with started(**SMALL) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def another() -> Iterator[Sandbox]:
    """Another project's, likewise."""
    with started(events=300, persons=40, seed=9, days=3) as sandbox:
        yield sandbox


@pytest.fixture
def empty(
    request: pytest.FixtureRequest, postgres: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Warehouse]:
    """A new, empty warehouse of a kind."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    if request.param == "duckdb":
        yield Warehouse(tmp_path / "warehouse.duckdb")
        return
    with set_to(settings_of(request.param, postgres, tmp_path)):
        yield Elsewhere(request.param, tmp_path)


def killed(project: Sandbox, warehouse: Warehouse, folder: Path, moment: str) -> None:
    """A sync of events that dies in its first package. (Jobs of other tables would race with the one it dies in.)"""
    options = {"database": warehouse.path}
    given = {"die": moment, "tables": "events", **(warehouse.options if isinstance(warehouse, Elsewhere) else {})}
    with sync_process(project, options["database"], folder / "killed", **given) as process:
        assert process.end() < 0, process.errors
        assert not any("loaded" in fact for fact in process.said)


@pytest.mark.parametrize("empty", [*KINDS, *(MORE if LONG else ())], indirect=True)
def test_a_first_package_that_was_killed_has_said_whose_its_rows_are(
    empty: Warehouse, still: Sandbox, another: Sandbox, tmp_path: Path
) -> None:
    killed(still, empty, tmp_path, "merged")
    rows = empty.keys("events")
    assert rows
    with pytest.raises(OtherProject) as refused:
        empty.sync(another)
    assert f"project {still.project_id} of {still.host}" in refused.value.message
    assert "drop that dataset" in refused.value.advice
    assert empty.keys("events") == rows
    assert empty.sync(still).status == "complete"
    assert_equal(empty, still)


@pytest.mark.parametrize("empty", ["duckdb", "parquet"] if LONG else ["parquet"], indirect=True)
def test_a_project_that_was_given_by_mistake_bars_no_other_before_a_row_of_it_arrives(
    empty: Warehouse, still: Sandbox, another: Sandbox, tmp_path: Path
) -> None:
    killed(another, empty, tmp_path, "staged")
    killed(still, empty, tmp_path, "merged")
    with pytest.raises(OtherProject):
        empty.sync(another)
    assert empty.sync(still).status == "complete"
    assert_equal(empty, still)


def test_rows_of_a_plain_script_are_somebodys_too(
    tmp_path: Path, still: Sandbox, another: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with DuckDbFile(warehouse.path) as file:
        pipeline = dlt.pipeline("plain", destination=file.dlt_destination(), dataset_name="posthog")
        pipeline.run(posthog(another.api_key, another.host).with_resources("persons"))
    with pytest.raises(OtherProject):
        warehouse.sync(still)
    assert warehouse.sync(another).totals == {name: another.counts()[name] for name in CORE}


def script(database: str, project: Sandbox, *tables: str, name: str, **options: Any) -> None:
    """A plain dlt script of somebody who knows nothing of other pipelines."""
    to: Any = dlt.destinations.postgres() if database == "postgres" else dlt.destinations.duckdb(database)
    pipeline = dlt.pipeline(name, destination=to, dataset_name="posthog")
    pipeline.run(posthog(project.api_key, project.host).with_resources(*tables), **options)


@pytest.mark.parametrize("empty", ["duckdb", "postgres"], indirect=True)
def test_a_script_of_another_name_adds_nothing_of_another_project(
    empty: Warehouse, still: Sandbox, another: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    database = empty.name if isinstance(empty, Elsewhere) else str(empty.path)
    tables = (*CORE.values(), TABLES["cohorts"])
    totals = empty.sync(still, tables=tables).totals
    for given in ({}, {"write_disposition": "replace"}, {"refresh": "drop_sources"}):
        with pytest.raises(PipelineStepFailed, match=f"These tables hold project .* of {still.host}, "):
            script(database, another, "cohorts", "persons", name="somebodys", **given)
    result = empty.sync(still, tables=tables)
    assert (result.status, result.totals) == ("complete", totals)
    assert_equal(empty, still)


@pytest.mark.parametrize("empty", ["duckdb", "postgres"], indirect=True)
def test_a_script_of_another_name_leaves_the_program_its_tables(
    empty: Warehouse, still: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its schema, of one table, is the newest of the dataset afterwards."""
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    database = empty.name if isinstance(empty, Elsewhere) else str(empty.path)
    script(database, still, "cohorts", name="first")
    empty.sync(still)
    for name in ("first", "second"):
        script(database, still, "cohorts", "feature_flags", name=name)
        result = empty.sync(still)
        assert result.status == "complete"
        assert_equal(empty, still)


def test_a_key_without_project_read_loads_into_the_dataset_of_its_project(
    tmp_path: Path, still: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Queries tell which project it is."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    for key in (still.create_key(["query:read"]), still.api_key, still.create_key(["query:read"])):
        assert warehouse.sync(still, key=key).status == "complete"
    assert warehouse.rows("SELECT DISTINCT host, project_id FROM sync_runs") == [(still.host, still.project_id)]


@pytest.mark.parametrize("before", [False, True])
def test_nothing_is_loaded_of_a_project_that_nobody_knows(
    tmp_path: Path, still: Sandbox, monkeypatch: pytest.MonkeyPatch, *, before: bool
) -> None:
    """`@current` is the project that the key's owner looked at last: today this one, tomorrow another."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    tables = (TABLES["cohorts"], TABLES["annotations"])
    if before:
        assert warehouse.sync(still, tables=tables[:1]).status == "complete"
    key = still.create_key(["cohort:read", "annotation:read", "session_recording:read"])
    if not before:
        with pytest.raises(ProjectUnknown):
            warehouse.sync(still, key=key, tables=tables, named=["cohorts", "annotations"])
        assert not warehouse.path.exists()
        return
    result = warehouse.sync(still, key=key, tables=tables, named=["cohorts", "annotations"])
    assert {name: type(error) for name, error in result.blocked.items()} == {"annotations": ProjectUnknown}
    assert "annotations" not in result.totals
    assert warehouse.sync(still, tables=tables, named=["cohorts"]).status == "complete"
