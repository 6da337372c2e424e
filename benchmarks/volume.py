"""A whole first sync at volume: time, memory, requests and bytes, and the proof that every row arrived.

    python benchmarks/volume.py --events 1000000

Starts a local PostHog, syncs it into a new DuckDB file in a process of its own (so that its memory is measured alone),
and compares: counts and distinct keys of all tables, and rows drawn at random field by field, to the microsecond and to
the byte of the JSON.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb
from measuring import MB, add_usual, cpu_seconds, peak_memory, usual, write_json

from destinations.duckdb import DuckDbFile
from pipelines.sync import SyncOptions, sync
from sandbox.local import Sandbox
from sources.posthog import PostHogClient

KEYS = {"events": "uuid", "persons": "person_id", "person_distinct_ids": "distinct_id"}


def main() -> int:
    """Runs the benchmark. Returns 1 if anything differs."""
    arguments = _arguments()
    if arguments.sync:
        return _sync_child(arguments)
    with tempfile.TemporaryDirectory(prefix="posthog-volume-") as folder:
        database = Path(folder) / "volume.duckdb"
        began = time.monotonic()
        with Sandbox.start(
            events=arguments.events, persons=arguments.persons, seed=arguments.seed, days=arguments.days
        ) as posthog:
            print(f"A local PostHog with {arguments.events:,} events: ready in {time.monotonic() - began:.0f} s")
            figures = _run_child(arguments, posthog, database, Path(folder))
            counters = posthog.counters()
            figures |= {
                "server_rows_read": counters["rows_read"],
                "server_bytes_read": counters["bytes_read"],
                "database_bytes": database.stat().st_size,
            }
            figures["equal"] = _compare(arguments, posthog, database)
    _show(figures)
    write_json(arguments.json, figures)
    return 0 if all(figures["equal"].values()) and figures["status"] == "complete" else 1


def _run_child(arguments: argparse.Namespace, posthog: Sandbox, database: Path, folder: Path) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).resolve()), "--sync", posthog.host, posthog.api_key, str(database)]
    command += ["--package-rows", str(arguments.package_rows)] if arguments.package_rows else []
    command += ["--profile", str(arguments.profile)] if arguments.profile else []
    environment = {**os.environ, "DLT_DATA_DIR": str(folder / "dlt")}
    said = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
    figures: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return figures


def _sync_child(arguments: argparse.Namespace) -> int:
    """The sync that is measured: nothing else runs in this process."""
    host, key, database = arguments.sync
    profiler = cProfile.Profile() if arguments.profile else None
    options = SyncOptions(package_rows=arguments.package_rows) if arguments.package_rows else SyncOptions()
    began = time.monotonic()
    if profiler:
        profiler.enable()
    with DuckDbFile(database) as destination:
        result = sync(lambda: PostHogClient(key, host), destination, options)
    if profiler:
        profiler.disable()
        profiler.dump_stats(arguments.profile)
    wall = time.monotonic() - began
    print(
        json.dumps(
            {
                "status": result.status,
                "events": result.totals["events"],
                "wall_seconds": round(wall, 1),
                "events_a_second": round(result.totals["events"] / wall),
                "cpu_seconds": round(cpu_seconds(), 1),
                "peak_memory_bytes": peak_memory(),
                "packages": result.packages,
                "requests": result.requests,
                "bytes_read": result.bytes_read,
                "waited_seconds": round(result.waited_seconds, 1),
            }
        )
    )
    return 0


def _compare(arguments: argparse.Namespace, posthog: Sandbox, database: Path) -> dict[str, bool]:
    """What is equal on both sides."""
    counts = posthog.counts()
    equal = {}
    with duckdb.connect(str(database), read_only=True) as connection:
        for table, key in KEYS.items():
            where = "WHERE NOT is_deleted" if table == "persons" else ""
            found = connection.execute(
                f"SELECT count(*), count(DISTINCT {key}) FROM posthog.{table} {where}"
            ).fetchone()
            equal[f"{table}: {counts[table]:,} rows and keys"] = found == (counts[table], counts[table])
        differing = _differing_rows(connection, posthog, arguments.sample, arguments.seed)
    for here, there in differing[:3]:
        print(f"Different:\n  here  {here}\n  there {there}", file=sys.stderr)
    equal[f"{arguments.sample:,} random events, field by field"] = not differing
    return equal


def _differing_rows(
    connection: duckdb.DuckDBPyConnection, posthog: Sandbox, sample: int, seed: int
) -> list[tuple[object, object]]:
    rows = connection.execute(
        "SELECT uuid::VARCHAR, event, epoch_us(timestamp), epoch_us(created_at), distinct_id, person_id::VARCHAR, "
        "coalesce(session_id, ''), coalesce(window_id, ''), coalesce(elements_chain, ''), properties::VARCHAR "
        f"FROM posthog.events USING SAMPLE reservoir({sample} ROWS) REPEATABLE ({seed})"
    ).fetchall()
    uuids = ", ".join(f"'{row[0]}'" for row in rows)
    # Ascending: of a re-sent event the copy that ClickHouse will keep comes last.
    there = {
        row[0]: tuple(row)
        for row in posthog.sql(
            "SELECT toString(uuid), event, toUnixTimestamp64Micro(timestamp), toUnixTimestamp64Micro(created_at), "
            "distinct_id, toString(person_id), `$session_id`, `$window_id`, elements_chain, properties "
            f"FROM events WHERE uuid IN ({uuids}) ORDER BY created_at, _timestamp"
        )
    }
    return [(row, there.get(row[0])) for row in rows if there.get(row[0]) != row]


def _show(figures: dict[str, Any]) -> None:
    lines = {
        "status": figures["status"],
        "wall time": f"{figures['wall_seconds']:,.1f} s",
        "events a second": f"{figures['events_a_second']:,}",
        "CPU time": f"{figures['cpu_seconds']:,.1f} s",
        "peak memory": f"{figures['peak_memory_bytes'] / MB:,.0f} MB",
        "load packages": f"{figures['packages']:,}",
        "requests": f"{figures['requests']:,}",
        "bytes read by the server": f"{figures['server_bytes_read'] / MB:,.0f} MB",
        "rows read by the server": f"{figures['server_rows_read']:,}",
        "database file": f"{figures['database_bytes'] / MB:,.0f} MB",
        **{what: "equal" if is_equal else "DIFFERENT" for what, is_equal in figures["equal"].items()},
    }
    print(f"\n| a first sync of {figures['events']:,} events | |\n| --- | ---: |")
    for name, value in lines.items():
        print(f"| {name} | {value} |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--persons", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--sample", type=int, default=1_000, help="events to compare field by field")
    parser.add_argument("--package-rows", type=int, help="rows of a load package; default: as sync has it")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="write the sync's cProfile statistics there")
    parser.add_argument("--sync", nargs=3, metavar=("HOST", "KEY", "DATABASE"), help=argparse.SUPPRESS)
    add_usual(parser)
    return usual(parser, events=2_000, persons=100, days=3, sample=200)


if __name__ == "__main__":
    sys.exit(main())
