"""A pipeline knows what the destination has, wherever the run before was killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
import pytest
from dlt.extract import DltResource

from posthog_warehouse.destinations.destination import Destination
from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.destinations.errors import DestinationError, DestinationHeld, DestinationUnusable
from posthog_warehouse.pipelines.dlt_pipeline import fresh_pipeline, load, told, working_folder
from posthog_warehouse.sources.posthog import PostHogError
from tests.faults.syncing import LONG
from tests.local_postgres import LocalPostgres
from tests.pipelines.elsewhere import Elsewhere, set_to, settings_of


def plans(seats: pa.Array, types: list[str]) -> DltResource:
    """A table with one column, of the type that the pages say unless there is one; `types` gets that type."""

    def pages() -> Iterator[pa.Table]:
        columns = dlt.current.source_schema().tables.get("plans", {}).get("columns", {})
        types.append(str(columns.get("seats", {}).get("data_type", "none")))
        yield pa.table({"seats": seats})

    resource: DltResource = dlt.resource(pages, name="plans", write_disposition="append", file_format="parquet")
    return resource


def first_package_then_kill(destination: Destination) -> None:
    """Leaves what a first package leaves that dies after it has made its tables: those, and no state."""
    load(fresh_pipeline(destination), [plans(pa.array([1, 2]), [])])


def types_seen(destination: Destination) -> list[str]:
    types: list[str] = []
    load(fresh_pipeline(destination), [plans(pa.array([3, 4]), types)])
    return types


def test_of_an_empty_destination_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    with DuckDbFile(tmp_path / "warehouse.duckdb") as destination:
        assert types_seen(destination) == ["none"]


def test_the_tables_of_a_killed_first_package_are_known_in_duckdb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    file = tmp_path / "warehouse.duckdb"
    with DuckDbFile(file) as destination:
        first_package_then_kill(destination)
    with duckdb.connect(str(file)) as connection:
        connection.execute("DELETE FROM posthog._dlt_pipeline_state")
    with DuckDbFile(file) as destination:
        assert types_seen(destination) == ["bigint"]


def test_the_tables_of_a_killed_first_package_are_known_in_a_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    with Elsewhere("parquet", tmp_path).opened() as destination:
        first_package_then_kill(destination)
    shutil.rmtree(tmp_path / "lake" / "posthog" / "_dlt_pipeline_state")
    with Elsewhere("parquet", tmp_path).opened() as destination:
        assert types_seen(destination) == ["bigint"]


def test_the_tables_of_a_killed_first_package_are_known_in_postgres(tmp_path: Path, postgres: LocalPostgres) -> None:
    settings: dict[str, Any] = {"DLT_DATA_DIR": str(tmp_path / "dlt"), **settings_of("postgres", postgres, tmp_path)}
    with set_to(settings):
        warehouse = Elsewhere("postgres", tmp_path)
        with warehouse.opened() as destination:
            first_package_then_kill(destination)
            assert hasattr(destination, "session")
            with destination.session() as session:
                session.run([f"DELETE FROM {session.table('_dlt_pipeline_state')}"])
        with warehouse.opened() as destination:
            assert types_seen(destination) == ["bigint"]


def test_a_failure_of_posthog_is_never_told_as_one_of_the_destination(tmp_path: Path) -> None:
    failure = PostHogError("PostHog cannot be reached")
    failure.__cause__ = duckdb.IOException("IO Error: it looks like one of the file's")
    destination = DuckDbFile(tmp_path / "warehouse.duckdb")
    assert destination.explain(failure) is not None
    with pytest.raises(PostHogError), told(destination):
        raise failure
    with pytest.raises(DestinationError), told(destination):
        raise RuntimeError from failure.__cause__


ROUNDS = 500 if LONG else 60


def test_of_those_that_take_the_working_folder_in_the_same_moment_one_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    destination = DuckDbFile(tmp_path / "warehouse.duckdb")
    takers = 4
    together = threading.Barrier(takers)

    def take(_: int) -> list[bool]:
        took = []
        for _ in range(ROUNDS):
            together.wait()
            with ExitStack() as held:
                try:
                    held.enter_context(working_folder(destination))
                    took.append(True)
                except DestinationHeld:
                    took.append(False)
                together.wait()  # nobody lets go before all have tried
        return took

    with ThreadPoolExecutor(takers) as pool:
        rounds = zip(*pool.map(take, range(takers)), strict=True)
        assert {sum(took) for took in rounds} == {1}


def test_a_working_folder_is_free_again_when_its_process_ends_however_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    destination = DuckDbFile(tmp_path / "warehouse.duckdb")
    holding = (
        "import sys; from posthog_warehouse.destinations.duckdb import DuckDbFile\n"
        "from posthog_warehouse.pipelines.dlt_pipeline import working_folder\n"
        "with working_folder(DuckDbFile(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(destination.path)],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(DestinationHeld, match=f"PID {process.pid}.*dataset posthog"), working_folder(destination):
            pass
        with working_folder(DuckDbFile(tmp_path / "warehouse.duckdb", "second")):
            pass
        process.kill()
    with working_folder(destination):
        pass


def test_a_working_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dlt").write_text("a file")
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    with (
        pytest.raises(DestinationUnusable, match="DLT_DATA_DIR"),
        working_folder(DuckDbFile(tmp_path / "warehouse.duckdb")),
    ):
        pass
