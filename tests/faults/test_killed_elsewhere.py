"""`kill -9` while it loads elsewhere than into DuckDB: the same command ends in the state of an undisturbed run."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE
from tests.faults.syncing import LONG, sync_here, sync_process
from tests.local_postgres import LocalPostgres
from tests.pipelines.elsewhere import Elsewhere, set_to, settings_of

pytestmark = pytest.mark.slow

State = dict[str, tuple[int, int, int]]
KILLS = 10 if LONG else 3
PLACES = [
    ("postgres", "merged"),
    ("parquet as iceberg", "counted"),
]
MORE = [
    *(("postgres", moment) for moment in ("staged", "marked", "counted")),
    *(("ducklake in postgres", moment) for moment in ("staged", "merged", "counted")),
    *(("parquet as delta", moment) for moment in ("merged", "counted")),
    ("parquet as iceberg", "merged"),
    *((f"parquet as {name}", moment) for name in ("delta", "iceberg") for moment in ("staged", "marked", "logged")),
]
RANDOM = ["postgres", *(["ducklake in postgres", "parquet as delta", "parquet as iceberg"] if LONG else [])]


def state_of(warehouse: Elsewhere) -> State:
    """Of each table: rows, distinct keys, and a sum over whole rows that does not depend on their order."""
    states = {}
    with warehouse.opened() as destination, destination.reading() as reading:
        for name, table in CORE.items():
            columns = [f'"{column.name}"' for column in reading.tables[name] if not column.name.startswith("_dlt")]
            rows = reading.rows(f"SELECT {', '.join(sorted(columns))} FROM {reading.table(name)}")
            keys = {str(row[table.key]) for row in rows}
            states[name] = (len(rows), len(keys), sum(hash(repr(sorted(row.items()))) for row in rows))
    return states


class Place:
    """Makes empty warehouses of each kind, and knows what an undisturbed sync leaves in one."""

    def __init__(self, posthog: Sandbox, postgres: LocalPostgres, folder: Path) -> None:
        self._posthog = posthog
        self._postgres = postgres
        self._folder = folder
        self._undisturbed: dict[str, State] = {}

    def settings(self, kind: str, folder: Path) -> dict[str, str]:
        return {"DLT_DATA_DIR": str(folder / "dlt"), **settings_of(kind, self._postgres, folder)}

    def undisturbed(self, kind: str) -> State:
        if kind not in self._undisturbed:
            folder = self._folder / kind.replace(" ", "-")
            folder.mkdir()
            with set_to(self.settings(kind, folder)):
                warehouse = Elsewhere(kind, folder)
                assert sync_here(self._posthog, warehouse.opened()).result.status == "complete"
                self._undisturbed[kind] = state_of(warehouse)
        counts = self._posthog.counts()
        assert {name: state[:2] for name, state in self._undisturbed[kind].items()} == {
            name: (counts[name], counts[name]) for name in CORE
        }
        return self._undisturbed[kind]


@pytest.fixture(scope="session")
def places(shared_posthog: Sandbox, postgres: LocalPostgres, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(shared_posthog, postgres, tmp_path_factory.mktemp("elsewhere"))


@pytest.mark.parametrize(("kind", "moment"), [*PLACES, *(MORE if LONG else [])])
def test_killed_behind_a_commit_that_dlt_has_not_noted(
    kind: str, moment: str, posthog: Sandbox, places: Place, tmp_path: Path
) -> None:
    expected = places.undisturbed(kind)
    with set_to(places.settings(kind, tmp_path)):
        warehouse = Elsewhere(kind, tmp_path)
        options = {**warehouse.options, "die": moment, "nth": 2}
        with sync_process(posthog, warehouse.path, tmp_path / "dlt", **options) as process:
            assert process.end() == -9, process.errors
            committed = [line for line in process.said if "loaded" in line]

        result = sync_here(posthog, warehouse.opened()).result
        assert result.status == "complete", result.checks
        assert state_of(warehouse) == expected
        if committed:
            assert result.rows["events"] < expected["events"][0], "what was committed is not asked for again"


@pytest.mark.parametrize("kind", RANDOM)
def test_killed_at_random_moments(kind: str, posthog: Sandbox, places: Place, tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - repeatable on purpose
    expected = places.undisturbed(kind)
    killed = 0
    with set_to(places.settings(kind, tmp_path)):
        warehouse = Elsewhere(kind, tmp_path)
        for _ in range(KILLS):
            with sync_process(
                posthog, warehouse.path, tmp_path / "dlt", **warehouse.options, package_rows=1_500, leaf_rows=500
            ) as process:
                process.until("phase", times=2)
                process.until("loaded", times=chance.choice([0, 0, 1]))
                process.signal_after(chance.uniform(0, 1.5))
                killed += process.end() == -9

        assert killed >= min(KILLS, 3), "the sync was over before it could be killed"
        assert sync_here(posthog, warehouse.opened()).result.status == "complete"
        assert state_of(warehouse) == expected
