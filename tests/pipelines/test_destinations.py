"""`--destination`: what there is to choose from, and what adding one takes."""

from __future__ import annotations

from pathlib import Path

import dlt
import duckdb
import pytest

from posthog_warehouse.destinations.destination import Destination, Place
from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.destinations.kinds import KINDS, Kind
from posthog_warehouse.destinations.registry import DESTINATIONS, Declaration
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE
from tests.faults.syncing import LONG
from tests.local_postgres import PASSWORD, LocalPostgres
from tests.pipelines.conftest import InProcess, assert_one_screen
from tests.pipelines.elsewhere import settings_of


def in_a_folder(place: Place) -> Destination:
    Path(place.bucket_url).mkdir(exist_ok=True)
    return DuckDbFile(Path(place.bucket_url) / "own.duckdb", place.dataset, place.memory_limit)


def test_a_new_destination_takes_one_declaration(
    quick: InProcess, posthog: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Declaration("own", in_a_folder, settings=frozenset({"bucket_url"}))
    monkeypatch.setitem(DESTINATIONS, own.name, own)
    there = ("--destination", "own", "--bucket-url", "somewhere")

    outcome = quick.pointed_at(posthog)("sync", "persons", *there)
    assert outcome.code == 0, outcome.err
    with duckdb.connect(str(quick.folder / "somewhere" / "own.duckdb"), read_only=True) as con:
        assert con.sql("SELECT count(*) FROM posthog.persons WHERE NOT is_deleted").fetchall() == [
            (posthog.counts()["persons"],)
        ]
    assert "persons" in quick("status", *there).out
    assert "destination" in quick("doctor", *there).out
    assert quick.databases == []
    assert "own" in quick("sync", "--destination", "none").err


@pytest.mark.parametrize("command", ["sync", "status", "doctor", "query"])
def test_an_unknown_destination_is_told_with_those_there_are(quick: InProcess, command: str) -> None:
    quick.environment["POSTHOG_PERSONAL_API_KEY"] = "phx_0123456789abcdef"
    sql = ["SELECT 1"] if command == "query" else []
    outcome = quick(command, *sql, "--destination", "duckbd")
    assert outcome.code == 2
    said = outcome.err + outcome.out
    for word in ("duckbd", "Did you mean duckdb?", *DESTINATIONS):
        assert word in said
    assert quick.databases == []


def test_a_flag_of_another_destination_is_not_passed_over(quick: InProcess) -> None:
    quick.environment["POSTHOG_PERSONAL_API_KEY"] = "phx_0123456789abcdef"
    outcome = quick("sync", "--bucket-url", "s3://bucket")
    assert outcome.code == 2
    assert_one_screen(outcome.err, "--bucket-url", "duckdb")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_without_driver_or_settings_one_message_tells_both_and_nothing_is_asked(
    quick: InProcess, posthog: Sandbox, kind: Kind
) -> None:
    if kind.name == "ducklake":
        pytest.skip("it has a default for every setting, and its driver is DuckDB")
    posthog.reset_counters()
    outcome = quick.pointed_at(posthog)("sync", "--destination", kind.name)

    assert outcome.code == 2
    sections = {f"[destination.{kind.name}{'.credentials' if '.' in name else ''}]" for name in kind.settings}
    assert_one_screen(outcome.err, kind.name, *sections, *(name.split(".")[-1] for name in kind.settings))
    assert f"DESTINATION__{kind.name.upper()}__" in outcome.err
    if not _has_driver(kind):
        assert f'pip install "dlt[{kind.extra}]"' in outcome.err
    assert posthog.counters()["requests"] == 0
    assert "fail" in quick("doctor", "--destination", kind.name).out


def _has_driver(kind: Kind) -> bool:
    try:
        return getattr(dlt.destinations, kind.name)().client_class is not None
    except ImportError:
        return False


def test_a_driver_alone_is_told_where_the_settings_are_there(quick: InProcess, posthog: Sandbox) -> None:
    quick.environment |= {
        "DESTINATION__CLICKHOUSE__CREDENTIALS__HOST": "localhost",
        "DESTINATION__CLICKHOUSE__CREDENTIALS__DATABASE": "warehouse",
        "DESTINATION__CLICKHOUSE__CREDENTIALS__USERNAME": "loader",
        "DESTINATION__CLICKHOUSE__CREDENTIALS__PASSWORD": "tell-nobody",
    }
    outcome = quick.pointed_at(posthog)("sync", "--destination", "clickhouse")
    assert outcome.code == 2
    assert_one_screen(outcome.err, 'pip install "dlt[clickhouse]"')
    assert "[destination.clickhouse" not in outcome.err
    assert "tell-nobody" not in outcome.err


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("postgres", "numeric(20, 0)"),
        ("sqlalchemy in sqlite", ""),
        *([("ducklake in sqlite", "UBIGINT")] if LONG else []),
    ],
)
def test_the_program_loads_all_tables_and_tells_of_them(
    kind: str, number: str, quick: InProcess, posthog: Sandbox, postgres: LocalPostgres
) -> None:
    quick.pointed_at(posthog).environment |= settings_of(kind, postgres, quick.folder)
    to = ("--destination", kind.split(maxsplit=1)[0])

    lists = ("feature_flags", "cohorts", "insights", "activity_log")
    # Where each table takes a second, all of them are for the long form.
    tables = () if LONG or kind == "postgres" else (*CORE, "session_recordings", "insight_trends", *lists)
    assert "new" in quick("doctor", *to).out
    outcome = quick("sync", *tables, *to, "--format", "json")
    assert outcome.code == 0, outcome.out
    assert {table["check"] for table in outcome.of("table")} <= {"complete", "skipped", "not due"}
    rows = {table["table"]: table["rows_total"] for table in outcome.of("table")}
    assert rows["events"] == posthog.counts()["events"]
    assert rows["feature_flags"] == posthog.list_counts()["feature_flags"]

    again = quick("sync", *lists, *to, "--format", "json")
    assert again.code == 0, again.out
    assert {table["table"]: table["rows_total"] for table in again.of("table")} == {name: rows[name] for name in lists}

    status = quick("status", *to, "--format", "json")
    assert {each["table"]: each["rows"] for each in status.of("table")}["events"] == rows["events"]
    assert [run["status"] for run in status.of("run")] == ["complete"] * 2
    assert kind == "sqlalchemy in sqlite" or status.of("run")[0]["started_at"].endswith("+00:00")
    query = quick("query", "SELECT event, count() AS n FROM events GROUP BY event", *to, "--table", "per_event")
    assert query.code == 0, query.err
    assert number in query.out
    assert PASSWORD not in outcome.out + status.out + query.out + query.err
    assert quick.databases == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"PORT": "9"}, (6, ["127.0.0.1", "refused", "reached from here"])),
        ({"PASSWORD": "wrong-s3cret"}, (6, ["password authentication failed"])),
        ({"DATABASE": "none_such"}, (6, ["none_such", "does not exist"])),
        ({"": "no address at all:s3cret"}, (2, ["cannot be right", "[destination.postgres.credentials]"])),
    ],
    ids=["closed port", "wrong password", "no such database", "no address"],
)
def test_a_database_that_does_not_let_us_in_is_told_without_the_password(
    quick: InProcess, posthog: Sandbox, postgres: LocalPostgres, wrong: dict[str, str], told: tuple[int, list[str]]
) -> None:
    code, words = told
    settings = {**postgres.new_database(), **wrong}
    for name, value in settings.items():
        quick.environment[f"DESTINATION__POSTGRES__CREDENTIALS__{name}".removesuffix("__")] = value
    posthog.reset_counters()
    outcome = quick.pointed_at(posthog)("sync", "--destination", "postgres")
    assert outcome.code == code, outcome.err
    assert_one_screen(outcome.err, *words)
    assert PASSWORD not in outcome.err
    assert "s3cret" not in outcome.err
    assert posthog.counters()["requests"] == 0


@pytest.mark.parametrize("debug", [[], ["--debug"]], ids=["", "debug"])
def test_a_catalog_that_does_not_let_us_in_is_told_without_the_password(
    quick: InProcess, posthog: Sandbox, postgres: LocalPostgres, debug: list[str]
) -> None:
    database = postgres.new_database()
    quick.environment["DESTINATION__DUCKLAKE__CREDENTIALS__CATALOG"] = (
        f"postgres://{database['USERNAME']}:wrong-s3cret@127.0.0.1:{database['PORT']}/{database['DATABASE']}"
    )
    posthog.reset_counters()
    outcome = quick.pointed_at(posthog)("sync", "--destination", "ducklake", *debug)
    assert outcome.code == 6, outcome.err
    assert "ducklake" in outcome.err
    assert "s3cret" not in outcome.err + outcome.out
    assert posthog.counters()["requests"] == 0


def test_a_user_who_may_make_no_schema_is_told_before_anything_is_asked(
    quick: InProcess, posthog: Sandbox, postgres: LocalPostgres
) -> None:
    settings = postgres.new_database()
    postgres.run("postgres", f"ALTER DATABASE {settings['DATABASE']} OWNER TO postgres")
    quick.environment |= {f"DESTINATION__POSTGRES__CREDENTIALS__{k}": v for k, v in settings.items()}
    posthog.reset_counters()
    outcome = quick.pointed_at(posthog)("sync", "--destination", "postgres")
    assert outcome.code == 6
    assert_one_screen(outcome.err, "CREATE", settings["DATABASE"])
    assert posthog.counters()["requests"] == 0
