"""The source in a plain dlt script, as anybody would write one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pytest
from dlt.common.runtime.run_context import active
from dlt.pipeline.exceptions import PipelineStepFailed

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE, parse_time, posthog
from posthog_warehouse.sources.posthog.clock import DAY, HOUR, MAX, MIN, to_micros
from posthog_warehouse.sources.posthog.errors import KeyRefused, ScopeMissing
from posthog_warehouse.sources.posthog.planning.intervals import Window
from posthog_warehouse.sources.posthog.planning.ledger import Ledger
from posthog_warehouse.sources.posthog.readers.extraction import OtherProject
from tests.conftest import StartSandbox
from tests.sandboxes import started

SINCE = "2026-11-18"
"""Two days before the sandbox's time."""


@pytest.fixture(scope="module")
def still() -> Iterator[Sandbox]:
    """Data that no test changes."""
    with started(events=1_200, persons=100, seed=5, days=8) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """dlt as a script in an empty folder has it."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.chdir(tmp_path)
    active().reload()
    yield
    monkeypatch.undo()
    active().reload()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, still: Sandbox) -> None:
    """Key and host where dlt looks for them."""
    monkeypatch.setenv("SOURCES__POSTHOG__API_KEY", still.api_key)
    monkeypatch.setenv("SOURCES__POSTHOG__HOST", still.host)


def pipeline(folder: str = "working", database: str = "warehouse.duckdb") -> dlt.Pipeline:
    return dlt.pipeline(
        "plain",
        destination=dlt.destinations.duckdb(database),
        dataset_name="raw",
        pipelines_dir=str(Path(folder).resolve()),
    )


def keys(made: dlt.Pipeline, table: str) -> set[str]:
    key = CORE[table].key
    with made.sql_client() as client:
        found = client.execute_sql(f"SELECT {key} FROM {table}")
    assert found is not None
    assert len({row[0] for row in found}) == len(found)
    return {str(row[0]) for row in found}


def counts(made: dlt.Pipeline) -> dict[str, int]:
    return {table: len(keys(made, table)) for table in CORE}


def loaded(made: dlt.Pipeline) -> dict[str, int]:
    """Rows that the last run loaded."""
    trace = made.last_trace
    assert trace is not None
    assert trace.last_normalize_info is not None
    return {table: trace.last_normalize_info.row_counts.get(table, 0) for table in CORE}


def held(posthog_: Sandbox) -> dict[str, int]:
    return {table: posthog_.counts()[table] for table in CORE}


@pytest.mark.usefixtures("environment")
def test_three_lines_load_everything(still: Sandbox) -> None:
    made = pipeline()
    made.run(posthog())
    assert counts(made) == held(still)
    with made.sql_client() as client:
        rows = client.execute_sql("SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'events'")
    kinds = {row[0]: row[1] for row in rows or []}
    assert kinds["properties"] == "JSON"
    assert kinds["timestamp"] == "TIMESTAMP WITH TIME ZONE"


@pytest.mark.usefixtures("environment")
def test_settings_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch, still: Sandbox) -> None:
    monkeypatch.setenv("SOURCES__POSTHOG__SINCE", SINCE)
    monkeypatch.setenv("SOURCES__POSTHOG__LEAF_ROWS", "100")
    made = pipeline()
    made.run(posthog().with_resources("events"))
    recent = still.sql(f"SELECT uniqExact(uuid) FROM events WHERE timestamp >= '{SINCE}'")[0][0]
    assert 0 < recent == len(keys(made, "events")) < held(still)["events"]
    with made.sql_client() as client:
        tables = client.execute_sql("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'") or []
    assert ("persons",) not in tables
    monkeypatch.setenv("SOURCES__POSTHOG__LEAF_ROWS", "60000")
    with pytest.raises(ValueError, match="leaf_rows"):
        posthog()


@pytest.mark.usefixtures("environment")
def test_what_a_limit_left_out_comes_with_the_next_run(still: Sandbox) -> None:
    made = pipeline()
    limited = posthog(leaf_rows=150)
    limited.resources["events"].add_limit(1)
    made.run(limited.with_resources("events"))
    first = keys(made, "events")
    assert 0 < len(first) < held(still)["events"]
    state = made.state["sources"]["posthog"]["resources"].get("events", {})
    assert Ledger(dict(state)).covered.missing(Window(MIN, MAX, MIN, 0)) != [], "something counts as covered"
    made.run(posthog(leaf_rows=150))
    assert counts(made) == held(still)


def test_the_next_run_reads_what_is_new_with_the_state_from_the_destination(start_sandbox: StartSandbox) -> None:
    box = start_sandbox(events=1_200, persons=100, seed=5, days=8)
    here: dict[str, Any] = {"api_key": box.api_key, "host": box.host}
    pipeline("one").run(posthog(**here))
    box.advance_clock(26 * 3600)
    late = box.add_events(40, days_back=15, seed=1)
    box.update_persons(3)
    gone = box.delete_persons(2)
    box.advance_clock(1_200)

    # A fresh container: nothing but the destination.
    made = pipeline("two")
    made.run(posthog(**here))

    assert set(late) <= keys(made, "events")
    assert keys(made, "events") == {row[0] for row in box.sql("SELECT DISTINCT toString(uuid) FROM events")}
    assert loaded(made)["events"] < 300
    assert loaded(made)["persons"] < 60
    with made.sql_client() as client:
        left = client.execute_sql("SELECT person_id, properties FROM persons WHERE is_deleted") or []
    assert set(gone) <= {str(row[0]) for row in left}
    assert {row[1] for row in left} == {None}
    assert len(keys(made, "person_distinct_ids")) == held(box)["person_distinct_ids"]


def test_one_source_object_can_be_run_again(start_sandbox: StartSandbox) -> None:
    box = start_sandbox(events=300, persons=30, seed=5, days=3)
    source = posthog(api_key=box.api_key, host=box.host)
    made = pipeline()
    made.run(source)
    box.advance_clock(7_200)
    new = box.add_events(20, days_back=1, seed=1)
    box.advance_clock(1_200)
    made.run(source)
    assert set(new) <= keys(made, "events")


def test_a_run_that_failed_is_made_up_for_by_the_same_source(start_sandbox: StartSandbox) -> None:
    box = start_sandbox(events=300, persons=30, seed=5, days=3)
    source = posthog(api_key=box.api_key, host=box.host, leaf_rows=50)
    made = pipeline()
    box.add_fault("status", path="/query/", at=[6], status=401)
    with pytest.raises(PipelineStepFailed) as failed:
        made.run(source)
    assert isinstance(_cause(failed.value), KeyRefused)
    made.run(source)
    assert counts(made) == held(box)


def test_a_refused_table_fails_a_plain_script(start_sandbox: StartSandbox) -> None:
    """Nobody looks there for a table that could not be read: an empty one would pass for the whole."""
    box = start_sandbox(events=50, persons=10, seed=5, days=3)
    with pytest.raises(PipelineStepFailed) as failed:
        pipeline().run(posthog(api_key=box.create_key(["project:read"]), host=box.host))
    assert isinstance(_cause(failed.value), ScopeMissing)
    box.add_fault("status", path="/query/", at=[4], status=403)
    with pytest.raises(PipelineStepFailed):
        pipeline("two", "two.duckdb").run(posthog(api_key=box.api_key, host=box.host))


@pytest.mark.usefixtures("environment")
def test_another_project_is_refused(start_sandbox: StartSandbox, still: Sandbox) -> None:
    made = pipeline()
    made.run(posthog())
    other = start_sandbox(events=50, persons=10, seed=9, days=2)
    with pytest.raises(PipelineStepFailed) as failed:
        made.run(posthog(api_key=other.api_key, host=other.host))
    assert isinstance(_cause(failed.value), OtherProject)
    made.run(posthog())
    assert counts(made) == held(still)


def _cause(error: BaseException) -> BaseException | None:
    seen: BaseException | None = error
    while seen is not None and type(seen).__module__.partition(".")[0] != "posthog_warehouse":
        seen = seen.__cause__ or seen.__context__
    return seen


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.mark.usefixtures("environment")
def test_dlt_warns_of_nothing_that_is_as_it_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    # A sync in the same process has told dlt to keep quiet.
    monkeypatch.setenv("RUNTIME__LOG_LEVEL", "WARNING")
    made = pipeline()
    monkeypatch.setattr(logging.getLogger("dlt"), "level", logging.WARNING)
    kept = _Kept()
    logging.getLogger("dlt").addHandler(kept)
    try:
        made.run(posthog(leaf_rows=300))
        assert not [text for text in kept.messages if "column hints" in text]

        @dlt.resource(columns={"a": {"data_type": "json"}})
        def theirs() -> Iterator[pa.Table]:
            yield pa.table({"a": ["{}"]})

        pipeline("other", "other.duckdb").run(theirs())
    finally:
        logging.getLogger("dlt").removeHandler(kept)
    assert [text for text in kept.messages if "column hints" in text], "another source's warning is gone too"


@pytest.mark.parametrize(
    ("text", "time"),
    [
        (None, None),
        ("", None),
        ("2026-11-20", datetime(2026, 11, 20, tzinfo=timezone.utc)),
        ("2026-11-20T09:00:00Z", datetime(2026, 11, 20, 9, tzinfo=timezone.utc)),
        ("2026-11-20 09:00:00+02:00", datetime(2026, 11, 20, 7, tzinfo=timezone.utc)),
        (" 2026-11-20T09:00:00.123456 ", datetime(2026, 11, 20, 9, 0, 0, 123_456, tzinfo=timezone.utc)),
    ],
)
def test_times_are_read_as_utc(text: str | None, time: datetime | None) -> None:
    assert parse_time(text) == (None if time is None else to_micros(time))


def test_spans_go_back_from_now() -> None:
    now = datetime(2026, 11, 20, tzinfo=timezone.utc)
    assert parse_time("30d", now) == to_micros(now) - 30 * DAY
    assert parse_time("12H", now) == to_micros(now) - 12 * HOUR


@pytest.mark.parametrize("text", ["yesterday", "20.11.2026", "30", "d", "2026-13-01"])
def test_what_is_no_time_says_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="give a date"):
        parse_time(text)
