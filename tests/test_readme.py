"""The README is true: its script runs, its links lead somewhere, its exit codes and output are the program's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from posthog_warehouse.pipelines.exit_codes import ExitCode
from posthog_warehouse.sandbox.local import Sandbox
from tests.faults.syncing import sync_here

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_dlt_script_loads_every_event(sandbox_cloud: Sandbox, tmp_path: Path) -> None:
    script = re.search(r"<!-- test: dlt script -->\n```python\n(.*?)```", README, re.DOTALL)
    assert script is not None
    (tmp_path / "load.py").write_text(script[1])

    done = subprocess.run(
        [sys.executable, "load.py"],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SOURCES__POSTHOG__API_KEY": sandbox_cloud.api_key,
            "SOURCES__POSTHOG__HOST": sandbox_cloud.host,
            "DLT_DATA_DIR": str(tmp_path / "dlt"),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert f"{sandbox_cloud.counts()['events']} events" in done.stdout
    assert len(script[1].strip().splitlines()) <= 20
    assert "WARNING" not in done.stderr, done.stderr


def test_its_queries_answer(sandbox_cloud: Sandbox, tmp_path: Path) -> None:
    """Those of days say the same as the plain way to ask."""
    events = sandbox_cloud.counts()["events"]
    assert sync_here(sandbox_cloud, tmp_path / "warehouse.duckdb").result.totals["events"] == events
    queries = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)
    assert len(queries) == 2
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        browsers, days = (connection.execute(query).fetchall() for query in queries)
        assert sum(count for _, count, _ in browsers) == events
        plain = queries[1].replace("make_timestamp(epoch_us(timestamp))::DATE", "timestamp::DATE")
        assert plain != queries[1]
        assert connection.execute(plain).fetchall() == days


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+)\)", README))))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_exit_codes_are_the_programs() -> None:
    listed = {int(code) for code in re.findall(r"^\| (\d) \| ", README, re.MULTILINE)}
    assert listed == {int(code) for code in ExitCode if int(code) < 10}


def test_the_shown_output_is_what_the_demo_prints() -> None:
    shown = README.split("<!-- demo output: begin -->")[1].split("<!-- demo output: end -->")[0]
    for line in ("Connecting to PostHog ...", "Checking against PostHog ...", "complete:", "events_resolved"):
        assert line in shown
