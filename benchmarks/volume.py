"""A whole first sync at volume: time, memory, requests and bytes, and the proof that every row arrived.

    python benchmarks/volume.py --events 1000000
    python benchmarks/volume.py --events 1000000 --into postgres

Starts a local PostHog, syncs it into a new warehouse in a process of its own (so that its memory is measured alone),
and compares: counts and distinct keys of all tables, and rows drawn at random field by field, to the microsecond and to
the byte of the JSON. A PostgreSQL server for it comes out of a package.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from measuring import MB, add_usual, cpu_seconds, peak_memory, usual, write_json

from posthog_warehouse.destinations.destination import Destination, Place, Reading
from posthog_warehouse.destinations.duckdb import DEFAULT_MEMORY_LIMIT
from posthog_warehouse.destinations.registry import DESTINATIONS
from posthog_warehouse.pipelines.sync import SyncOptions, sync
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import PostHogClient
from tests.local_postgres import local_postgres
from tests.pipelines.elsewhere import KINDS, set_to, settings_of

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
KEYS = {"events": "uuid", "persons": "person_id", "person_distinct_ids": "distinct_id"}


def main() -> int:
    """Runs the benchmark. Returns 1 if anything differs."""
    arguments = _arguments()
    if arguments.sync:
        return _sync_child(arguments)
    with _place(arguments.into) as folder:
        began = time.monotonic()
        with Sandbox.start(
            events=arguments.events, persons=arguments.persons, seed=arguments.seed, days=arguments.days
        ) as posthog:
            print(f"A local PostHog with {arguments.events:,} events: ready in {time.monotonic() - began:.0f} s")
            figures = _run_child(arguments, posthog, folder)
            counters = posthog.counters()
            figures |= {
                "server_rows_read": counters["rows_read"],
                "server_bytes_read": counters["bytes_read"],
                "bytes_on_disk": sum(each.stat().st_size for each in (folder / "data").rglob("*") if each.is_file()),
            }
            with _opened(arguments.into, folder) as destination, destination.reading() as reading:
                figures["equal"] = _compare(arguments, posthog, reading)
    _show(arguments.into, figures)
    write_json(arguments.json, figures)
    return 0 if all(figures["equal"].values()) and figures["status"] == "complete" else 1


@contextmanager
def _place(kind: str) -> Iterator[Path]:
    """A folder, and settings in the environment, for a new warehouse of a kind."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="posthog-volume-")))
        (folder / "data").mkdir()
        settings = {"DLT_DATA_DIR": str(folder / "dlt")}
        if kind not in {"duckdb", "parquet"}:
            settings |= settings_of(kind, opened.enter_context(local_postgres()), folder)
        opened.enter_context(set_to(settings))
        yield folder


def _opened(kind: str, folder: Path) -> Destination:
    data = folder / "data"
    place = Place(
        "posthog", database=str(data / "volume.duckdb"), bucket_url=str(data), memory_limit=DEFAULT_MEMORY_LIMIT
    )
    return DESTINATIONS[kind.split(maxsplit=1)[0]].make(place)


def _run_child(arguments: argparse.Namespace, posthog: Sandbox, folder: Path) -> dict[str, Any]:
    command = [sys.executable, str(Path(__file__).resolve()), "--sync", posthog.host, posthog.api_key, str(folder)]
    command += ["--into", arguments.into]
    command += ["--package-rows", str(arguments.package_rows)] if arguments.package_rows else []
    command += ["--profile", str(arguments.profile)] if arguments.profile else []
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
    figures: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return figures


def _sync_child(arguments: argparse.Namespace) -> int:
    """The sync that is measured: nothing else runs in this process."""
    host, key, folder = arguments.sync
    profiler = cProfile.Profile() if arguments.profile else None
    options = SyncOptions(package_rows=arguments.package_rows) if arguments.package_rows else SyncOptions()
    began = time.monotonic()
    if profiler:
        profiler.enable()
    with _opened(arguments.into, Path(folder)) as destination:
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


def _compare(arguments: argparse.Namespace, posthog: Sandbox, reading: Reading) -> dict[str, bool]:
    """What is equal on both sides."""
    counts = posthog.counts()
    equal = {}
    for table, key in KEYS.items():
        where = "WHERE is_deleted = false" if table == "persons" else ""
        sql = f"SELECT count(*) AS n, count(DISTINCT {key}) AS keys FROM {reading.table(table)} {where}"
        equal[f"{table}: {counts[table]:,} rows and keys"] = [*reading.rows(sql)[0].values()] == [counts[table]] * 2
    differing = _differing_rows(reading, posthog, arguments.sample, arguments.seed)
    for here, there in differing[:3]:
        print(f"Different:\n  here  {here}\n  there {there}", file=sys.stderr)
    equal[f"{arguments.sample:,} random events, field by field"] = not differing
    return equal


def _differing_rows(reading: Reading, posthog: Sandbox, sample: int, seed: int) -> list[tuple[object, object]]:
    # Ascending: of a re-sent event the copy that ClickHouse will keep comes last.
    there = {
        str(row[0]): tuple(row)
        for row in posthog.sql(
            "SELECT toString(uuid), event, toUnixTimestamp64Micro(timestamp), toUnixTimestamp64Micro(created_at), "
            "distinct_id, toString(person_id), `$session_id`, `$window_id`, elements_chain, properties FROM events "
            f"WHERE uuid IN (SELECT uuid FROM events GROUP BY uuid ORDER BY cityHash64(uuid, {seed}) LIMIT {sample}) "
            "ORDER BY created_at, _timestamp"
        )
    }
    uuids = ", ".join(f"'{uuid}'" for uuid in there)
    here = {
        str(row["uuid"]): tuple(map(_plain, row.values()))
        for row in reading.rows(
            'SELECT uuid, event, "timestamp", created_at, distinct_id, person_id, session_id, window_id, '
            f"elements_chain, CAST(properties AS VARCHAR) AS properties FROM {reading.table('events')} "
            f"WHERE uuid IN ({uuids})"
        )
    }
    return [(here.get(uuid), row) for uuid, row in there.items() if here.get(uuid) != row]


def _plain(value: object) -> object:
    """A value as ClickHouse has it here: microseconds, texts, and an empty text for what PostHog does not have."""
    if isinstance(value, datetime):
        since = value - _EPOCH
        return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
    return "" if value is None else value if isinstance(value, str) else str(value)


def _show(into: str, figures: dict[str, Any]) -> None:
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
        "files": f"{figures['bytes_on_disk'] / MB:,.0f} MB" if figures["bytes_on_disk"] else "in the server",
        **{what: "equal" if is_equal else "DIFFERENT" for what, is_equal in figures["equal"].items()},
    }
    print(f"\n| a first sync of {figures['events']:,} events into {into} | |\n| --- | ---: |")
    for name, value in lines.items():
        print(f"| {name} | {value} |")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--into", choices=("duckdb", *KINDS), default="duckdb", help="the kind of warehouse")
    parser.add_argument("--persons", type=int, default=20_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--sample", type=int, default=1_000, help="events to compare field by field")
    parser.add_argument("--package-rows", type=int, help="rows of a load package; default: as sync has it")
    parser.add_argument("--profile", type=Path, metavar="FILE", help="write the sync's cProfile statistics there")
    parser.add_argument("--sync", nargs=3, metavar=("HOST", "KEY", "FOLDER"), help=argparse.SUPPRESS)
    add_usual(parser)
    return usual(parser, events=2_000, persons=100, days=3, sample=200)


if __name__ == "__main__":
    sys.exit(main())
