"""A sandbox in a child process: how it starts, what it prints, and that it always ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from posthog_warehouse.sandbox.local import Sandbox, SandboxError

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--events", "200", "--persons", "10", "--days", "2"]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "posthog_warehouse.sandbox", *SMALL, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_it_prints_one_line_of_json_and_ends_cleanly(stop: signal.Signals) -> None:
    process = start("--port", "0", "--format", "json")
    assert process.stdout is not None
    facts = json.loads(process.stdout.readline())
    assert set(facts) == {"host", "project_id", "api_key", "port"}
    assert facts["host"] == f"http://127.0.0.1:{facts['port']}"
    process.send_signal(stop)
    rest, _ = process.communicate(timeout=20)
    assert (process.returncode, rest) == (0, "")


def test_it_tells_people_how_to_use_it() -> None:
    process = start("--port", "0")
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if "/_sandbox/" in line:
            break
    process.terminate()
    process.communicate(timeout=20)
    for words in (
        "POSTHOG_HOST=",
        "POSTHOG_PROJECT_ID=1",
        "POSTHOG_PERSONAL_API_KEY=",
        "posthog-warehouse sync",
        "curl",
    ):
        assert words in said


def test_a_port_in_use_is_one_clear_line_and_exit_code_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start("--port", str(port))
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert str(port) in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [["--profile", "moon"], ["--events", "0"], ["--now", "noon"], ["--behaviour", '{"no": 1}']]
)
def test_bad_usage_is_exit_code_2(arguments: list[str]) -> None:
    process = start("--port", "0", *arguments)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, "")
    assert "Traceback" not in err


def test_it_listens_on_the_loopback_interface_only() -> None:
    with Sandbox.start(events=100, persons=10, days=2) as sandbox:
        listening = [
            connection.laddr
            for connection in psutil.Process(sandbox.pid).net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
    assert [(address.ip, address.port) for address in listening] == [("127.0.0.1", sandbox.port)]


def gone(pid: int, *, within: float = 20) -> bool:
    deadline = time.monotonic() + within
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
    return True


@pytest.mark.parametrize("events", [100, 500_000], ids=["while it serves", "while it makes data"])
def test_it_ends_when_the_process_that_started_it_is_killed(events: int) -> None:
    code = (
        "from posthog_warehouse.sandbox.local import Sandbox; "
        f"Sandbox.start(events={events}); print('ready', flush=True); input()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not (children := psutil.Process(parent.pid).children()):
        assert time.monotonic() < deadline
    if events == 100:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert gone(children[0].pid)


def test_stop_may_be_called_twice_and_the_control_api_can_stop_it_too() -> None:
    sandbox = Sandbox.start(events=100, persons=10, days=2)
    pid = sandbox.pid
    httpx.post(f"{sandbox.host}/_sandbox/shutdown", trust_env=False)
    assert gone(pid)
    sandbox.stop()
    sandbox.stop()
    with pytest.raises(SandboxError):
        _ = sandbox.pid


def test_a_stop_does_not_wait_for_a_long_query_and_leaves_no_data_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    sandbox = Sandbox.start(events=3_000, persons=50, days=2)
    text = "select sum(length(a.event) * length(c.event)) from events a cross join events b cross join events c"
    httpx.post(
        f"{sandbox.host}/api/projects/1/query/",
        headers={"Authorization": f"Bearer {sandbox.api_key}"},
        json={"query": {"kind": "HogQLQuery", "query": text}, "refresh": "force_async"},
        trust_env=False,
    )
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("posthog-sandbox-")]
    started = time.monotonic()
    sandbox.stop()
    assert time.monotonic() - started < 9
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("posthog-sandbox-")] == []


def test_a_failed_start_says_why() -> None:
    with pytest.raises(SandboxError, match="no_such_switch"):
        Sandbox.start(behaviour={"no_such_switch": True})


def test_a_data_folder_is_kept_and_refused_for_other_data(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with Sandbox.start(events=300, persons=20, days=2, data=folder) as sandbox:
        sandbox.add_events(7, timestamp="2026-01-01T00:00:00Z", event="kept")
        counts = sandbox.counts()
    with Sandbox.start(events=300, persons=20, days=2, data=folder) as sandbox:
        assert sandbox.counts() == counts
    with pytest.raises(SandboxError, match="--events 300"):
        Sandbox.start(events=400, persons=20, days=2, data=folder)
    (tmp_path / "something").mkdir()
    (tmp_path / "something" / "else.txt").write_text("mine")
    with pytest.raises(SandboxError, match="not empty"):
        Sandbox.start(events=300, persons=20, days=2, data=tmp_path / "something")
    assert (tmp_path / "something" / "else.txt").read_text() == "mine"
