"""Dead in the middle of a load: a reader finds each key once, and the next run ends as if nothing had been."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from posthog_warehouse.destinations.lake.pipeline import LakeClient
from posthog_warehouse.destinations.open_tables.delta import Delta
from posthog_warehouse.destinations.open_tables.iceberg import Iceberg
from tests.destinations.lake.dying import Dead
from tests.destinations.lake.lakes import event
from tests.destinations.open_tables.tables import LocalTables, Tables, load, load_events, numbers
from tests.faults.syncing import LONG

OLD = [event(n, "2026-11-20T12:00:00Z") for n in range(4)]
NEW = [*(event(n, "2026-11-21T12:00:00Z", event="changed") for n in (2, 3)), event(4, "2026-11-21T12:00:00Z")]


@contextmanager
def dead(monkeypatch: pytest.MonkeyPatch, owner: type[Any], name: str, *, before: bool) -> Iterator[None]:
    """Within, `owner.name` fails, `before` it does anything or when all is done."""
    method = getattr(owner, name)

    def mortal(*arguments: Any, **named: Any) -> Any:
        if not before:
            method(*arguments, **named)
        raise Dead("the store is dead")

    with monkeypatch.context() as patch:
        patch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
        patch.setattr(owner, name, mortal)
        yield


def format_of(tables: Tables) -> type[Any]:
    return {"delta": Delta, "iceberg": Iceberg}[tables.format]


@pytest.mark.parametrize("step", ["append", "change", "counted"])
@pytest.mark.parametrize("before", [True, False] if LONG else [False], ids=["before", "behind"] if LONG else ["behind"])
def test_dead_around_any_commit_of_a_merge(
    step: str, *, before: bool, local: LocalTables, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_events(local, OLD)
    owner, name = (LakeClient, "complete_load") if step == "counted" else (format_of(local), step)
    with dead(monkeypatch, owner, name, before=before), pytest.raises(PipelineStepFailed):
        load_events(local, NEW)
    assert numbers(local) in ([0, 1, 2, 3], [0, 1, 2, 3, 4])
    load_events(local, NEW)
    assert numbers(local) == [0, 1, 2, 3, 4]
    assert sorted(local.read("events").column("event").to_pylist()) == ["$pageview"] * 3 + ["changed"] * 2


@pytest.mark.parametrize("fresh", [True, False], ids=["a sync", "a script"])
def test_rows_without_a_key_are_added_once(*, fresh: bool, local: LocalTables, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync throws away what dlt was loading and asks again; a script goes on with it."""
    load(local, "log", [{"n": 1}], write_disposition="append")
    with dead(monkeypatch, LakeClient, "complete_load", before=True), pytest.raises(PipelineStepFailed):
        load(local, "log", [{"n": 2}], write_disposition="append", fresh=fresh)
    assert sorted(local.read("log").column("n").to_pylist()) == [1, 2]
    load(local, "log", [{"n": 2}], write_disposition="append", fresh=fresh)
    assert sorted(local.read("log").column("n").to_pylist()) == [1, 2]


def test_rows_of_a_first_package_that_does_not_count(local: LocalTables, monkeypatch: pytest.MonkeyPatch) -> None:
    with dead(monkeypatch, LakeClient, "complete_load", before=True), pytest.raises(PipelineStepFailed):
        load(local, "log", [{"n": 1}], write_disposition="append")
    load(local, "log", [{"n": 1}], write_disposition="append")
    assert local.read("log").column("n").to_pylist() == [1]


def test_a_metadata_file_that_is_half_written(tmp_path: Path) -> None:
    """pyiceberg writes into the file; a kill leaves half of it, and it is the newest one."""
    tables = LocalTables("iceberg", str(tmp_path / "lake"))
    load_events(tables, OLD)
    whole = Path(tables.metadata_files("events")[-1])
    half = whole.with_name("00002-ffffffff-0000-4000-8000-000000000000.metadata.json")
    half.write_text(whole.read_text()[:200])
    with tables.opened() as destination:
        assert destination.totals(["events"]) == {"events": 4}, "who only reads takes the one before"
        assert half.exists()
    load_events(tables, NEW)
    assert not half.exists()
    assert numbers(tables) == [0, 1, 2, 3, 4]
