"""Capabilities of dlt's destinations are worked out once for each naming convention, and are what dlt says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dlt
import pytest
from dlt.common.normalizers.naming import snake_case, sql_cs_v1

from posthog_warehouse.destinations.capabilities import worked_out_once


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each time that dlt resolves the settings of a DuckDB destination."""
    times: list[Any] = []
    kind = dlt.destinations.duckdb
    configuration = kind.configuration

    def counted(self: Any, *arguments: Any, **named: Any) -> Any:
        times.append(arguments)
        return configuration(self, *arguments, **named)

    monkeypatch.setattr(kind, "configuration", counted)
    return times


def test_they_are_what_dlt_says_and_worked_out_once(resolved: list[Any]) -> None:
    said = dlt.destinations.duckdb(":memory:")
    once = worked_out_once(dlt.destinations.duckdb(":memory:"))
    namings = (None, snake_case.NamingConvention(), sql_cs_v1.NamingConvention())
    for naming in namings:
        expected = dict(said.capabilities(naming=naming))
        resolved.clear()
        assert [dict(once.capabilities(naming=naming)) for _ in range(3)] == [expected] * 3
        assert len(resolved) == 1
    assert once.capabilities(naming=namings[1]).has_case_sensitive_identifiers is False


def test_who_changes_one_changes_no_other() -> None:
    once = worked_out_once(dlt.destinations.duckdb(":memory:"))
    once.capabilities().max_identifier_length = 3
    assert once.capabilities().max_identifier_length != 3


def test_with_settings_at_hand_they_are_worked_out_from_those(tmp_path: Path) -> None:
    said = dlt.destinations.duckdb(str(tmp_path / "file.duckdb"))
    config = said.configuration(said.spec(), accept_partial=True)
    once = worked_out_once(dlt.destinations.duckdb(str(tmp_path / "file.duckdb")))
    assert dict(once.capabilities(config)) == dict(said.capabilities(config))
