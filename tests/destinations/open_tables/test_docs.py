"""What docs/tables-with-a-log.md tells to write reads the tables."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import deltalake
import polars as pl
import pyiceberg.table
import pytest

from tests.destinations.lake.lakes import event
from tests.destinations.open_tables.tables import LocalTables, load_events

DOCS = (Path(__file__).resolve().parents[3] / "docs" / "tables-with-a-log.md").read_text()
BLOCKS = dict(re.findall(r"```python\n# (\w+).*?\n(.*?)```", DOCS, re.DOTALL))
SQL = [sql for block in re.findall(r"```sql\n(.*?)```", DOCS, re.DOTALL) for sql in re.findall("SELECT.*?;", block)]


def test_every_way_to_read_finds_every_row(local: LocalTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_events(local, [event(n, "2026-11-20T12:00:00Z") for n in range(5)])
    load_events(local, [event(n, "2026-11-20T12:00:00Z", event="changed") for n in range(2)])
    monkeypatch.chdir(tmp_path)
    known: dict[str, Any] = {"deltalake": deltalake, "polars": pl, "pyiceberg": pyiceberg}
    found = []
    for statement in ast.parse(BLOCKS[local.format.capitalize()]).body:
        code = ast.unparse(statement)
        if isinstance(statement, ast.Expr):
            found.append(eval(code, known))  # noqa: S307 - our own document
        else:
            exec(code, known)  # noqa: S102 - our own document
    table, counted = found
    assert sorted(table.column("event").to_pylist()) == ["$pageview"] * 3 + ["changed"] * 2
    assert sorted(counted.rows()) == [("$pageview", 3), ("changed", 2)]
    counts = [local.duckdb.execute(sql).fetchall() for sql in SQL if f"{local.format}_scan" in sql]
    assert len(counts) == 2
    for rows in counts:
        assert sorted(rows) == [("$pageview", 3), ("changed", 2)]
