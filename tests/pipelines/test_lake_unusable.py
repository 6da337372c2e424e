"""A file in a Parquet lake that somebody cut off or added: told, left as it is, and its table alone left out.

Who then does what the message says has everything again with the next sync, each key once.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import TABLES
from tests.destinations.lake.lakes import LocalPlace, Place, S3Place, glob_of
from tests.destinations.lake.s3 import S3Server
from tests.faults.syncing import LONG
from tests.pipelines.conftest import InProcess, Outcome, assert_one_screen

pytestmark = pytest.mark.slow

LOADED = ("events", "persons", "person_distinct_ids", "sessions", "session_recordings", "cohorts")
HOUR = 3600


@dataclass
class Program:
    """The program with a lake, and a PostHog in which things happen."""

    run: InProcess
    posthog: Sandbox
    place: Place

    def __call__(self, command: str, *arguments: str) -> Outcome:
        return self.run(command, *arguments)

    def sync(self, *more: str) -> Outcome:
        return self("sync", *LOADED, *more)

    def complete(self) -> dict[str, int]:
        """The next sync proves everything, and the glob finds each key once, and all that PostHog has.

        Returns how many rows of each table it read.
        """
        outcome = self.sync("--format", "json")
        assert outcome.code == 0, outcome.err + outcome.out
        counts = self.posthog.counts()
        with self.place.connect() as con:
            for table in LOADED:
                keys = ", ".join(TABLES[table].keys)
                rows, distinct = con.execute(
                    f"SELECT count(*), count(DISTINCT ({keys})) FROM {glob_of(self.place, table)}"
                ).fetchall()[0]
                assert rows == distinct, table
                assert table not in counts or rows == counts[table], table
        return {each["table"]: each["rows_read"] for each in outcome.of("table")}

    def happens(self) -> None:
        """Rows of all tables are new or change."""
        self.posthog.add_events(40, seed=5, days_back=1)
        self.posthog.update_persons(20)
        self.posthog.advance_clock(HOUR)

    def queries(self) -> str:
        """What PostHog was asked."""
        return "\n".join(str(each) for each in self.posthog.requests())


MENDED = [
    *(("local", table, "deleting it") for table in (LOADED if LONG else ("events",))),
    *(("local", table, "a copy") for table in (("events", "persons") if LONG else ())),
    *(("s3", table, "deleting it") for table in (("events", "persons") if LONG else ())),
]


@pytest.fixture
def program(request: pytest.FixtureRequest, tmp_path: Path, quick: InProcess, posthog: Sandbox) -> Program:
    place: Place = LocalPlace(tmp_path / "lake")
    quick.pointed_at(posthog)
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        quick.environment |= server.environment
        place = S3Place(server, server.new_bucket())
    quick.settings(f'[sync]\ndestination = "parquet"\nbucket_url = "{place.url}"\n')
    made = Program(quick, posthog, place)
    made.complete()
    return made


def largest(place: Place, table: str) -> str:
    return max(place.files(table), key=lambda path: len(place.get(path)))


def cut_off(place: Place, path: str) -> None:
    place.put(path, place.get(path)[:-100])


@pytest.mark.parametrize(("program", "table", "mended_by"), MENDED, indirect=["program"])
def test_a_file_that_was_cut_off(table: str, mended_by: str, program: Program) -> None:
    place = program.place
    path = largest(place, table)
    whole = place.get(path)
    cut_off(place, path)
    left = {each: place.get(each) for each in place.files(table)}
    program.happens()

    outcome = program.sync("--format", "json")
    assert outcome.code == 6, outcome.err
    assert outcome.of("result"), outcome.out + outcome.err
    assert outcome.of("result")[0]["status"] == "blocked"
    checks = {each["table"]: each for each in outcome.of("table")}
    assert checks[table]["check"] == "unknown", "it is not proven"
    assert checks[table]["rows_total"] is None
    assert path in checks[table]["reason"]
    assert {each["check"] for name, each in checks.items() if name != table} == {"complete"}, "the rest is loaded"
    assert checks[table]["rows_read"] == 0
    [problem] = outcome.of("error")
    assert path in problem["message"]
    assert "delete it" in problem["advice"]
    assert {each: place.get(each) for each in place.files(table)} == left, "nothing is changed in its table"

    if mended_by == "a copy":
        place.put(path, whole)
    else:
        place.remove(path)
    program.complete()


@pytest.mark.parametrize("program", ["local", "s3"] if LONG else ["local"], indirect=True)
def test_a_file_that_somebody_added(program: Program) -> None:
    place = program.place
    buffer = io.BytesIO()
    pq.write_table(pa.table({"uuid": ["mine"]}), buffer)
    day = largest(place, "events").rsplit("/", 1)[0]
    place.put(f"{day}/mine.parquet", buffer.getvalue())
    place.put("events/notes.parquet", b"to do")
    left = {each: place.get(each) for each in place.files("events")}
    program.happens()
    program.posthog.reset_counters()

    outcome = program.sync()
    assert outcome.code == 6, outcome.err
    for path, words in ((f"{day}/mine.parquet", "not written by this program"), ("notes.parquet", "cannot be read")):
        assert path in outcome.err
        assert words in outcome.err
    assert "Not loaded for it: events; the other tables are." in outcome.err
    assert {each: place.get(each) for each in place.files("events")} == left
    assert "FROM events" not in program.queries(), "nothing is asked for that cannot be loaded"

    place.remove(f"{day}/mine.parquet")
    place.remove("events/notes.parquet")
    assert 40 <= program.complete()["events"] < 1_000, "nothing was lost, so nothing is asked for again but what is new"


@pytest.mark.parametrize("program", ["local"], indirect=True)
def test_what_the_message_of_a_damaged_file_says(program: Program) -> None:
    """One message for each file, in all commands that would work on the table."""
    persons, cohorts = largest(program.place, "persons"), largest(program.place, "cohorts")
    for path in (persons, cohorts):
        cut_off(program.place, path)
    told = program.sync()
    assert_one_screen(told.err[told.err.index("Error:") :], persons, cohorts, "It was left as it is", "delete it")
    assert told.err.count("Error:") == 2
    for command in (("doctor",), ("compact",), ("retype", "persons")):
        again = program(*command)
        assert again.code == 6, again.err
        assert persons in again.err + again.out
    assert program("retype", "events").code == 0
    assert program("compact", "events").code == 0
    other = program("sync", "events")
    assert other.code == 0, "who does not ask for the table is not kept from the others"
