"""`posthog-warehouse compact`: fewer files, the same rows, one message for what cannot be."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.pipelines.conftest import InProcess, assert_one_screen


def events(folder: Path) -> tuple[int, int, int]:
    files = list((folder / "lake" / "posthog" / "events").glob("**/*.parquet"))
    found = duckdb.sql(
        f"SELECT count(*), count(DISTINCT uuid) FROM read_parquet('{folder}/lake/posthog/events/**/*.parquet')"
    ).fetchone()
    assert found is not None
    return (len(files), *found)


def test_small_files_become_one_a_day(
    quick: InProcess, posthog: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # As if each file were too large to take up what comes later.
    monkeypatch.setattr("posthog_warehouse.destinations.lake.merging.SMALL_BYTES", 0)
    quick.settings("[sync]\npackage_rows = 900\n[sources.posthog]\nleaf_rows = 300\n").pointed_at(posthog)
    there = ("--destination", "parquet", "--bucket-url", "lake")
    assert quick("sync", "events", *there).code == 0
    before = events(tmp_path)

    outcome = quick("compact", "--bucket-url", "lake", "--format", "json")
    assert outcome.code == 0, outcome.err
    [result] = outcome.of("result")
    after = events(tmp_path)
    assert after[1:] == before[1:]
    assert after[0] < before[0]
    assert result["files_before"] - result["files_after"] >= before[0] - after[0]
    assert "Nothing to do" in quick("compact", "--bucket-url", "lake").out
    assert quick("sync", "events", *there).code == 0, "and the next sync goes on"
    assert events(tmp_path)[1:] == before[1:]


def test_what_cannot_be_compacted_is_told(quick: InProcess) -> None:
    outcome = quick("compact", "--destination", "duckdb")
    assert outcome.code == 2
    assert_one_screen(outcome.err, "duckdb", "--destination parquet")
    outcome = quick("compact", "nothing", "--bucket-url", "lake")
    assert outcome.code == 2
    assert_one_screen(outcome.err, "nothing", "posthog-warehouse sync")
