from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from posthog_warehouse.sources.posthog.pages.spool import mapped


def test_a_page_is_the_same_out_of_memory_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    table = pa.table({"n": list(range(100_000)), "s": [None, "é"] * 50_000})
    before = pa.total_allocated_bytes()
    found = mapped(table, small_bytes=10)
    assert pa.total_allocated_bytes() - before < table.nbytes / 10
    assert list(tmp_path.iterdir()) == []
    assert found.equals(table)


def test_a_small_page_stays_where_it_is() -> None:
    table = pa.table({"n": [1]})
    assert mapped(table) is table
