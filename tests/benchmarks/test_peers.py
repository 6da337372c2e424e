"""The comparison with peers counts only those that loaded everything."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import duckdb
import peers
import pytest

TOOL = peers.Contender("a tool", "columns", run=Mock())


def task(folder: Path, events: int) -> peers.Task:
    return peers.Task(Mock(), events, after="", folder=folder)


def table(folder: Path, ids: list[int]) -> None:
    with duckdb.connect(str(folder / "contender.duckdb")) as connection:
        connection.execute("CREATE SCHEMA posthog")
        connection.execute("CREATE TABLE posthog.events AS SELECT unnest(?) AS id, 1 AS plan", [ids])


def test_whoever_has_each_event_once_counts(tmp_path: Path) -> None:
    table(tmp_path, [1, 2, 3])
    loaded = peers._loaded(TOOL, task(tmp_path, 3))
    assert (loaded.events, loaded.columns) == (3, 2)


@pytest.mark.parametrize("ids", [[1, 2], [1, 2, 2], [1, 2, 3, 3]])
def test_whoever_lost_or_doubled_events_stops_the_benchmark(tmp_path: Path, ids: list[int]) -> None:
    table(tmp_path, ids)
    with pytest.raises(SystemExit, match="a tool"):
        peers._loaded(TOOL, task(tmp_path, 3))


def test_messages_are_counted_as_well(tmp_path: Path) -> None:
    record = '{"type": "RECORD", "record": {"stream": "events", "data": {"id": "%s"}}}\n'
    (tmp_path / "messages.jsonl").write_text('{"type": "LOG"}\n' + record % 1 + record % 2)
    assert peers._loaded(TOOL, task(tmp_path, 2)).events == 2
    with pytest.raises(SystemExit):
        peers._loaded(TOOL, task(tmp_path, 3))


def result(name: str, gives: str, *, speed: float, cpu: float, is_tool: bool = True) -> dict[str, Any]:
    return {
        "name": name,
        "gives": gives,
        "is_tool": is_tool,
        "events_a_second": speed,
        "cpu_seconds_a_million": cpu,
    }


def test_ours_is_held_against_the_fastest_of_each_kind() -> None:
    ratios = peers._ratios(
        [
            result("ours", "both", speed=100, cpu=10),
            result("slow", "columns", speed=1, cpu=900),
            result("fast", "columns", speed=10, cpu=500),
            result("script", "columns", speed=50, cpu=20, is_tool=False),
            result("file", "JSON", speed=25, cpu=40),
        ]
    )
    found = [(each["gives"], each["among"], each["fastest"], each["times_events_a_second"]) for each in ratios]
    assert found == [
        ("columns", "tools", "fast", 10),
        ("columns", "tools and scripts", "script", 2),
        ("JSON", "tools", "file", 4),
    ]
    assert [each["times_cpu_seconds"] for each in ratios] == [50, 2, 4]
