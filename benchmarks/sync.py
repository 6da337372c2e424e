"""A first sync of events, stage by stage: where the CPU time goes, against a server that costs next to none.

    python benchmarks/sync.py --events 1000000

The sync runs in a process of its own. A stage is the CPU time of the Python thread that works on it; what DuckDB's own
threads use is told apart. `limit.py` is the floor to compare with.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pyarrow.parquet as pq
from measuring import (
    MB,
    MILLION,
    Stages,
    add_usual,
    child_environment,
    cpu_seconds,
    native_threads_seconds,
    peak_memory,
    show,
    usual,
    write_json,
)
from replay.pages import USUAL
from replay.server import API_KEY, Replay

from posthog_warehouse.destinations.dlt_internals.loading import SqlLoadJob
from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.pipelines import sync as pipelines_sync
from posthog_warehouse.pipelines.sync import SyncOptions, sync
from posthog_warehouse.sources.posthog import CORE, PostHogClient, Settings
from posthog_warehouse.sources.posthog.http import query_runner
from posthog_warehouse.sources.posthog.http.response_body import Body
from posthog_warehouse.sources.posthog.http.transport import Wire
from posthog_warehouse.sources.posthog.pages import arrow as page_columns
from posthog_warehouse.sources.posthog.pages.dedup import Deduplicator
from posthog_warehouse.sources.posthog.properties.shred import PropertyColumns
from posthog_warehouse.sources.posthog.readers import events as events_reader

STAGES: tuple[tuple[Any, str, str], ...] = (
    (Wire, "send", "download"),
    (Body, "read", "unpack"),
    (query_runner, "decode_rows", "decode JSON"),
    (events_reader, "declared_table", "Arrow"),
    (page_columns, "parsable", "is it JSON (DuckDB in memory)"),
    (PropertyColumns, "__call__", "typed columns"),
    (Deduplicator, "__call__", "copies of a key"),
    (pq.ParquetWriter, "write_table", "Parquet"),
    (dlt.Pipeline, "extract", "dlt: extract"),
    (dlt.Pipeline, "normalize", "dlt: normalize"),
    (dlt.Pipeline, "load", "dlt: load"),
    (SqlLoadJob, "run", "merge, the thread that asks"),
    (pipelines_sync, "check", "check"),
    (DuckDbFile, "finish", "views and comments"),
)
"""What is watched: owner, name, and the stage it counts for."""


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures in a process of its own, against a server in another one, and looks whether all rows arrived."""
    with (
        Replay(
            arguments.pages,
            events=arguments.events,
            page_rows=arguments.page_rows,
            properties=arguments.properties,
        ) as replay,
        tempfile.TemporaryDirectory(prefix="sync-") as folder,
    ):
        database = Path(folder) / "sync.duckdb"
        command = [sys.executable, __file__, "--child", replay.host, str(database)]
        command += ["--page-rows", str(arguments.page_rows)]
        command += ["--package-rows", str(arguments.package_rows)] if arguments.package_rows else []
        environment = child_environment(Path(folder))
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
        figures: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
        figures["file_bytes"] = database.stat().st_size
        figures["text_bytes"] = replay.made.text_bytes
        with duckdb.connect(str(database), read_only=True) as connection:
            found = connection.execute("SELECT count(*), count(DISTINCT uuid) FROM posthog.events").fetchone()
            figures["columns"] = len(connection.execute("DESCRIBE posthog.events").fetchall())
        if found != (arguments.events, arguments.events) or figures["status"] != "complete":
            raise SystemExit(f"The sync is {figures['status']} with {found} rows and keys of {arguments.events}")
    return figures


def _child(arguments: argparse.Namespace) -> None:
    host, database = arguments.child
    stages = Stages()
    for owner, method, name in STAGES:
        stages.watch(owner, method, name)
    started = cpu_seconds()
    began = time.monotonic()
    options = SyncOptions(tables=(CORE["events"],), settings=Settings(leaf_rows=arguments.page_rows))
    if arguments.package_rows:
        options = replace(options, package_rows=arguments.package_rows)
    with DuckDbFile(database) as destination:
        result = sync(lambda: PostHogClient(API_KEY, host, 1), destination, options)
        native = native_threads_seconds()
    if unused := stages.unused():
        raise SystemExit(f"Nothing has run for {', '.join(unused)}: the sync has become another one")
    spent = cpu_seconds()
    seconds = {"start of the program": started, **stages.seconds, "DuckDB's threads": native}
    figures = {
        "status": result.status,
        "events": result.totals["events"],
        "wall_seconds": time.monotonic() - began,
        "cpu_seconds": spent,
        "peak_memory_bytes": peak_memory(),
        "packages": result.packages,
        "requests": result.requests,
        "stages": {**seconds, "everything else": spent - sum(seconds.values())},
    }
    print(json.dumps(figures))


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--page-rows", type=int, default=40_000)
    parser.add_argument("--package-rows", type=int, help="rows of a load package; default: as sync has it")
    parser.add_argument("--properties", default=USUAL, help="usual, wild, or so many keys (a number)")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    add_usual(parser)
    arguments = usual(parser, events=1_200, page_rows=500)
    if arguments.child:
        _child(arguments)
        return 0
    figures = run(arguments)
    events = figures["events"]
    show(
        f"a first sync, {events:,} events",
        {
            "events a second": f"{events / figures['wall_seconds']:,.0f}",
            "CPU seconds a million": f"{figures['cpu_seconds'] * MILLION / events:,.1f}",
            **{f"- {name}": f"{spent * MILLION / events:,.1f}" for name, spent in figures["stages"].items()},
            "cores in use, of 2": f"{figures['cpu_seconds'] / figures['wall_seconds']:.2f}",
            "peak memory": f"{figures['peak_memory_bytes'] / MB:,.0f} MB",
            "JSON read, unpacked": f"{figures['text_bytes'] / MB:,.0f} MB",
            "DuckDB file": f"{figures['file_bytes'] / MB:,.0f} MB",
            "columns": f"{figures['columns']:,}",
            "packages, requests": f"{figures['packages']}, {figures['requests']}",
        },
    )
    write_json(arguments.json, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
