"""What it takes to change a load package of rows that lie in all files: of a Parquet lake, Delta and Iceberg tables.

    python benchmarks/changing.py --events 240000 --times 4

A table is filled by some processes, and changed by another, which is the one that is measured: every fourth row of four
times as many as change. Afterwards every key is there once, with its old row or its new one.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from measuring import MB, add_usual, child_environment, cpu_seconds, peak_memory, show, usual, write_json
from pyiceberg.table import StaticTable

from posthog_warehouse.destinations.lake import lake
from posthog_warehouse.destinations.open_tables import open_tables

KINDS = ("parquet", "delta", "iceberg")
_PAGE_ROWS = 40_000
_MEMORY_LIMIT = "300MB"
_COLUMNS: Any = {
    "uuid": {"data_type": "text", "nullable": False, "primary_key": True},
    "event": {"data_type": "text"},
    "timestamp": {"data_type": "timestamp", "timezone": True, "precision": 6},
    "properties": {"data_type": "json"},
}


def pages(numbers: range, name: str) -> Iterator[pa.Table]:
    """Events of six days, 2.4 KB each, all called `name`."""
    told = " || ".join(f"'\"key_{n}\": \"' || md5(concat(i, '-{n}')) || '\", '" for n in range(16))
    with duckdb.connect() as con:
        for first in range(0, len(numbers), _PAGE_ROWS):
            page = numbers[first : first + _PAGE_ROWS]
            yield con.execute(
                f"SELECT CAST(md5(concat(i)) AS UUID)::VARCHAR AS uuid, '{name}' AS event, "
                f"to_timestamp(1795651200 - i % 6 * 86400 + i % 86400) AS timestamp, "
                f"'{{' || {told} || '\"same\": \"{'the same for all ' * 90}\"}}' AS properties "
                f"FROM range({page.start}, {page.stop}, {page.step}) AS numbers(i)"
            ).to_arrow_table()


def _child(arguments: argparse.Namespace) -> None:
    kind, folder, name, *bounds = arguments.child
    place = str(Path(folder) / "lake")
    more = {"memory_limit": _MEMORY_LIMIT}
    destination = lake(place, **more) if kind == "parquet" else open_tables(place, table_format=kind, **more)
    merge: Any = {"disposition": "merge", "strategy": "delete-insert"}
    resource = dlt.resource(
        pages(range(*map(int, bounds)), name),
        name="events",
        columns=_COLUMNS,
        write_disposition=merge,
        primary_key="uuid",
    )
    before, began = cpu_seconds(), time.monotonic()
    try:
        dlt.pipeline("changing", destination=destination, dataset_name="posthog").run(resource)
    finally:
        destination.close()
    figures = {
        "wall_seconds": time.monotonic() - began,
        "cpu_seconds": cpu_seconds() - before,
        "peak_memory_bytes": peak_memory(),
    }
    print(json.dumps(figures))


def run(arguments: argparse.Namespace, kind: str) -> dict[str, Any]:
    """Measures one kind, and looks whether all rows changed."""
    with tempfile.TemporaryDirectory(prefix="changing-") as folder:
        events, times = arguments.events, arguments.times
        steps = [("old", start, start + events, 1) for start in range(0, times * events, events)]
        for step in [*steps, ("new", 0, times * events, times)]:
            command = [sys.executable, __file__, "--child", kind, folder, *map(str, step)]
            more = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
            environment = child_environment(Path(folder), **more)
            said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
        figures: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
        found = _found(kind, folder)
        if found != (times * events, times * events, events):
            raise SystemExit(f"{kind} has {found} rows, keys and new rows of {times * events}, where {events} changed")
    return figures


def _found(kind: str, folder: str) -> tuple[int, ...]:
    events = f"{folder}/lake/posthog/events"
    files = [f"{events}/**/*.parquet"]
    if kind == "delta":
        files = DeltaTable(events).file_uris()
    elif kind == "iceberg":
        files = [task.file.file_path for task in StaticTable.from_metadata(events).scan().plan_files()]
    with duckdb.connect() as con:
        row = con.execute(
            "SELECT count(*), count(DISTINCT uuid), count(*) FILTER (event = 'new') FROM read_parquet(?)", [files]
        ).fetchone()
    return row or ()


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=240_000)
    parser.add_argument("--times", type=int, default=4, help="so many times as many events are there")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--child", nargs=6, help=argparse.SUPPRESS)
    add_usual(parser)
    arguments = usual(parser, events=600, times=1, kinds=["delta", "iceberg"])
    if arguments.child:
        _child(arguments)
        return 0
    found = {kind: run(arguments, kind) for kind in arguments.kinds}
    for kind, figures in found.items():
        show(
            f"{arguments.events:,} of {arguments.times * arguments.events:,} events change, {kind}",
            {
                "seconds": f"{figures['wall_seconds']:,.1f}",
                "CPU seconds": f"{figures['cpu_seconds']:,.1f}",
                "peak memory, MB": f"{figures['peak_memory_bytes'] / MB:,.0f}",
            },
        )
    write_json(arguments.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
