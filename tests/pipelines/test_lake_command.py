"""The program with a Parquet lake: every table of it, and what the other commands tell of it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.pipelines.conftest import InProcess

THERE = ("--destination", "parquet", "--bucket-url", "lake")


def test_every_table_is_loaded_and_proven(
    quick: InProcess, posthog: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick.pointed_at(posthog)
    outcome = quick("sync", *THERE, "--format", "json")
    assert outcome.code == 0, outcome.err
    [result] = outcome.of("result")
    assert result["status"] == "complete"
    with duckdb.connect(str(tmp_path / "lake" / "posthog" / "lake.duckdb"), read_only=True) as con:
        held = {each["table"]: each["rows_total"] for each in outcome.of("table")}
        assert len(held) > 35
        for table, rows in held.items():
            if table == "insight_correlation":
                continue  # nobody has one, so it is no table
            assert con.execute(f'SELECT count(*) FROM posthog."{table}"').fetchall() == [(rows,)], table
        assert con.sql("SELECT count(*) FROM posthog.persons_current").fetchall() == [(posthog.counts()["persons"],)]

    quick.environment["DLT_DATA_DIR"] = str(tmp_path / "another-machine")
    again = quick("sync", *THERE, "--format", "json")
    assert again.code == 0, again.err
    assert again.of("result")[0]["status"] == "complete"
    assert "events" in quick("status", *THERE).out
    assert "lake format 1" in quick("doctor", *THERE).out
