"""`--destination`: what there is to choose from, and what adding one takes."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from destinations.destination import Destination, Place
from destinations.duckdb import DuckDbFile
from destinations.registry import DESTINATIONS, Declaration
from sandbox.local import Sandbox
from tests.pipelines.conftest import InProcess, assert_one_screen


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
