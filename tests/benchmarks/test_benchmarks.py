"""The benchmarks of loading run, in a short form: what they measure is looked at by people, that they work is here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("--page-rows", "500")


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Runs a script of benchmarks, and gives what it wrote with --json."""

    def script(name: str, *arguments: str) -> Any:
        figures = tmp_path / f"{name}.json"
        done = subprocess.run(
            [sys.executable, str(ROOT / "benchmarks" / name), *arguments, "--json", str(figures)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "DLT_DATA_DIR": str(tmp_path / "dlt")},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "| --- | ---: |" in done.stdout
        return json.loads(figures.read_text())

    return script


def test_the_floor_and_a_sync_of_the_same_pages(run: Any, tmp_path: Path) -> None:
    pages = ("--events", "1200", *PAGES, "--pages", str(tmp_path / "pages"))
    floor = run("limit.py", *pages)
    sync = run("sync.py", *pages)
    assert floor["events"] == sync["events"] == 1_200
    for figures in (floor, sync):
        assert sum(figures["stages"].values()) == pytest.approx(figures["cpu_seconds"], rel=0.5)
        assert all(spent > -0.05 for spent in figures["stages"].values()), figures["stages"]
    assert sync["stages"]["decode JSON"] > 0
    assert sync["stages"]["merge, the thread that asks"] > 0


def test_merges_into_a_growing_table(run: Any, tmp_path: Path) -> None:
    merges = run("growth.py", "--sizes", "0", "5000", "--rows", "600", *PAGES, "--pages", str(tmp_path / "pages"))
    assert [(each["into"], each["events"]) for each in merges] == [(0, 600), (5_000, 5_600)]


def test_a_sync_with_nothing_new(run: Any) -> None:
    (idle,) = run("idle.py", "--events", "500", "--grow", "1000")
    assert idle["status"] == "complete"
    assert idle["events"] > 1_400
    assert idle["requests"] < 10
