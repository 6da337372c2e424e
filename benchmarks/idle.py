"""A sync with nothing new: how long, how many requests, into tables of any size.

    python benchmarks/idle.py --grow 0 1000000 10000000

Syncs a local PostHog once, and then again with nothing new, as a program of its own each time. Between, rows are put
straight into the file, so that what depends on the size of the tables shows.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
from growing import grow
from measuring import MB, add_usual, child_environment, peak_memory, show, usual, write_json

from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.pipelines.sync import sync
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import PostHogClient


def main() -> int:
    """Runs the benchmark. Returns 1 if a sync did not end well."""
    arguments = _arguments()
    if arguments.child:
        return _child(*arguments.child)
    figures = []
    with tempfile.TemporaryDirectory(prefix="idle-") as folder, Sandbox.start(events=arguments.events) as posthog:
        database = Path(folder) / "idle.duckdb"
        _sync(posthog, database)
        _sync(posthog, database)
        for rows in arguments.grow:
            with duckdb.connect(str(database)) as connection:
                grow(connection, rows)
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            began = time.monotonic()
            said = _sync(posthog, database)
            wall = time.monotonic() - began
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            figures.append({**said, "grown_by": rows, "wall_seconds": wall, "cpu_seconds": cpu})
    for each in figures:
        show(
            f"a sync with nothing new, {each['events']:,} events in the table",
            {
                "status": each["status"],
                "wall time, with the start of the program": f"{each['wall_seconds']:.1f} s",
                "CPU time": f"{each['cpu_seconds']:.1f} s",
                "requests": str(each["requests"]),
                "load packages": str(each["packages"]),
                "peak memory": f"{each['peak_memory_bytes'] / MB:,.0f} MB",
            },
        )
    write_json(arguments.json, figures)
    return 0 if all(each["status"] == "complete" for each in figures) else 1


def _sync(posthog: Sandbox, database: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", posthog.host, posthog.api_key, str(database)]
    environment = child_environment(database.parent)
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    figures: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return figures


def _child(host: str, key: str, database: str) -> int:
    with DuckDbFile(database) as destination:
        result = sync(lambda: PostHogClient(key, host), destination)
    print(
        json.dumps(
            {
                "status": result.status,
                "requests": result.requests,
                "packages": result.packages,
                "events": result.totals["events"],
                "peak_memory_bytes": peak_memory(),
            }
        )
    )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000, help="events of the local PostHog")
    parser.add_argument(
        "--grow", type=int, nargs="*", default=[0, 1_000_000, 9_000_000], help="rows put in before each"
    )
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    add_usual(parser)
    return usual(parser, events=500, grow=[1_000])


if __name__ == "__main__":
    sys.exit(main())
