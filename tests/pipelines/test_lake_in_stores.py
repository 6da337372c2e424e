"""The program with a lake at Google or Azure: loads, takes up what is new, merges files, answers; S3 is elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from tests.destinations.lake.lakes import BucketPlace, ObjectServer, glob_of
from tests.faults.syncing import LONG
from tests.pipelines.conftest import InProcess

TABLES = ("events", "persons", "person_distinct_ids", "cohorts", "session_recordings")


@pytest.mark.parametrize("kind", ["gs", *(["az"] if LONG else [])])
def test_a_lake_in_a_store(
    kind: str, request: pytest.FixtureRequest, quick: InProcess, posthog: Sandbox, tmp_path: Path
) -> None:
    server: ObjectServer = request.getfixturevalue(f"{kind}_server")
    place = BucketPlace(server, server.new_bucket())
    quick.pointed_at(posthog).environment.update(server.environment)
    there = ("--destination", "parquet", "--bucket-url", place.url)

    first = quick("sync", *there, *TABLES, "--format", "json")
    assert first.code == 0, first.err
    assert first.of("result")[0]["status"] == "complete"

    late = posthog.add_events(60, seed=ord(kind[0]), days_back=1)
    posthog.advance_clock(3600)
    # Another machine, which has nothing but the bucket.
    quick.environment["DLT_DATA_DIR"] = str(tmp_path / "another-machine")
    second = quick("sync", *there, *TABLES, "--format", "json")
    assert second.code == 0, second.err
    read = {each["table"]: each["rows_read"] for each in second.of("table")}
    assert len(late) <= read["events"] < posthog.counts()["events"] / 2

    merged = quick("compact", "--bucket-url", place.url)
    assert merged.code == 0, merged.err
    with place.connect() as con:
        for table, key in (("events", "uuid"), ("persons", "person_id"), ("person_distinct_ids", "distinct_id")):
            counted = f"SELECT count(*), count(DISTINCT {key}) FROM {glob_of(place, table)}"
            where = " WHERE NOT is_deleted" if table == "persons" else ""
            rows, keys = con.execute(counted + where).fetchall()[0]
            assert rows == keys == posthog.counts()[table], table
    assert "events" in quick("status", *there).out
    asked = quick("query", "SELECT event, count() AS n FROM events GROUP BY event", *there, "--table", "per_event")
    assert asked.code == 0, asked.err
