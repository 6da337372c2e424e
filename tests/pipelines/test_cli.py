"""The command line against a real local PostHog: what it prints, its exit codes, and what it leaves behind."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from posthog_warehouse.pipelines import __version__, sandbox_process
from posthog_warehouse.sandbox.local import Sandbox
from tests.pipelines.conftest import InProcess, Program, assert_one_screen

KEY = "phx_0123456789abcdefghijklmnop"
TABLES = ("events", "persons", "person_distinct_ids")
SMALL = "[sync]\npackage_rows = 500\n[sources.posthog]\nleaf_rows = 500"
"""Small requests and packages, so that a small project takes several."""


def _queries_from(quick: InProcess, posthog: Sandbox, n: int) -> list[int]:
    """The n-th query of a sync after it has connected, and all later ones, as faults count them."""
    posthog.reset_counters()
    assert quick.pointed_at(posthog)("doctor").code == 0
    # Those that find out what the server understands read no table; doctor asks more than a sync does.
    queries = [entry["query"] for entry in posthog.requests() if entry["path"].endswith("/query/")]
    connecting = sum(" FROM " not in (query or "") for query in queries)
    return list(range(connecting + n, connecting + 400))


def _count(database: Path, table: str, column: str = "*") -> int:
    with duckdb.connect(str(database), read_only=True) as connection:
        row = connection.execute(f"SELECT count({column}) FROM posthog.{table}").fetchone()
    assert row is not None
    return int(row[0])


def test_a_sync_ends_with_a_table_and_complete(program: Program, quick: InProcess, posthog: Sandbox) -> None:
    first = program.pointed_at(posthog)("sync")
    assert first.code == 0, first.err
    counts = posthog.counts()
    for table in TABLES:
        assert re.search(rf"{table} .*{counts[table]:,} +complete", first.out)
    assert re.search(r"^complete: [\d,]+ rows in [\d.,]+ s \([\d,]+ rows/s\), [\d,]+ requests", first.out, re.MULTILINE)
    # No terminal: plain lines, no escape codes, and none of dlt's talk.
    assert "\x1b" not in first.out + first.err
    steps = [line.split(":")[0] for line in first.err.splitlines()]
    assert steps == ["Connecting to PostHog ...", "Loading ...", "Package 1 is in", "Checking against PostHog ..."]

    # The way to look at the data that it prints works as it stands.
    look = first.out.rstrip().splitlines()[-1].strip()
    shown = subprocess.run(look, shell=True, cwd=program.folder, capture_output=True, text=True, check=True)  # noqa: S602 - as people do
    assert "$pageview" in shown.stdout

    second = quick.pointed_at(posthog)("sync", *TABLES, "--format", "json")
    assert second.code == 0
    assert second.of("result")[0]["requests"] < 10
    assert program.databases == ["posthog_warehouse.duckdb"]


def test_json_is_one_object_a_line_with_stable_fields(quick: InProcess, posthog: Sandbox) -> None:
    outcome = quick.pointed_at(posthog)("sync", "events", "--since", "3650d", "--format", "json")
    assert outcome.code == 0
    assert outcome.err == ""
    assert [event["phase"] for event in outcome.of("phase")] == ["connect", "load", "check"]
    assert set(outcome.of("package")[0]) == {"type", "number", "rows", "seconds"}
    [table] = outcome.of("table")
    assert (table["table"], table["check"], table["missing"]) == ("events", "complete", 0)
    assert table["rows_total"] == _count(quick.folder / "posthog_warehouse.duckdb", "events")
    [result] = outcome.of("result")
    assert outcome.events[-1] == result
    assert (result["status"], result["exit_code"], result["database"]) == ("complete", 0, "posthog_warehouse.duckdb")
    assert set(result) == {
        *("type", "status", "exit_code", "run_id", "started_at", "finished_at", "seconds", "rows_read", "packages"),
        *("requests", "bytes_read", "waited_seconds", "database", "dataset"),
    }


def test_a_terminal_shows_bars_and_then_the_table(program: Program, posthog: Sandbox) -> None:
    program.pointed_at(posthog).environment |= {"TERM": "xterm-256color", "COLUMNS": "120"}
    ours, theirs = pty.openpty()
    with program.start("sync", "events", stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                chunk = os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            shown += chunk
        out, _ = process.communicate(timeout=60)
    os.close(ours)
    assert process.returncode == 0
    text = shown.decode()
    assert "━" in text
    assert re.search(r"[\d,]+ / [\d,]+ rows", text)
    assert "requests" in text
    assert "complete" in out


@pytest.mark.parametrize(
    ("arguments", "environment", "words"),
    [
        ([], {"POSTHOG_PERSONAL_API_KEY": ""}, ["No API key", "POSTHOG_PERSONAL_API_KEY", ".dlt/secrets.toml"]),
        ([], {"POSTHOG_PERSONAL_API_KEY": f"'{KEY}'"}, ["quotes"]),
        ([], {"POSTHOG_PERSONAL_API_KEY": f"{KEY}\n"}, ["line end"]),
        ([], {"POSTHOG_PERSONAL_API_KEY": "phc_0123456789abcdef"}, ["project token", "personal API key"]),
        (["--project-id", "my-project"], {}, ["project id is not a number"]),
        (["--host", "http://posthog.example.com"], {}, ["plain http", "https://"]),
        (["--host", "https://posthog example"], {}, ["host"]),
        (["--host", "ca.i.posthog.com"], {}, ["does not answer the API", "us or eu"]),
        (["--since", "2026-11-20", "--until", "2026-11-01"], {}, ["--since", "--until", "before"]),
        (["--since", "yesterday"], {}, ["--since", "yesterday", "30d"]),
        (["event"], {}, ["no table event", "Did you mean events"]),
        (["--destination", "snowfall"], {}, ["snowfall", "duckdb"]),
        (["--dataset", "Post Hog"], {}, ["Post Hog", "post_hog"]),
        (["--max-wait", "soon"], {}, ["max-wait", "15m"]),
        (["--no-such-flag"], {}, ["--no-such-flag"]),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, list) else "",
)
def test_bad_input_is_told_in_one_screen_with_exit_code_2(
    quick: InProcess, arguments: list[str], environment: dict[str, str], words: list[str]
) -> None:
    quick.environment |= {"POSTHOG_HOST": "eu", "POSTHOG_PERSONAL_API_KEY": KEY, **environment}
    outcome = quick("sync", *arguments)
    assert outcome.code == 2
    assert_one_screen(outcome.err, *words)
    assert outcome.out == ""
    assert quick.databases == []


def test_errors_are_an_object_in_json(quick: InProcess) -> None:
    outcome = quick("sync", "--format", "json")
    [error] = outcome.events
    assert (error["type"], error["error"], error["exit_code"]) == ("error", "KeyMissing", outcome.code)
    assert {"message", "meaning", "advice", "status", "code", "path"} <= set(error)
    assert outcome.err == ""


def test_an_unknown_key_is_exit_code_3(quick: InProcess, posthog: Sandbox) -> None:
    outcome = quick.pointed_at(posthog, KEY)("sync")
    assert outcome.code == 3
    assert_one_screen(outcome.err, "does not accept this key", "HTTP 401")
    assert quick.databases == []


def test_a_missing_scope_is_named_with_the_tables_that_it_blocks(quick: InProcess, posthog: Sandbox) -> None:
    outcome = quick.pointed_at(posthog, posthog.create_key(["user:read"]))("sync")
    assert outcome.code == 3
    assert_one_screen(outcome.err, "query:read", *TABLES, "Personal API keys")
    assert quick.databases == []


def test_a_table_that_is_refused_midway_leaves_the_others_loaded(quick: InProcess, posthog: Sandbox) -> None:
    posthog.add_fault("status", status=403, path="/query/", at=_queries_from(quick, posthog, 1)[:1])
    outcome = quick.pointed_at(posthog)("sync")
    assert outcome.code == 3
    assert_one_screen(outcome.err[outcome.err.index("Error:") :], "Not loaded: events; the other tables are")
    assert _count(quick.folder / "posthog_warehouse.duckdb", "persons") == posthog.counts()["persons"]


def test_a_wrong_project_is_exit_code_2(quick: InProcess, posthog: Sandbox) -> None:
    outcome = quick.pointed_at(posthog)("sync", "--project-id", "999")
    assert outcome.code == 2
    assert_one_screen(outcome.err, "project")
    assert quick.databases == []


def test_a_file_of_another_project_is_exit_code_2(quick: InProcess, posthog: Sandbox, sandbox_cloud: Sandbox) -> None:
    assert quick.pointed_at(posthog)("sync", "persons").code == 0
    outcome = quick.pointed_at(sandbox_cloud)("sync", "persons")
    assert outcome.code == 2
    assert_one_screen(outcome.err[outcome.err.index("Error:") :], "--dataset")


def test_a_limit_that_lasts_too_long_keeps_what_is_loaded_and_is_exit_code_4(
    quick: InProcess, posthog: Sandbox
) -> None:
    quick.settings(SMALL)
    late = _queries_from(quick, posthog, 6)  # one counts, four read
    posthog.add_fault("status", status=429, path="/query/", at=late, headers={"Retry-After": "3600"})
    outcome = quick("sync", "events", "--max-wait", "10m")
    assert outcome.code == 4
    assert_one_screen(
        outcome.err[outcome.err.index("Error:") :], "3,600 s", "600 s", "posthog-warehouse", "What was loaded is kept"
    )
    kept = _count(quick.folder / "posthog_warehouse.duckdb", "events")
    assert 0 < kept < posthog.counts()["events"]
    posthog.clear_faults()
    assert quick.settings("")("sync", "events").code == 0
    assert _count(quick.folder / "posthog_warehouse.duckdb", "events", "DISTINCT uuid") == posthog.counts()["events"]


def test_a_first_sync_that_fails_before_its_first_package_leaves_no_file(quick: InProcess, posthog: Sandbox) -> None:
    late = _queries_from(quick, posthog, 2)
    posthog.add_fault("status", status=429, path="/query/", at=late, headers={"Retry-After": "3600"})
    outcome = quick("sync")
    assert outcome.code == 4
    assert quick.databases == []


def test_waits_are_shown(quick: InProcess, posthog: Sandbox) -> None:
    posthog.add_fault("status", status=429, path="/query/", at=[2], headers={"Retry-After": "0.1"})
    outcome = quick.pointed_at(posthog)("sync", "persons")
    assert outcome.code == 0
    # The sentence of the answer says 1 second, which is longer than its header.
    assert "Waiting 1 s for PostHog's limit of requests" in outcome.err


def test_rows_that_the_warehouse_lacks_are_exit_code_5(quick: InProcess, posthog: Sandbox) -> None:
    assert quick.pointed_at(posthog)("sync").code == 0
    with duckdb.connect(str(quick.folder / "posthog_warehouse.duckdb")) as connection:
        lost = connection.execute(
            f"DELETE FROM posthog.events WHERE timestamp > TIMESTAMPTZ '{posthog.now()}' - INTERVAL 30 HOURS "
            f"AND created_at < TIMESTAMPTZ '{posthog.now()}' - INTERVAL 2 HOURS RETURNING uuid"
        ).fetchall()
    assert lost
    outcome = quick("sync")
    assert outcome.code == 5
    assert f"short by {len(lost)}" in outcome.out
    assert_one_screen(outcome.err[outcome.err.index("Note:") :], "short")


def test_a_file_that_another_process_holds_is_exit_code_6(quick: InProcess, posthog: Sandbox) -> None:
    database = quick.folder / "posthog_warehouse.duckdb"
    hold = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, str(database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        for arguments in (["sync"], ["status"], ["doctor"]):
            outcome = quick.pointed_at(posthog)(*arguments)
            assert outcome.code == 6
            assert "posthog_warehouse.duckdb is held" in outcome.err + outcome.out
            assert f"PID {holder.pid}" in outcome.err + outcome.out
        holder.communicate()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("missing/posthog_warehouse.duckdb", ["does not exist", "--database"]),
        (".", ["is a folder"]),
        ("notes.txt", ["not a DuckDB file", "not touched"]),
    ],
)
def test_a_path_that_cannot_be_written_is_exit_code_6(
    quick: InProcess, posthog: Sandbox, path: str, words: list[str]
) -> None:
    (quick.folder / "notes.txt").write_text("to do\n" * 100)
    outcome = quick.pointed_at(posthog)("sync", "--database", path)
    assert outcome.code == 6
    assert_one_screen(outcome.err, *words)
    assert (quick.folder / "notes.txt").read_text() == "to do\n" * 100
    assert posthog.counters()["requests"] == 0


def test_a_posthog_that_only_fails_is_exit_code_7(quick: InProcess, posthog: Sandbox) -> None:
    posthog.add_fault("status", status=503, always=True, headers={"Retry-After": "0.05"}, body="<h1>Down</h1>")
    outcome = quick.pointed_at(posthog)("sync")
    assert outcome.code == 7
    assert_one_screen(outcome.err[outcome.err.index("Error:") :], "6 attempts")
    assert quick.databases == []


def test_a_refusal_of_our_own_query_is_our_fault(quick: InProcess, posthog: Sandbox) -> None:
    posthog.add_fault("status", status=400, path="/query/", at=_queries_from(quick, posthog, 1))
    outcome = quick("sync")
    assert outcome.code == 1
    assert_one_screen(outcome.err[outcome.err.index("Error:") :], "--debug", "report")
    debugged = quick("sync", "--debug")
    assert "Traceback" in debugged.err


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sync_can_be_gone_on_with(
    program: Program, quick: InProcess, posthog: Sandbox, signal_number: signal.Signals
) -> None:
    late = _queries_from(quick, posthog, 6)
    posthog.add_fault("slow", path=r"/query/$", at=late, seconds=30)
    program.pointed_at(posthog).settings(SMALL)
    with program.start("sync", "events") as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if line.startswith("Package 1 "):
                break
        process.send_signal(signal_number)
        begun = time.monotonic()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal_number
    assert time.monotonic() - begun < 20
    assert_one_screen(err, "Stopped by", "what was loaded is kept", "posthog-warehouse sync events")
    kept = _count(program.folder / "posthog_warehouse.duckdb", "events")
    assert 0 < kept < posthog.counts()["events"]
    posthog.clear_faults()
    assert quick.settings("").pointed_at(posthog)("sync", "events").code == 0
    assert _count(program.folder / "posthog_warehouse.duckdb", "events", "DISTINCT uuid") == posthog.counts()["events"]


def test_help_is_everywhere_and_quick(quick: InProcess) -> None:
    commands = ["demo", "sync", "compact", "sandbox", "status", "retype", "query", "tables", "doctor"]
    top = quick("-h")
    assert top.code == 0
    assert re.findall(r"^│ (\w+) ", top.out, re.MULTILINE) == commands
    for command in commands:
        outcome = quick(command, "-h")
        assert outcome.code == 0
        assert "Usage: " in outcome.out
    loaded = "import sys, pipelines.cli; sys.exit('dlt' in sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], env=quick.environment, check=True)


def test_no_flag_takes_the_key(quick: InProcess) -> None:
    assert "--api-key" not in quick("sync", "-h").out


def test_the_version_is_shown(quick: InProcess) -> None:
    outcome = quick("--version")
    assert (outcome.code, outcome.out) == (0, f"posthog-warehouse {__version__}\n")


def test_the_sandbox_serves_until_it_is_stopped(program: Program) -> None:
    arguments = ["--port", "0", "--events", "500", "--persons", "50", "--format", "json"]
    with program.start("sandbox", *arguments) as process:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline())
        assert Sandbox(facts).counts()["events"] == 500
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 0
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", facts["port"]), timeout=5)


@pytest.mark.parametrize("command", ["sandbox", "demo"])
def test_without_the_sandbox_extra_the_way_to_get_it_is_told(
    quick: InProcess, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr(sandbox_process, "_NEEDS", ("uvicorn", "a_module_that_is_not_there"))
    outcome = quick(command)
    assert outcome.code == 2
    assert_one_screen(outcome.err[outcome.err.index("Error:") :], "pip install 'posthog-warehouse[sandbox]'")
