"""The lake as any dlt destination: what dlt reads of it."""

from __future__ import annotations

import json

import dlt

from posthog_warehouse.destinations.lake import lake
from tests.destinations.lake.lakes import DATASET, LocalPlace, Place, event, load_events

ROWS = [event(n, f"2026-11-{20 + n % 2}T12:00:00Z") for n in range(6)]


def test_a_fresh_machine_takes_state_and_schema_from_the_lake(every_place: Place) -> None:
    @dlt.resource(name="log", write_disposition="append", columns={"n": {"data_type": "bigint"}})
    def counting() -> object:
        state = dlt.current.resource_state()
        state["n"] = state.get("n", 0) + 1
        yield [{"n": state["n"]}]

    for n in range(1, 4):
        destination = lake(every_place.url)
        pipeline = dlt.pipeline("counting", destination=destination, dataset_name=DATASET).drop()
        pipeline.run(counting())
        assert pipeline.state["sources"]["counting"]["resources"]["log"]["n"] == n
        destination.close()


def test_dlt_reads_the_tables_as_its_own(local: LocalPlace) -> None:
    load_events(local, ROWS)
    pipeline = dlt.pipeline("test", destination=lake(local.url), dataset_name=DATASET)
    assert pipeline.dataset().events.arrow().num_rows == 6
    assert pipeline.dataset()("SELECT count(*) FROM events").fetchone() == (6,)


def test_state_and_schema_lie_where_dlt_puts_them_and_are_whole(place: Place) -> None:
    load_events(place, ROWS)
    folders = {path.split("/")[0] for path in place.all_files()}
    assert {"_dlt_loads", "_dlt_version", "init"} <= folders
    for path in place.all_files():
        if path.endswith(".jsonl"):
            json.loads(place.get(path))
