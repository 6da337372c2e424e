"""A first sync of events into files of each kind: rows a second, and bytes of an event on disk.

The kinds are a DuckDB file, a Parquet lake, Delta and Iceberg tables, and a DuckLake with its catalog in a DuckDB file.

    python benchmarks/lake.py --events 1000000
    python benchmarks/lake.py --events 200000 --kinds duckdb ducklake

Each sync runs in a process of its own, against a server that costs next to none.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from measuring import (
    MB,
    MILLION,
    add_usual,
    child_environment,
    cpu_seconds,
    peak_memory,
    show,
    usual,
    write_json,
)
from replay.pages import USUAL
from replay.server import API_KEY, Replay

from posthog_warehouse.destinations.destination import Place
from posthog_warehouse.destinations.registry import DESTINATIONS, TABLE_FORMATS
from posthog_warehouse.pipelines.sync import SyncOptions, sync
from posthog_warehouse.sources.posthog import CORE, PostHogClient, Settings
from tests.pipelines.elsewhere import set_to

Ask = Callable[[str], list[tuple[Any, ...]]]

KINDS = ("duckdb", "parquet", "delta", "iceberg", "ducklake")


def run(arguments: argparse.Namespace, kind: str) -> dict[str, Any]:
    """Measures one kind of destination, and looks whether all rows arrived."""
    with (
        Replay(
            arguments.pages, events=arguments.events, page_rows=arguments.page_rows, properties=arguments.properties
        ) as replay,
        tempfile.TemporaryDirectory(prefix="lake-") as folder,
    ):
        command = [sys.executable, __file__, "--child", kind, replay.host, folder]
        command += ["--page-rows", str(arguments.page_rows)]
        lake = _lake_settings(Path(folder)) if kind == "ducklake" else {}
        environment = child_environment(Path(folder), **lake)
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
        figures: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
        # A first sync replaces nothing: all files of a table with a log, or of a DuckLake, are part of it.
        pattern = {"duckdb": "warehouse.duckdb", "ducklake": "lake/**/*.parquet"}
        files = sorted(Path(folder).glob(pattern.get(kind, "lake/posthog/events/**/*.parquet")))
        figures["files"] = len(files)
        figures["bytes"] = sum(file.stat().st_size for file in files)
        figures["text_bytes"] = replay.made.text_bytes
        with set_to(lake), _asked(kind, Path(folder)) as (ask, source):
            [found] = ask(f"SELECT count(*) AS n, count(DISTINCT uuid) AS keys FROM {source}")
            began = time.monotonic()
            ask(f"SELECT event, count(*) AS n, max(timestamp) AS latest FROM {source} GROUP BY event")
            figures["query_seconds"] = time.monotonic() - began
        if found != (arguments.events, arguments.events) or figures["status"] != "complete":
            raise SystemExit(f"{kind} is {figures['status']} with {found} rows and keys of {arguments.events}")
    return figures


def _lake_settings(folder: Path) -> dict[str, str]:
    credentials = "DESTINATION__DUCKLAKE__CREDENTIALS"
    return {
        f"{credentials}__CATALOG": f"duckdb:///{folder}/catalog.duckdb",
        f"{credentials}__STORAGE__BUCKET_URL": str(folder / "lake"),
    }


@contextmanager
def _asked(kind: str, folder: Path) -> Iterator[tuple[Ask, str]]:
    """What answers a query, and how it calls the table of events."""
    if kind == "ducklake":
        with DESTINATIONS[kind].make(_place(kind, folder)) as destination, destination.reading() as reading:
            yield (lambda sql: [tuple(row.values()) for row in reading.rows(sql)]), reading.table("events")
        return
    with duckdb.connect(str(folder / "warehouse.duckdb") if kind == "duckdb" else ":memory:") as con:
        files = f"read_parquet('{folder}/lake/posthog/events/**/*.parquet', hive_partitioning = true)"
        yield (lambda sql: con.execute(sql).fetchall()), "posthog.events" if kind == "duckdb" else files


def _place(kind: str, folder: Path) -> Place:
    table_format = kind if kind in TABLE_FORMATS else None
    return Place("posthog", str(folder / "warehouse.duckdb"), str(folder / "lake"), "400MB", table_format)


def _child(arguments: argparse.Namespace) -> None:
    kind, host, folder = arguments.child
    options = SyncOptions(tables=(CORE["events"],), settings=Settings(leaf_rows=arguments.page_rows))
    before, began = cpu_seconds(), time.monotonic()
    with DESTINATIONS["parquet" if kind in TABLE_FORMATS else kind].make(_place(kind, Path(folder))) as destination:
        result = sync(lambda: PostHogClient(API_KEY, host, 1), destination, options)
    print(
        json.dumps(
            {
                "status": result.status,
                "events": result.totals["events"],
                "wall_seconds": time.monotonic() - began,
                "cpu_seconds": cpu_seconds() - before,
                "peak_memory_bytes": peak_memory(),
                "packages": result.packages,
            }
        )
    )


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--page-rows", type=int, default=40_000)
    parser.add_argument("--properties", default=USUAL, help="usual, wild, or so many keys (a number)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    add_usual(parser)
    arguments = usual(parser, events=1_200, page_rows=500)
    if arguments.child:
        _child(arguments)
        return 0
    found = {kind: run(arguments, kind) for kind in arguments.kinds}
    for kind, figures in found.items():
        events = figures["events"]
        show(
            f"a first sync into {kind}, {events:,} events",
            {
                "events a second": f"{events / figures['wall_seconds']:,.0f}",
                "CPU seconds a million": f"{figures['cpu_seconds'] * MILLION / events:,.1f}",
                "bytes of an event": f"{figures['bytes'] / events:,.0f}",
                "... of its properties as text": f"{figures['text_bytes'] / events:,.0f}",
                "files": f"{figures['files']:,}",
                "peak memory, MB": f"{figures['peak_memory_bytes'] / MB:,.0f}",
                "a query over all events, seconds": f"{figures['query_seconds']:.2f}",
            },
        )
    write_json(arguments.json, found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
