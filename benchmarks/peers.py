"""Side by side, in one run on the same server: ours, dlt's rest_api, a hand-written script, and Airbyte's connector.

    python benchmarks/peers.py --events 1000000 --peer-events 20000

Each is a process of its own, on the newest events of the same pages: ours on all of them, the others, which are slower,
on fewer. The clock starts when a program has imported what it needs. Peers only append; ours merges on keys and checks.
What a peer needs is installed into an environment of its own: see --install.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
from measuring import MB, MILLION, Ended, add_usual, child_environment, run_process, usual, write_json
from replay.lists import QUERY, newest_after
from replay.server import API_KEY, Replay

BARS = {"columns": 10, "JSON": 5}
"""Times the events a second of the fastest peer, that ours is to load."""

ROOT = Path(__file__).resolve().parent.parent
PANDAS = ROOT / ".venv-peers" / "bin" / "python"
AIRBYTE = ROOT / ".venv-airbyte" / "bin" / "source-posthog"
ENVIRONMENTS = {
    PANDAS: ("pandas==3.1.1", "requests==2.34.2", f"duckdb=={duckdb.__version__}"),
    AIRBYTE: ("airbyte-source-posthog==1.1.28",),
}


@dataclass(frozen=True)
class Task:
    """What a contender is to load."""

    replay: Replay
    events: int
    after: str
    """The moment after which exactly so many events happened."""
    folder: Path
    """Empty, and its own."""

    @property
    def database(self) -> Path:
        """Where the events go: `posthog.events`."""
        return self.folder / "contender.duckdb"

    def run(self, module: str, *more: str, python: str = sys.executable) -> Run:
        """Runs a contender that is a Python program."""
        command = [python, "-m", f"contenders.{module}", self.replay.host, str(self.database), API_KEY, *more]
        return _run_of(run_process(command, self.environment))

    @property
    def environment(self) -> dict[str, str]:
        """With the contenders on the path."""
        settings = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
        return child_environment(self.folder, PYTHONPATH=str(Path(__file__).resolve().parent), **settings)


@dataclass(frozen=True)
class Run:
    """What one took."""

    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int

    def __add__(self, then: Run) -> Run:
        """One after the other."""
        return Run(
            self.wall_seconds + then.wall_seconds,
            self.cpu_seconds + then.cpu_seconds,
            max(self.peak_memory_bytes, then.peak_memory_bytes),
        )


@dataclass(frozen=True)
class Contender:
    """Whoever loads events."""

    name: str
    gives: str
    """`columns`, `JSON`, or both."""
    run: Callable[[Task], Run]
    share: float = 1.0
    """Of the events that peers load: very slow ones load fewer."""
    needs: Path | None = None
    """A file of its environment."""
    is_tool: bool = True
    """Else it is a script that keeps everything in memory, and knows no state."""


def airbyte(task: Task) -> Run:
    """The connector, its messages written to a file. Its start, as `spec` takes it, is not counted."""
    config, catalog = task.folder / "config.json", task.folder / "catalog.json"
    # A start of whole seconds: midnight before all events that the server lists.
    start = {"start_date": f"{task.replay.made.days[0]}T00:00:00Z", "base_url": task.replay.host}
    config.write_text(json.dumps({"api_key": API_KEY, **start}))
    stream = {
        "name": "events",
        "json_schema": {"type": "object"},
        "supported_sync_modes": ["full_refresh", "incremental"],
    }
    chosen = {"stream": stream, "sync_mode": "incremental", "destination_sync_mode": "append"}
    catalog.write_text(json.dumps({"streams": [chosen]}))
    started = _airbyte_start()
    command = [str(AIRBYTE), "read", "--config", str(config), "--catalog", str(catalog)]
    read = run_process(command, task.environment, output=task.folder / "messages.jsonl")
    return Run(
        read.wall_seconds - started.wall_seconds,
        read.cpu_seconds - started.cpu_seconds,
        read.peak_memory_bytes,
    )


def airbyte_loaded(task: Task) -> Run:
    """The same, and the least that a destination does."""
    read = airbyte(task)
    command = [sys.executable, "-m", "contenders.message_loader", str(task.folder / "messages.jsonl")]
    return read + _run_of(run_process([*command, str(task.database)], task.environment))


@cache
def _airbyte_start() -> Ended:
    # Twice, for the first may have to compile it.
    starts = [run_process([str(AIRBYTE), "spec"], child_environment(Path())) for _ in range(2)]
    return min(starts, key=lambda start: start.cpu_seconds)


def _rest_api(*options: str) -> Callable[[Task], Run]:
    return lambda task: task.run("rest_api", "--after", task.after, *options)


def _handwritten(*options: str) -> Callable[[Task], Run]:
    return lambda task: task.run("handwritten", "--after", task.after, *options, python=str(PANDAS))


OURS = Contender("ours", "both", lambda task: task.run("ours", "--page-rows", str(max(task.replay.made.rows))))
PEERS = (
    Contender("dlt rest_api, defaults", "columns", _rest_api("--flat"), share=0.1),
    Contender("dlt rest_api, Parquet", "columns", _rest_api("--flat", "--file-format", "parquet")),
    Contender("dlt rest_api, JSON column, defaults", "JSON", _rest_api()),
    Contender("dlt rest_api, JSON column, Parquet", "JSON", _rest_api("--file-format", "parquet")),
    Contender("airbyte-source-posthog, to a file", "JSON", airbyte, needs=AIRBYTE),
    Contender("airbyte-source-posthog, and into DuckDB", "JSON", airbyte_loaded, needs=AIRBYTE),
    Contender("script: requests, json_normalize", "columns", _handwritten("--flat"), needs=PANDAS, is_tool=False),
    Contender("script: requests, JSON as text", "JSON", _handwritten("--query", QUERY), needs=PANDAS, is_tool=False),
)


def main() -> int:
    """Runs the benchmark. Stops if somebody lost events."""
    arguments = _arguments()
    if arguments.install:
        _install()
    there = [peer for peer in PEERS if peer.needs is None or peer.needs.exists()]
    for peer in PEERS:
        if peer not in there:
            print(f"Left out: {peer.name}. It needs an environment of its own: benchmarks/peers.py --install.")
    newest = min(arguments.peer_events, arguments.events - 1)
    runs: dict[Contender, list[Run]] = {each: [] for each in (OURS, *there)}
    loaded: dict[Contender, Loaded] = {}
    with Replay(arguments.pages, events=arguments.events, page_rows=arguments.page_rows, listed=newest) as replay:
        # In turn, so that a busy minute does not fall on one of them alone.
        for _ in range(arguments.repeat):
            for each, so_far in runs.items():
                events = arguments.events if each is OURS else max(1, int(newest * each.share))
                after = "" if each is OURS else newest_after(replay.made, events)
                with tempfile.TemporaryDirectory(prefix="peers-") as folder:
                    task = Task(replay, events, after, Path(folder))
                    so_far.append(each.run(task))
                    loaded[each] = _loaded(each, task)
    results = [_result(each, runs[each], loaded[each]) for each in runs]
    ratios = _ratios(results)
    _show(results, ratios)
    write_json(arguments.json, {"contenders": results, "ratios": ratios})
    return 0


@dataclass(frozen=True)
class Loaded:
    """What is in the table afterwards."""

    events: int
    columns: int
    file_bytes: int


def _run_of(ended: Ended) -> Run:
    said = json.loads(ended.said.strip().splitlines()[-1])
    return Run(said["wall_seconds"], ended.cpu_seconds - said["start_cpu_seconds"], ended.peak_memory_bytes)


def _loaded(contender: Contender, task: Task) -> Loaded:
    """Looks whether each event is there, once."""
    if task.database.exists():
        source, key = "posthog.events", "uuid" if contender is OURS else "id"
        path, name = task.database, str(task.database)
    else:
        path, name = task.folder / "messages.jsonl", ":memory:"
        source = f"""(
            SELECT json ->> '$.record.data.id' AS id
            FROM read_json_objects('{path}', format = 'newline_delimited', maximum_object_size = 100_000_000)
            WHERE json ->> '$.type' = 'RECORD'
        )"""
        key = "id"
    with duckdb.connect(name) as connection:
        found = connection.execute(f"SELECT count(*), count(DISTINCT {key}) FROM {source}").fetchone()
        columns = len(connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall())
    if found != (task.events, task.events):
        raise SystemExit(f"{contender.name}: rows and ids are {found}, of {task.events:,} events")
    return Loaded(task.events, columns, path.stat().st_size)


def _result(contender: Contender, runs: list[Run], loaded: Loaded) -> dict[str, Any]:
    wall = statistics.median(run.wall_seconds for run in runs)
    cpu = statistics.median(run.cpu_seconds for run in runs)
    return {
        "name": contender.name,
        "gives": contender.gives,
        "is_tool": contender.is_tool,
        **asdict(loaded),
        "events_a_second": loaded.events / wall,
        "cpu_seconds_a_million": cpu * MILLION / loaded.events,
        "peak_memory_bytes": max(run.peak_memory_bytes for run in runs),
        "runs": [asdict(run) for run in runs],
    }


def _ratios(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ours against the fastest peer of each kind, by the clock and by CPU time."""
    ours, *peers = results
    ratios = []
    for gives, bar in BARS.items():
        for whom, are_asked in (("tools", [True]), ("tools and scripts", [True, False])):
            rivals = [peer for peer in peers if peer["gives"] == gives and peer["is_tool"] in are_asked]
            if not rivals or (len(are_asked) > 1 and all(peer["is_tool"] for peer in rivals)):
                continue
            fastest = max(rivals, key=lambda peer: float(peer["events_a_second"]))
            cheapest = min(rivals, key=lambda peer: float(peer["cpu_seconds_a_million"]))
            ratios.append(
                {
                    "gives": gives,
                    "among": whom,
                    "fastest": fastest["name"],
                    "times_events_a_second": ours["events_a_second"] / fastest["events_a_second"],
                    "times_cpu_seconds": cheapest["cpu_seconds_a_million"] / ours["cpu_seconds_a_million"],
                    "asked_for": bar,
                }
            )
    return ratios


def _show(results: list[dict[str, Any]], ratios: list[dict[str, Any]]) -> None:
    print(
        "\n| loaded by | gives | events | events a second | CPU s a million | peak MB | columns | file, MB a million |"
    )
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for each in results:
        print(
            f"| {each['name']} | {each['gives']} | {each['events']:,} | {each['events_a_second']:,.0f} "
            f"| {each['cpu_seconds_a_million']:,.0f} | {each['peak_memory_bytes'] / MB:,.0f} | {each['columns']} "
            f"| {each['file_bytes'] / each['events']:,.0f} |"
        )
    print("\n| ours, against the fastest that gives | among | which is | times the events/s | CPU, times less | bar |")
    print("| --- | --- | --- | ---: | ---: | ---: |")
    for each in ratios:
        print(
            f"| {each['gives']} | {each['among']} | {each['fastest']} | {each['times_events_a_second']:.1f} "
            f"| {each['times_cpu_seconds']:.1f} | {each['asked_for']} |"
        )


def _install() -> None:
    for program, packages in ENVIRONMENTS.items():
        if not program.exists():
            home = program.parent.parent
            print(f"Setting up {home.name} ...", file=sys.stderr)
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, *packages], check=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000, help="that ours loads")
    parser.add_argument("--peer-events", type=int, default=20_000, help="that the others load, the newest")
    parser.add_argument("--page-rows", type=int, default=40_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--install", action="store_true", help="make the environments of peers first (Python 3.10, 3.11)"
    )
    add_usual(parser)
    return usual(parser, events=3_000, peer_events=1_000, page_rows=1_000, repeat=1)


if __name__ == "__main__":
    sys.exit(main())
