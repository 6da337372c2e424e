"""One odd value in a list costs that value, or its table, and never the rest; and it is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from posthog_warehouse.pipelines.exit_codes import code_of_result
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import DEFAULT
from tests.faults.syncing import sync_here
from tests.mutating import Mutating

_TABLES = tuple(DEFAULT[name] for name in ("cohorts", "actions"))
LONG = 2**70


def _with(change: Callable[[dict[str, Any]], object]) -> Mutating:
    """The list of cohorts with its first row changed."""

    def changed(request: httpx.Request, answer: Any) -> Any:
        if request.url.path.endswith("/cohorts/"):
            change(answer["results"][0])
        return answer

    return Mutating(changed)


def _rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("key", [True, {"a": 1}, [1], 10**30, 0.5, "seven", None], ids=str)
def test_what_cannot_be_a_key_costs_its_table(key: Any, posthog: Sandbox, tmp_path: Path) -> None:
    faulty = _with(lambda row: row.update(id=key))

    result = sync_here(posthog, tmp_path / "a.duckdb", tables=_TABLES, transport=faulty).result

    assert faulty.changed
    checks = {check.table: check for check in result.checks}
    assert checks["actions"].status == "complete"
    assert result.totals["actions"] > 0
    assert checks["cohorts"].status == "unknown"
    assert "cohorts" in checks["cohorts"].reason
    assert " id" in checks["cohorts"].reason
    assert code_of_result(result) == 5


def test_numbers_that_no_column_holds_are_kept_to_the_last_digit(posthog: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"

    def first(row: dict[str, Any]) -> None:
        row.update(long=LONG, size=5, inside={"a": [LONG, 2**63]}, ratio=0.5, unsigned=2**63)

    def then(row: dict[str, Any]) -> None:
        first(row)
        row.update(size=LONG, ratio=-LONG, count=10**25)

    assert sync_here(posthog, path, tables=_TABLES, transport=_with(first)).result.status == "complete"
    assert _rows(path, "SELECT long, size, unsigned, inside FROM posthog.cohorts WHERE long IS NOT NULL") == [
        (str(LONG), 5, str(2**63), f'{{"a":["{LONG}",{2**63}]}}')
    ]

    result = sync_here(posthog, path, tables=_TABLES, transport=_with(then)).result

    assert result.status == "complete"
    assert _rows(
        path, "SELECT long, size, size__v_text, ratio__v_text FROM posthog.cohorts WHERE long IS NOT NULL"
    ) == [(str(LONG), None, str(LONG), str(-LONG))]
    assert any(
        "size was bigint, and came as text in 1 rows: see size__v_text" in note for note in result.notes["cohorts"]
    )


def test_a_float_that_no_whole_number_holds_lands_beside(posthog: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    sync_here(posthog, path, tables=_TABLES, transport=_with(lambda row: row.update(size=5)))
    result = sync_here(posthog, path, tables=_TABLES, transport=_with(lambda row: row.update(size=1e30))).result
    assert result.status == "complete"
    assert _rows(path, "SELECT size, size__v_double FROM posthog.cohorts WHERE size__v_double IS NOT NULL") == [
        (None, 1e30)
    ]
