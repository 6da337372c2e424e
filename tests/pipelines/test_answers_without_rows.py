"""An answer of no rows is no rows, whatever else it lacks; and it is trusted no further than that."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import DEFAULT
from posthog_warehouse.sources.posthog.clock import DAY, to_micros
from posthog_warehouse.sources.posthog.errors import Unreachable
from posthog_warehouse.sources.posthog.tables.own_query import Query, query_table
from tests.faults.syncing import sync_here
from tests.mutating import Mutating, asked

_TABLES = tuple(DEFAULT[name] for name in ("events", "persons", "sessions"))
_LACKING: dict[str, dict[str, Any]] = {
    "empty types": {"types": []},
    "no types": {"types": None},
    "neither types nor columns": {"types": None, "columns": None},
    "empty types and columns": {"types": [], "columns": []},
}


def _lack(request: httpx.Request, answer: Any, lacking: dict[str, Any]) -> Any:
    if asked(request) != request.url.path and isinstance(answer, dict) and answer.get("results") == []:
        answer = {name: value for name, value in {**answer, **lacking}.items() if value is not None}
    return answer


@pytest.mark.parametrize("lacking", _LACKING.values(), ids=_LACKING)
def test_no_rows_are_no_rows(lacking: dict[str, Any], posthog: Sandbox, tmp_path: Path) -> None:
    faulty = Mutating(lambda request, answer: _lack(request, answer, lacking))
    tomorrow = to_micros(datetime.fromisoformat(posthog.now()[:19] + "+00:00")) + DAY

    result = sync_here(
        posthog, tmp_path / "a.duckdb", transport=faulty, tables=_TABLES, since=tomorrow, until=tomorrow + DAY
    ).result

    assert faulty.changed
    assert result.status == "complete"
    assert result.totals["events"] == 0
    assert result.totals["persons"] > 0


def test_a_query_without_rows_has_the_columns_of_its_types_all_the_same(posthog: Sandbox, tmp_path: Path) -> None:
    faulty = Mutating(lambda request, answer: _lack(request, answer, {"types": []}))
    sql = "SELECT event, count() AS n, max(timestamp) AS at FROM events WHERE 0 GROUP BY event"
    table = query_table(Query("none", sql))

    result = sync_here(posthog, tmp_path / "a.duckdb", transport=faulty, tables=(table,)).result

    assert faulty.changed
    assert result.status == "complete"


def test_no_row_where_one_is_due_is_not_taken_for_none(posthog: Sandbox, tmp_path: Path) -> None:
    def forget(request: httpx.Request, answer: Any) -> Any:
        if asked(request).startswith("SELECT count() FROM groups"):
            return {**answer, "results": [], "types": [], "columns": []}
        return answer

    tables = (DEFAULT["groups"], DEFAULT["persons"])
    result = sync_here(posthog, tmp_path / "a.duckdb", transport=Mutating(forget), attempts=2, tables=tables).result

    assert result.status != "complete"
    assert result.totals["persons"] > 0
    assert result.stopped is None or isinstance(result.stopped, Unreachable)
