"""The demo: from nothing to a checked warehouse, and nothing of it left running or half made."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import duckdb
import psutil

from posthog_warehouse.pipelines.demo import EXAMPLES
from posthog_warehouse.sandbox.local import Sandbox
from tests.faults.syncing import long_only
from tests.pipelines.conftest import InProcess, Program, assert_one_screen

SMALL = ("--events", "2000", "--persons", "100")


def _events(database: Path) -> int:
    with duckdb.connect(str(database), read_only=True) as connection:
        row = connection.execute("SELECT count(*) FROM posthog.events").fetchone()
    assert row is not None
    return int(row[0])


def test_the_demo_ends_with_complete_and_answers_to_queries(program: Program) -> None:
    outcome = program("demo", *SMALL)
    assert outcome.code == 0, outcome.err
    assert re.search(r"events +[\d,]+ +2,000 +complete", outcome.out)
    assert re.search(r"^complete: ", outcome.out, re.MULTILINE)
    for title, sql in EXAMPLES:
        assert title in outcome.out
        assert sql in outcome.out
    assert "$pageview" in outcome.out
    assert "POSTHOG_PERSONAL_API_KEY" in outcome.out
    assert "\x1b" not in outcome.out + outcome.err
    assert program.databases == ["posthog_demo.duckdb"]


@long_only
def test_a_second_demo_takes_the_place_of_the_first(quick: InProcess) -> None:
    assert quick("demo", *SMALL).code == 0
    outcome = quick("demo", "--events", "1500", "--persons", "80", "--format", "json")
    assert outcome.code == 0
    assert _events(quick.folder / "posthog_demo.duckdb") == 1500
    examples = outcome.of("example")
    assert [example["title"] for example in examples] == [title for title, _ in EXAMPLES]
    assert all(example["rows"] for example in examples)


def test_settings_of_the_folder_do_not_reach_the_demo(quick: InProcess, sandbox_cloud: Sandbox) -> None:
    quick.pointed_at(sandbox_cloud).settings('[sync]\ndatabase = "mine.duckdb"\nno_such_setting = 1')
    assert quick("demo", *SMALL).code == 0
    assert quick.databases == ["posthog_demo.duckdb"]


def test_a_file_that_no_demo_made_is_not_replaced(quick: InProcess) -> None:
    path = quick.folder / "posthog_demo.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE mine AS SELECT 42 AS answer")
    outcome = quick("demo", *SMALL)
    assert outcome.code == 6
    assert_one_screen(outcome.err, "not a demo's", "another folder")
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute("SELECT answer FROM mine").fetchall() == [(42,)]


def test_a_demo_that_is_stopped_leaves_neither_a_file_nor_a_process(program: Program) -> None:
    with program.start("demo", "--events", "20000") as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("Connecting"):
                break
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert_one_screen(err, "Stopped by Ctrl-C", "nothing is left behind")
    assert psutil.wait_procs(children, timeout=20)[1] == []
    assert program.databases == []
