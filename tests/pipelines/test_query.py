"""`query`, and `[queries.NAME]` with sync, as people use them."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import duckdb
import orjson
import pytest

from posthog_warehouse.pipelines import query_command
from posthog_warehouse.pipelines.config import load
from posthog_warehouse.sandbox.local import Sandbox
from tests.pipelines.conftest import InProcess, Program, assert_one_screen
from tests.sandboxes import started

PER_EVENT = "SELECT event, count() AS n FROM events GROUP BY event"


@pytest.fixture(scope="module")
def posthog() -> Iterator[Sandbox]:
    with started(events=1_000, persons=50, seed=5) as sandbox:
        yield sandbox


def test_rows_are_shown_and_nothing_is_made(quick: InProcess, posthog: Sandbox) -> None:
    quick.pointed_at(posthog)
    outcome = quick("query", f"{PER_EVENT} ORDER BY n DESC", "--rows", "2")
    assert outcome.code == 0, outcome.err
    assert "$pageview" in outcome.out
    assert "2 rows; there are more" in outcome.out
    assert quick.databases == []


def test_rows_are_an_object_each_in_json(quick: InProcess, posthog: Sandbox) -> None:
    sql = "SELECT {a} AS type, 18446744073709551615 AS n, 0 / 0 AS f, toDecimal('1.50', 2) AS d, [1] AS l"
    outcome = quick.pointed_at(posthog)("query", sql, "--variable", 'a="7"', "--format", "json")
    assert outcome.code == 0
    [row] = outcome.of("row")
    assert row["row"] == {"type": "7", "n": 2**64 - 1, "f": "nan", "d": "1.50", "l": [1]}
    [last] = outcome.of("query")
    assert (last["rows"], last["has_more"], last["columns"][1]) == (1, False, {"column": "n", "type": "UInt64"})
    assert outcome.err == ""


def test_a_query_is_loaded_as_a_table(quick: InProcess, posthog: Sandbox) -> None:
    (quick.folder / "per_event.sql").write_text(f"-- how many of each\n{PER_EVENT};\n", encoding="utf-8")
    outcome = quick.pointed_at(posthog)("query", "--file", "per_event.sql", "--table", "per_event", "--key", "event")
    assert outcome.code == 0, outcome.err
    for words in ("per_event", "complete", "SELECT * FROM posthog.per_event", "UBIGINT", "in PostHog UInt64"):
        assert words in outcome.out
    wanted = posthog.sql("SELECT event, count() FROM events GROUP BY event ORDER BY event")
    with duckdb.connect(str(quick.folder / "posthog_warehouse.duckdb")) as connection:
        assert connection.execute("FROM posthog.per_event ORDER BY event").fetchall() == [*map(tuple, wanted)]


def test_queries_of_the_configuration_are_synced_beside_the_tables(quick: InProcess, posthog: Sandbox) -> None:
    quick.pointed_at(posthog).settings(
        f'[queries.per_event]\nsql = "{PER_EVENT}"\nkey = "event"\nrefresh = "1d"\n'
        '[queries.ids]\nsql = "SELECT uuid, created_at FROM events"\nkey = "uuid"\ncursor = "created_at"\n'
    )
    for _ in range(2):
        outcome = quick("sync", "persons", "per_event", "ids", "--format", "json")
        assert outcome.code == 0, outcome.out
        checks = {table["table"]: table["check"] for table in outcome.of("table")}
        assert checks == {"persons": "complete", "per_event": "complete", "ids": "complete"}
    read = {table["table"]: table["rows_read"] for table in outcome.of("table")}
    assert read["per_event"] == 0
    assert read["ids"] < 100
    assert "refresh" in outcome.of("note")[0]["text"]
    assert [table.name for table in load().sync_options().tables[-2:]] == ["per_event", "ids"]


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT event, countt() FROM events", ["line 1, column 15", "countt", "nothing was loaded"]),
        ("SELECT event FROM events", ["no column evnt", "Did you mean event?"]),
    ],
)
def test_a_query_that_cannot_be_right_is_refused_before_anything_is_loaded(
    quick: InProcess, posthog: Sandbox, sql: str, words: list[str]
) -> None:
    quick.pointed_at(posthog).settings(f'[queries.mine]\nsql = "{sql}"\nkey = "evnt"\n')
    outcome = quick("sync", "persons", "mine")
    assert outcome.code == 2
    assert_one_screen(outcome.err[outcome.err.index("Error:") :], "query mine", *words)
    assert quick.databases == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('[queries.mine]\nsql = "SELECT 1"\nkeey = "a"\n', ["keey", "Did you mean key?"]),
        ('[queries.events]\nsql = "SELECT 1"\n', ["There is a table events already"]),
        ('[queries.sync_runs]\nsql = "SELECT 1"\n', ["There is a table sync_runs already"]),
        ('[queries.mine]\nfile = "missing.sql"\n', ["missing.sql", "cannot be read"]),
        ('[queries.mine]\nfile = "a.sql"\nsql = "SELECT 1"\n', ["both sql and file"]),
        ('[queries]\nmine = "SELECT 1"\n', ["[queries.mine]"]),
    ],
)
def test_bad_settings_are_refused_before_anybody_is_asked(
    quick: InProcess, posthog: Sandbox, settings: str, words: list[str]
) -> None:
    outcome = quick.pointed_at(posthog).settings(settings)("sync", "persons")
    assert outcome.code == 2
    assert_one_screen(outcome.err, *words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["There is no query"]),
        (["SELECT 1", "--key", "a"], ["--table NAME"]),
        (["SELECT 1", "--table", "events"], ["There is a table events already"]),
        (["SELECT 1", "--table", "My Table"], ["my_table would do"]),
        (["SELECT 1", "--table", "t", "--write", "merge"], ["no key"]),
        (["SELECT 1", "--variable", "a"], ["name=value"]),
        (["SELECT 1", "--file", "x.sql"], ["both sql and file"]),
    ],
)
def test_bad_usage_is_told_in_one_screen(
    quick: InProcess, posthog: Sandbox, arguments: list[str], words: list[str]
) -> None:
    outcome = quick.pointed_at(posthog)("query", *arguments)
    assert outcome.code == 2
    assert_one_screen(outcome.err, *words)
    assert quick.databases == []


def test_more_rows_than_an_answer_holds_need_a_key(quick: InProcess, posthog: Sandbox) -> None:
    sql = "SELECT number FROM numbers(60000)"
    refused = quick.pointed_at(posthog)("query", sql, "--table", "numbered")
    assert refused.code == 2
    assert_one_screen(refused.err[refused.err.index("Error:") :], "60,000 rows", "50,000", "--key")
    assert quick.databases == []
    assert quick("query", sql, "--table", "numbered", "--key", "number").code == 0
    with duckdb.connect(str(quick.folder / "posthog_warehouse.duckdb")) as connection:
        assert connection.execute("SELECT count(*), max(number) FROM posthog.numbered").fetchall() == [(60_000, 59_999)]


@pytest.mark.parametrize("table", [(), ("--table", "slow")])
def test_ctrl_c_stops_the_query_at_posthog(program: Program, posthog: Sandbox, table: tuple[str, ...]) -> None:
    posthog.reset_counters()
    fault = posthog.add_fault("slow", path=r"/query/$", always=True, seconds=60)
    assert fault
    try:
        with program.pointed_at(posthog).start("query", "SELECT 1", *table) as process:
            deadline = time.monotonic() + 60
            while not any(entry["method"] == "POST" for entry in posthog.requests()) and time.monotonic() < deadline:
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
    finally:
        posthog.clear_faults()
    assert process.returncode == 130
    assert "Stopped by Ctrl-C" in err
    assert any(entry["method"] == "DELETE" for entry in posthog.requests())


@pytest.mark.parametrize("levels", [3, 300, 2_000])
def test_a_json_column_of_any_depth_can_be_shown(levels: int) -> None:
    text = "[" * levels + "]" * levels
    shown = query_command._value(text, "json")
    assert orjson.loads(orjson.dumps(shown)) == shown
    assert str(shown) in (text, f"[[{text[2:-2]!r}]]")
