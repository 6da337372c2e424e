"""`doctor`: one finding for each thing that a sync needs."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import TABLES
from tests.conftest import StartSandbox
from tests.pipelines.conftest import InProcess, Outcome
from tests.sandboxes import started


def _states(outcome: Outcome) -> dict[str, str]:
    return {finding["check"]: finding["state"] for finding in outcome.of("finding")}


def _finding(outcome: Outcome, check: str) -> str:
    [finding] = [each for each in outcome.of("finding") if each["check"] == check]
    return f"{finding['text']} {finding['advice']}"


@pytest.fixture(scope="module")
def punctual() -> Iterator[Sandbox]:
    """A PostHog whose clock is this machine's."""
    with started(events=100, persons=10, now=None) as sandbox:
        yield sandbox


def test_all_is_well_with_few_requests_and_no_file(quick: InProcess, punctual: Sandbox) -> None:
    outcome = quick.pointed_at(punctual)("doctor", "--format", "json")
    assert outcome.code == 0
    checks = ("versions", "settings", "destination", "key", "host", "project", "clock", "queries", "server", "owner")
    assert _states(outcome) == dict.fromkeys((*checks, "tables"), "ok")
    lists = {probe for table in TABLES.values() if (probe := table.reads.probe()) is not None}
    assert punctual.counters()["requests"] <= 5 + len(lists)
    assert quick.databases == []
    assert "Hedgebox" in _finding(outcome, "project")
    assert "from POSTHOG_PERSONAL_API_KEY" in _finding(outcome, "key")


def test_text_is_one_line_a_check(quick: InProcess, punctual: Sandbox) -> None:
    outcome = quick.pointed_at(punctual)("doctor")
    lines = outcome.out.splitlines()
    assert lines[-1] == "All is well."
    assert all(line.startswith("ok    ") for line in lines[:-1])


def test_a_key_without_the_scope_is_told_what_it_blocks(quick: InProcess, posthog: Sandbox) -> None:
    outcome = quick.pointed_at(posthog, posthog.create_key(["project:read"]))("doctor", "--format", "json")
    assert outcome.code == 3
    assert _states(outcome)["queries"] == "fail"
    for word in ("query:read", "events", "persons", "person_distinct_ids"):
        assert word in _finding(outcome, "queries")


def test_what_the_key_cannot_read_is_told_with_the_scope_that_it_lacks(quick: InProcess, posthog: Sandbox) -> None:
    before = posthog.behaviour()
    posthog.set_behaviour(unpaid_endpoints=["activity_log"])
    scopes = sorted({table.scope for table in TABLES.values()} - {"survey:read"} | {"project:read", "user:read"})
    try:
        outcome = quick.pointed_at(posthog, posthog.create_key(scopes))("doctor", "--format", "json")
    finally:
        posthog.set_behaviour(**before)
    assert outcome.code == 0
    tables = [each for each in outcome.of("finding") if each["check"] == "tables"]
    readable, *others = [f"{each['text']} {each['advice']}" for each in tables]
    assert "cohorts" in readable
    assert "surveys" not in readable
    [surveys] = [other for other in others if "surveys" in other]
    assert "survey:read" in surveys
    [unpaid] = [other for other in others if "activity_log" in other]
    assert "premium" in unpaid


def test_a_key_with_the_one_scope_that_sync_needs_will_do(quick: InProcess, posthog: Sandbox) -> None:
    outcome = quick.pointed_at(posthog, posthog.create_key(["query:read"]))("doctor", "--format", "json")
    assert outcome.code == 0
    states = _states(outcome)
    assert (states["queries"], states["project"]) == ("ok", "warn")
    assert _finding(outcome, "project").startswith(f"{posthog.project_id}: ")


def test_a_key_that_does_not_tell_its_project_needs_the_number(quick: InProcess, posthog: Sandbox) -> None:
    del quick.pointed_at(posthog, posthog.create_key(["cohort:read"])).environment["POSTHOG_PROJECT_ID"]
    outcome = quick("doctor", "--format", "json")
    assert outcome.code == 3
    assert _states(outcome)["project"] == "fail"
    assert "POSTHOG_PROJECT_ID" in _finding(outcome, "project")
    named = quick("doctor", "--project-id", str(posthog.project_id), "--format", "json")
    assert _states(named)["project"] == "warn"


def test_an_unknown_key_is_told_before_more_is_asked(quick: InProcess, posthog: Sandbox) -> None:
    outcome = quick.pointed_at(posthog, "phx_0123456789abcdefghijklmnop")("doctor", "--format", "json")
    assert outcome.code == 3
    assert posthog.counters()["requests"] == 1


def test_a_dataset_of_another_project_is_told(quick: InProcess, posthog: Sandbox, punctual: Sandbox) -> None:
    assert quick.pointed_at(posthog)("sync", "cohorts").code == 0
    assert "dataset" not in _states(quick("doctor", "--format", "json"))
    outcome = quick.pointed_at(punctual)("doctor", "--format", "json")
    assert outcome.code == quick("sync", "cohorts").code == 2
    assert _states(outcome)["dataset"] == "fail"
    for words in (posthog.host, punctual.host, "--dataset NAME"):
        assert words in _finding(outcome, "dataset")
    assert quick("doctor", "--dataset", "another").code == 0


def test_a_host_where_nobody_answers_is_tried_once(quick: InProcess, posthog: Sandbox) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # not listening: connections are refused
        quick.pointed_at(posthog).environment["POSTHOG_HOST"] = f"http://127.0.0.1:{reserved.getsockname()[1]}"
        outcome = quick("doctor", "--format", "json")
    assert outcome.code == 7
    assert _states(outcome)["project"] == "fail"


def test_an_older_server_is_named(quick: InProcess, posthog: Sandbox) -> None:
    behaviour = posthog.behaviour()
    posthog.set_behaviour(missing_functions=sorted({*behaviour["missing_functions"], "cityHash64", "groupBitXor"}))
    outcome = quick.pointed_at(posthog)("doctor", "--format", "json")
    assert outcome.code == 0
    assert _states(outcome)["server"] == "warn"
    assert "hashes" in _finding(outcome, "server")


def test_a_clock_that_is_off_is_told(quick: InProcess, start_sandbox: StartSandbox) -> None:
    posthog = start_sandbox(events=100, persons=10, now=None)
    posthog.advance_clock(3600)
    outcome = quick.pointed_at(posthog)("doctor", "--format", "json")
    assert outcome.code == 0
    assert _states(outcome)["clock"] == "warn"
    assert "behind" in _finding(outcome, "clock")


@pytest.mark.parametrize(
    ("arguments", "check", "code"),
    [
        (["--host", "ftp://posthog.example.com"], "host", 2),
        (["--project-id", "999"], "project", 2),
        (["--database", "missing/file.duckdb"], "destination", 6),
    ],
)
def test_what_fails_gives_the_exit_code(
    quick: InProcess, posthog: Sandbox, arguments: list[str], check: str, code: int
) -> None:
    outcome = quick.pointed_at(posthog)("doctor", *arguments, "--format", "json")
    assert outcome.code == code
    assert _states(outcome)[check] == "fail"
    assert outcome.of("result")[0]["exit_code"] == code


def test_without_a_key_the_rest_is_still_examined(quick: InProcess) -> None:
    outcome = quick("doctor", "--format", "json")
    assert outcome.code == 2
    states = _states(outcome)
    assert (states["key"], states["host"], states["destination"]) == ("fail", "ok", "ok")
