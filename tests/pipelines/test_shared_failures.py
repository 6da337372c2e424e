"""What every table would fail of stops the run: once, said once, and what was loaded until then is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from posthog_warehouse.pipelines.exit_codes import code_of_result
from posthog_warehouse.pipelines.sync import Listener
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import DEFAULT
from tests.faults.syncing import sync_here
from tests.mutating import Mutating, asked
from tests.pipelines.conftest import InProcess, assert_one_screen

_LISTS = ("cohorts", "actions", "annotations", "surveys", "notebooks", "experiments", "insights", "dashboards")
_TABLES = tuple(DEFAULT[name] for name in ("persons", "person_distinct_ids", *_LISTS))
_FROM = 9  # by then persons are loaded, and the lists are begun


def _envelope(code: str, detail: str) -> dict[str, Any]:
    return {"type": "x", "code": code, "detail": detail, "attr": None}


FAILURES: dict[str, tuple[dict[str, Any], str, int, int]] = {
    # The fault, the error that it is, the exit code, and how many requests may meet it.
    "a key that was revoked": ({"status": 401}, "KeyRefused", 3, 1),
    "a key of another project": (
        {
            "status": 403,
            "body": _envelope("permission_denied", "API key does not have access to the requested project: ID 1."),
        },
        "ProjectDenied",
        3,
        1,
    ),
    "an owner who left": (
        {"status": 403, "body": _envelope("permission_denied", "You don't have access to the project.")},
        "ProjectDenied",
        3,
        1,
    ),
    "a quota": ({"status": 402, "body": _envelope("api_queries_quota_exceeded", "Quota exceeded")}, "QuotaSpent", 3, 1),
    "a project that is gone": (
        {"status": 404, "body": _envelope("not_found", "Project not found.")},
        "ProjectNotFound",
        2,
        1,
    ),
    "a budget": (
        {
            "status": 429,
            "body": _envelope("throttled", "The bytes read budget is spent. Expected available in 3000 seconds."),
            "headers": {"Retry-After": "3000"},
        },
        "WaitTooLong",
        4,
        1,
    ),
    "no connection": ({"fault": "drop", "reset": True}, "Unreachable", 7, 3),
    "a failing server": ({"status": 500}, "Unreachable", 7, 9),
    "a page of a proxy": ({"status": 502, "body": "<html>Bad gateway</html>"}, "Unreachable", 7, 9),
    "a page for a login": ({"status": 200, "body": "<html>Log in</html>"}, "Unreachable", 7, 9),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_the_run_stops_once(failure: tuple[dict[str, Any], str, int, int], posthog: Sandbox, tmp_path: Path) -> None:
    fault, name, code, most = failure
    posthog.add_fault(**{"fault": "status", "path": "/api/", "at": [*range(_FROM, 500)], **fault})

    result = sync_here(posthog, tmp_path / "a.duckdb", tables=_TABLES, attempts=3).result

    assert type(result.stopped).__name__ == name
    assert result.stopped is not None
    assert result.stopped.is_shared
    assert code_of_result(result) == code
    assert posthog.faults()[0]["struck"] <= most
    assert result.checks == []
    assert result.totals["persons"] > 0
    assert "HTTP" in str(result.stopped) or name in {"WaitTooLong", "Unreachable"}


def test_it_is_said_once_and_the_next_run_goes_on(quick: InProcess, posthog: Sandbox) -> None:
    quick.pointed_at(posthog)
    posthog.add_fault("status", status=401, path="/api/", at=[*range(12, 500)])
    outcome = quick("sync")
    assert outcome.code == 3
    assert_one_screen(outcome.err[outcome.err.index("Error:") :], "HTTP 401", "What was loaded until then is kept.")
    assert (outcome.out + outcome.err).count("Personal API key found in request") == 1
    assert "The same command" not in outcome.err
    assert outcome.out.count("All tables: The run stopped before the check.") == 1

    posthog.clear_faults()
    assert quick("sync").code == 0


def test_what_fails_in_the_check_stops_the_check(posthog: Sandbox, tmp_path: Path) -> None:
    tables = tuple(DEFAULT[name] for name in ("cohorts", "events", "persons"))

    class Check(Listener):
        def phase(self, what: str) -> None:
            if what == "check":
                posthog.add_fault("status", status=401, path="/api/", always=True)

    result = sync_here(posthog, tmp_path / "b.duckdb", tables=tables, listener=Check(), leaf_rows=20_000).result

    assert type(result.stopped).__name__ == "KeyRefused"
    assert code_of_result(result) == 3
    assert posthog.faults()[0]["struck"] == 1
    assert result.totals["cohorts"] > 0


def test_a_query_that_fails_each_time_costs_its_table_alone(posthog: Sandbox, tmp_path: Path) -> None:
    """ClickHouse's own errors are HTTP 500 (posthog/errors.py, autumn 2026), and come again for the same text."""

    error = _envelope("error", "ClickHouse error while executing query.")

    def fail(request: httpx.Request, answer: Any) -> Any:
        return httpx.Response(500, json=error) if " FROM groups" in asked(request) else answer

    faulty = Mutating(fail)
    tables = tuple(DEFAULT[name] for name in ("groups", "persons", "cohorts"))
    result = sync_here(posthog, tmp_path / "a.duckdb", tables=tables, transport=faulty, attempts=3).result

    assert faulty.changed == 3
    assert result.stopped is None
    assert code_of_result(result) == 5
    checks = {check.table: check for check in result.checks}
    assert {name: check.status for name, check in checks.items()} == {
        "groups": "unknown",
        "persons": "complete",
        "cohorts": "complete",
    }
    for word in ("all of 3 attempts within", "ClickHouse error while executing query", "HTTP 500", "/query/"):
        assert word in checks["groups"].reason
    assert "So it did whatever else" not in checks["groups"].reason
