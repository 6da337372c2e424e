"""What is not ours in a database is never emptied, however it is called; and a dataset that is another's is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention

from posthog_warehouse.destinations.errors import DatasetTaken
from posthog_warehouse.destinations.staging import SUFFIX, staging_name
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE, TABLES
from posthog_warehouse.sources.posthog.clock import to_micros
from tests.faults.syncing import LONG
from tests.local_postgres import LocalPostgres
from tests.pipelines.conftest import InProcess, assert_one_screen
from tests.pipelines.elsewhere import Elsewhere, set_to, settings_of
from tests.pipelines.test_sync import SMALL, Warehouse
from tests.sandboxes import started

KINDS = ("duckdb", "postgres", "ducklake in postgres", "sqlalchemy in sqlite")
MAIN = KINDS if LONG else ("duckdb", "postgres")
"""One without and one with a dataset for staging; all of them in the long form."""
STAGED = ("postgres", "sqlalchemy in sqlite")
"""Those of them at which rows are staged."""
LOADED = (*CORE.values(), TABLES["cohorts"])
"""Tables that are merged, and one that is replaced."""


@pytest.fixture(scope="module")
def still() -> Iterator[Sandbox]:
    """Data that no test changes."""
    with started(**SMALL) as sandbox:
        yield sandbox


class Database:
    """A new, empty database of one kind, which takes many datasets."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self._folder = folder

    def dataset(self, name: str = "posthog") -> Warehouse:
        """One of its datasets, for us to load."""
        if self.kind == "duckdb":
            return Warehouse(self._folder / "warehouse.duckdb", name)
        return Elsewhere(self.kind, self._folder, name)

    @contextmanager
    def asking(self, dataset: str) -> Iterator[Any]:
        """A connection of somebody else's to a dataset."""
        with self.dataset(dataset).opened() as destination:
            made: Any = destination.dlt_destination()
            client: Any = dlt.dataset(made, dataset, dlt.Schema("others")).destination_client
            with client:
                yield client.sql_client

    def make(self, dataset: str, table: str, rows: int) -> None:
        """A table of somebody else's, which dlt knows nothing of."""
        with self.asking(dataset) as sql:
            if not sql.has_dataset():
                sql.create_dataset()
            name = sql.make_qualified_table_name(table)
            sql.execute_sql(f"CREATE TABLE {name} (id integer)")
            for number in range(rows):
                sql.execute_sql(f"INSERT INTO {name} VALUES ({number})")

    def count(self, dataset: str, table: str) -> int:
        with self.asking(dataset) as sql:
            [(rows,)] = sql.execute_sql(f"SELECT count(*) FROM {sql.make_qualified_table_name(table)}")
        return int(rows)

    def has(self, dataset: str) -> bool:
        with self.asking(dataset) as sql:
            return bool(sql.has_dataset())

    def as_before(self, patch: pytest.MonkeyPatch) -> None:
        """From here on syncs stage rows as the version before this one did, in `DATASET_staging`."""
        patch.setattr("posthog_warehouse.destinations.sql.staging_name", "{}_staging".format)
        patch.setattr("posthog_warehouse.destinations.duckdb.duckdb_in_place", dlt.destinations.duckdb)
        patch.setattr("posthog_warehouse.destinations.ducklake.ducklake_in_place", dlt.destinations.ducklake)


@pytest.fixture
def database(
    request: pytest.FixtureRequest, postgres: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    with set_to({} if request.param == "duckdb" else settings_of(request.param, postgres, tmp_path)):
        yield Database(request.param, tmp_path)


@pytest.mark.parametrize("database", [*MAIN, *STAGED[1:]] if not LONG else KINDS, indirect=True)
def test_what_dlt_would_call_its_staging_dataset_is_somebody_elses(database: Database, still: Sandbox) -> None:
    database.make("posthog_staging", "persons", rows=3)  # as dbt names schemas
    for _ in range(2):
        result = database.dataset().sync(still, tables=LOADED)
        assert result.status == "complete", result.checks
    assert database.count("posthog_staging", "persons") == 3
    assert result.totals["persons"] > 0


@pytest.mark.parametrize("database", MAIN, indirect=True)
def test_a_project_and_its_staging_project_are_loaded_side_by_side(database: Database, still: Sandbox) -> None:
    names = ("posthog_staging", "posthog")
    for name in (*names, *names):
        assert database.dataset(name).sync(still).status == "complete"
        assert database.count(name, "events") == still.counts()["events"]
    assert database.count("posthog_staging", "events") == still.counts()["events"]


@pytest.mark.parametrize("database", MAIN, indirect=True)
def test_a_warehouse_of_the_version_before_goes_on(
    database: Database, still: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        database.as_before(patch)
        database.dataset().sync(still, tables=LOADED, since=to_micros(datetime(2026, 11, 18, tzinfo=timezone.utc)))
    assert database.count("posthog_staging", "persons") == 0
    result = database.dataset().sync(still, tables=LOADED, since=0)
    assert result.status == "complete", result.checks
    assert database.count("posthog", "events") == still.counts()["events"]
    with pytest.raises(DatasetTaken, match=r"posthog_staging in .* is a staging dataset"):
        database.dataset("posthog_staging").sync(still)


@pytest.mark.parametrize("database", MAIN, indirect=True)
def test_tables_of_somebody_else_in_the_dataset_are_not_replaced(database: Database, still: Sandbox) -> None:
    database.make("posthog", "cohorts", rows=3)
    still.reset_counters()
    with pytest.raises(DatasetTaken, match=r"posthog in .* holds tables that this program did not make: cohorts"):
        database.dataset().sync(still, tables=LOADED)
    assert still.counters()["requests"] == 0
    assert database.count("posthog", "cohorts") == 3
    # Whoever does not load that one is not in its way.
    assert database.dataset().sync(still).status == "complete"
    assert database.count("posthog", "cohorts") == 3


@pytest.mark.parametrize("database", STAGED, indirect=True)
def test_a_staging_dataset_that_somebody_uses_is_left_alone(database: Database, still: Sandbox) -> None:
    assert database.dataset().sync(still).status == "complete"
    staging = staging_name("posthog")
    database.make(staging, "cohorts", rows=3)
    database.make(staging, "notes", rows=2)
    still.reset_counters()
    with pytest.raises(DatasetTaken, match=rf"{staging} in .* holds tables that this program did not make: cohorts"):
        database.dataset().sync(still, tables=LOADED)
    assert still.counters()["requests"] == 0
    assert database.dataset().sync(still).status == "complete"
    assert (database.count(staging, "cohorts"), database.count(staging, "notes")) == (3, 2)


@pytest.mark.parametrize("first", ["posthog_staging", "posthog"])
@pytest.mark.parametrize("database", ["postgres"], indirect=True)
def test_a_name_that_is_made_to_collide_is_refused_whichever_comes_first(
    database: Database, first: str, still: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESTINATION__POSTGRES__STAGING_DATASET_NAME_LAYOUT", "%s_staging")
    assert database.dataset(first).sync(still).status == "complete"
    events = database.count(first, "events")
    still.reset_counters()
    with pytest.raises(DatasetTaken, match=r"posthog_staging in .* is a (staging dataset|dataset of its own)"):
        database.dataset("posthog" if first == "posthog_staging" else "posthog_staging").sync(still)
    assert still.counters()["requests"] == 0
    assert database.count(first, "events") == events


def test_a_lake_has_no_folder_for_staging(tmp_path: Path, still: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    for kind in ("parquet", "parquet as delta"):
        lake = Elsewhere(kind, tmp_path / kind.replace(" ", "-"))
        assert lake.sync(still).status == "complete"
        assert [folder.name for folder in (tmp_path / kind.replace(" ", "-") / "lake").iterdir()] == ["posthog"]


@pytest.mark.parametrize("length", [1, 37, 38, 62, 63])
def test_staging_datasets_differ_and_have_names_that_every_database_takes(length: int) -> None:
    names = [f"{'p' * (length - 1)}{last}" for last in "ab"]
    staged = [staging_name(name) for name in names]
    assert len({*names, *staged}) == 4
    for name in staged:
        assert len(name) <= 63
        assert name.endswith(SUFFIX)
        assert NamingConvention().normalize_identifier(name) == name


def test_a_dataset_called_like_one_for_staging_is_refused(quick: InProcess, still: Sandbox) -> None:
    quick.pointed_at(still)
    still.reset_counters()
    outcome = quick("sync", "--dataset", staging_name("posthog"))
    assert outcome.code == 2
    assert_one_screen(outcome.err, "rows of posthog are staged", "--dataset")
    assert still.counters()["requests"] == 0


def test_somebodys_tables_are_told_by_sync_and_doctor(quick: InProcess, still: Sandbox) -> None:
    with duckdb.connect(str(quick.folder / "warehouse.duckdb")) as connection:
        connection.execute("CREATE SCHEMA posthog; CREATE TABLE posthog.events AS SELECT 1 AS id")
    quick.pointed_at(still)
    still.reset_counters()
    outcome = quick("sync", "--database", "warehouse.duckdb")
    assert outcome.code == 2
    assert_one_screen(outcome.err, "did not make: events", "Give another --dataset")
    assert still.counters()["requests"] == 0
    examined = quick("doctor", "--database", "warehouse.duckdb")
    assert examined.code == 2
    assert "did not make: events" in examined.out + examined.err
