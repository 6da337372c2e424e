"""The floor: the same pages, read and stored with nothing but httpx, orjson, Arrow and DuckDB.

    python benchmarks/limit.py --events 1000000
    python benchmarks/limit.py --events 1000000 --plain

No planning, no keys, no checks, no state: a page is fetched ahead by threads, unpacked, decoded, made into columns, and
inserted. What a sync costs is compared with this. With `--plain` as anybody would write it first, with Python's and
DuckDB's defaults; without, by all that the sync has learnt of both.
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import httpx
import orjson
import pyarrow as pa
from measuring import (
    MB,
    MILLION,
    Stages,
    add_usual,
    cpu_seconds,
    native_threads_seconds,
    peak_memory,
    show,
    usual,
    write_json,
)
from replay.pages import COLUMNS
from replay.server import API_KEY, Replay

AHEAD = 3
_TOGETHER = 4
_TYPES = {"timestamp": pa.timestamp("us"), "created_at": pa.timestamp("us")}


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measures in a process of its own, against a server in another one."""
    with (
        Replay(
            arguments.pages, events=arguments.events, page_rows=arguments.page_rows, has_zstd=arguments.zstd
        ) as replay,
        tempfile.TemporaryDirectory(prefix="limit-") as folder,
    ):
        command = [sys.executable, __file__, *(["--plain"] if arguments.plain else [])]
        command += ["--child", replay.host, f"{folder}/limit.duckdb", *replay.made.days]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        figures: dict[str, Any] = json.loads(said)
        figures["file_bytes"] = Path(f"{folder}/limit.duckdb").stat().st_size
        if figures["events"] != arguments.events:
            raise SystemExit(f"{figures['events']} events came of {arguments.events}")
    return figures


def _child(host: str, database: str, days: list[str], *, is_plain: bool) -> None:
    stages = Stages()
    # zstd columns are stored uncompressed in a file of the default version.
    config: dict[str, Any] = {"storage_compatibility_version": "latest"}
    if not is_plain:
        # Rows are no garbage, and looking for it in them would cost a third of the time.
        gc.disable()
        # Whatever makes DuckDB faster here as well: one thread, no vacuum, more than a row group at once.
        config |= {"memory_limit": "400MB", "preserve_insertion_order": False, "threads": 1, "max_vacuum_tasks": 0}
    together = 1 if is_plain else _TOGETHER
    began, cpu_began = time.monotonic(), cpu_seconds()
    with duckdb.connect(database, config=config) as connection, httpx.Client(base_url=host) as client:
        kinds = {"uuid": "UUID", "person_id": "UUID", "timestamp": "TIMESTAMP", "created_at": "TIMESTAMP"}
        columns = ", ".join(
            f'"{name}" {kinds.get(name, "VARCHAR")}{" USING COMPRESSION zstd" if name == "properties" else ""}'
            for name in COLUMNS
        )
        connection.execute(f"CREATE TABLE events ({columns})")
        events = 0
        pages: list[pa.Table] = []
        for packed in _bodies(client, days, stages):
            with stages.stage("unpack and decode"):
                rows = orjson.loads(packed)["results"]
            with stages.stage("Arrow"):
                cells = zip(*rows, strict=True)
                page = pa.table(
                    {
                        name: pa.array(values, pa.string()).cast(_TYPES.get(name, pa.string()))
                        for name, values in zip(COLUMNS, cells, strict=True)
                    }
                )
            del rows
            events += page.num_rows
            pages.append(page)
            if len(pages) == together:
                _insert(connection, pages, stages)
        _insert(connection, pages, stages)
        with stages.stage("insert (DuckDB), this thread"):
            connection.execute("CHECKPOINT")
        native = native_threads_seconds()
    figures = {
        "events": events,
        "wall_seconds": time.monotonic() - began,
        "cpu_seconds": cpu_seconds() - cpu_began,
        "peak_memory_bytes": peak_memory(),
        "stages": {**stages.seconds, "DuckDB's threads": native},
    }
    print(json.dumps(figures))


def _insert(connection: duckdb.DuckDBPyConnection, pages: list[pa.Table], stages: Stages) -> None:
    if not pages:
        return
    together = pa.concat_tables(pages)
    pages.clear()
    connection.register("together", together)
    with stages.stage("insert (DuckDB), this thread"):
        connection.execute("INSERT INTO events SELECT * FROM together")
    connection.unregister("together")


def _bodies(client: httpx.Client, days: list[str], stages: Stages) -> Iterator[bytes]:
    def fetch(day: str) -> bytes:
        following = (date.fromisoformat(day) + timedelta(days=1)).isoformat()
        sql = (
            f"SELECT toString(uuid) FROM events WHERE timestamp >= toDateTime64('{day} 00:00:00.000000', 6, 'UTC') "
            f"AND timestamp < toDateTime64('{following} 00:00:00.000000', 6, 'UTC') LIMIT 50000"
        )
        with stages.stage("download and unpack"):
            return client.post(
                "/api/projects/1/query/",
                json={"query": {"kind": "HogQLQuery", "query": sql}},
                headers={"Authorization": f"Bearer {API_KEY}"},
                timeout=300,
            ).content

    with ThreadPoolExecutor(AHEAD) as pool:
        waiting: list[Future[bytes]] = []
        for day in days:
            waiting.append(pool.submit(fetch, day))
            if len(waiting) == AHEAD:
                yield waiting.pop(0).result()
        while waiting:
            yield waiting.pop(0).result()


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--page-rows", type=int, default=40_000)
    parser.add_argument("--zstd", action="store_true", help="the server answers with zstd, if that is accepted")
    parser.add_argument("--plain", action="store_true", help="with the defaults of Python and DuckDB")
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    add_usual(parser)
    arguments = usual(parser, events=1_200, page_rows=500)
    if arguments.child:
        _child(arguments.child[0], arguments.child[1], arguments.child[2:], is_plain=arguments.plain)
        return 0
    figures = run(arguments)
    events = figures["events"]
    show(
        f"the floor{', plain' if arguments.plain else ''}, {events:,} events",
        {
            "events a second": f"{events / figures['wall_seconds']:,.0f}",
            "CPU seconds a million": f"{figures['cpu_seconds'] * MILLION / events:,.1f}",
            **{f"- {name}": f"{spent * MILLION / events:,.1f}" for name, spent in figures["stages"].items()},
            "peak memory": f"{figures['peak_memory_bytes'] / MB:,.0f} MB",
            "DuckDB file": f"{figures['file_bytes'] / MB:,.0f} MB",
        },
    )
    write_json(arguments.json, figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
