"""A DuckLake says clearly what is wrong with its catalog, its extensions and who else is there."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from posthog_warehouse.destinations import ducklake
from posthog_warehouse.destinations.destination import Place
from posthog_warehouse.destinations.ducklake import DuckLake
from posthog_warehouse.destinations.errors import (
    DestinationForeign,
    DestinationHeld,
    DestinationUnready,
    DestinationUnusable,
)
from posthog_warehouse.destinations.kinds import BY_NAME

HOLD = {
    "duckdb": "import duckdb; held = duckdb.connect(path)",
    "sqlite": "import sqlite3; held = sqlite3.connect(path); held.execute('BEGIN EXCLUSIVE')",
}


@pytest.fixture(params=["duckdb", "sqlite"])
def catalog(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a catalog that is not there yet; dlt's settings name it."""
    path = tmp_path / f"catalog.{request.param}"
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG", f"{request.param}:///{path}")
    monkeypatch.setenv("DESTINATION__DUCKLAKE__CREDENTIALS__STORAGE__BUCKET_URL", str(tmp_path / "data"))
    return path


def opened() -> DuckLake:
    return DuckLake(BY_NAME["ducklake"], Place("posthog", "", "", "400MB"))


def fill() -> None:
    with opened() as lake:
        pipeline = dlt.pipeline("test", destination=lake.dlt_destination(), dataset_name="posthog")
        pipeline.run([{"id": 1}], table_name="things", loader_file_format="parquet")


@pytest.fixture
def held(catalog: Path) -> Iterator[Path]:
    """A catalog that another process has open."""
    fill()
    script = f"import sys; path = sys.argv[1]; {HOLD[catalog.suffix[1:]]}; print('held', flush=True); sys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(catalog)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield catalog
    process.communicate("")


def test_checking_a_new_catalog_makes_nothing(catalog: Path) -> None:
    with opened() as lake:
        lake.check()
        condition = lake.condition()
    assert condition.is_new
    assert "one process at a time can write" in condition.facts
    assert not catalog.exists()


def test_doctor_is_told_version_and_rule(catalog: Path) -> None:
    fill()
    with opened() as lake:
        lake.check()
        condition = lake.condition()
    assert condition.is_new is False
    assert condition.facts == (f"catalog in {catalog.suffix[1:]}, DuckLake 1.0", "one process at a time can write")


def test_a_held_catalog_is_told_and_left_alone(held: Path) -> None:
    with pytest.raises(DestinationHeld) as error, opened() as lake:
        lake.check()
    assert held.name in error.value.message
    assert "nothing is lost" in error.value.advice


@pytest.mark.parametrize(("version", "what"), [("99.0", "newer"), ("0.1", "older")])
def test_a_catalog_of_another_version_is_told_and_left_alone(catalog: Path, version: str, what: str) -> None:
    fill()
    connect: Any = duckdb.connect if catalog.suffix == ".duckdb" else sqlite3.connect
    connection = connect(str(catalog))
    connection.execute("UPDATE ducklake_metadata SET value = ? WHERE key = 'version'", [version])
    connection.commit()
    connection.close()
    with pytest.raises(DestinationForeign, match="another version of DuckLake") as error, opened() as lake:
        lake.check()
    assert what in error.value.advice
    assert version in error.value.message


def test_what_is_no_catalog_is_not_touched(catalog: Path) -> None:
    catalog.write_bytes(b"PK\x03\x04 something else" * 1_000)
    before = catalog.read_bytes()
    with pytest.raises((DestinationUnusable, DestinationForeign)), opened() as lake:
        lake.check()
    assert catalog.read_bytes() == before


def test_a_missing_extension_is_named_with_what_brings_it(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ducklake, "find_spec", lambda _: None)
    monkeypatch.setenv("HOME", str(catalog.parent))
    with pytest.raises(DestinationUnready) as error, opened() as lake:
        lake.check()
    assert 'pip install "posthog-warehouse[ducklake]"' in error.value.advice
    assert "extension ducklake" in error.value.message


def test_extensions_of_another_duckdb_are_told(catalog: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb, "__version__", "1.4.0")
    with pytest.raises(DestinationUnready, match=r"not for DuckDB 1\.4\.0"), opened() as lake:
        lake.check()
