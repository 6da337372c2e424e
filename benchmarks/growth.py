"""What merging 200,000 events costs as the table grows.

    python benchmarks/growth.py --sizes 0 1000000 10000000 20000000

The pages are merged by dlt into a file as a sync does it; only that step is measured, in a process of its own.
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
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from growing import grow
from measuring import MB, child_environment, cpu_seconds, peak_memory, show, write_json
from replay.pages import Made, make

from destinations.duckdb import DuckDbFile
from sources.posthog import CORE
from sources.posthog.arrow import declared_table
from sources.posthog.http.bodies import Body

EVENTS = CORE["events"]


def main() -> int:
    """Runs the benchmark. Returns 1 if a merge left other rows than it should."""
    arguments = _arguments()
    if arguments.child:
        _child(arguments, *arguments.child)
        return 0
    figures = []
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        database = Path(folder) / "growth.duckdb"
        # The first makes the table, and is not counted.
        expected = _merge(arguments, database, "0")["events"]
        for place, size in enumerate(arguments.sizes):
            with duckdb.connect(str(database)) as connection:
                if not size:
                    connection.execute("DELETE FROM posthog.events")
                    connection.execute("CHECKPOINT")
                    expected = 0
                grow(connection, size - expected)
            expected = size + arguments.rows
            figures.append({"into": size, **_merge(arguments, database, str(place + 1))})
            if figures[-1]["events"] != expected:
                print(f"{figures[-1]['events']:,} rows are in the table and not {expected:,}", file=sys.stderr)
                return 1
    for each in figures:
        show(
            f"{arguments.rows:,} events into {each['into']:,}",
            {
                "CPU time": f"{each['cpu_seconds']:.2f} s",
                "wall time": f"{each['wall_seconds']:.2f} s",
                "CPU, against the first": f"{each['cpu_seconds'] / figures[0]['cpu_seconds']:.2f}",
                "peak memory": f"{each['peak_memory_bytes'] / MB:,.0f} MB",
            },
        )
    write_json(arguments.json, figures)
    return 0


def _merge(arguments: argparse.Namespace, database: Path, mark: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", str(database), mark, "--rows", str(arguments.rows)]
    command += ["--pages", str(arguments.pages), "--page-rows", str(arguments.page_rows)]
    settings = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "CRITICAL"}
    environment = child_environment(database.parent, LOAD__TRUNCATE_STAGING_DATASET="true", **settings)
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    figures: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return figures


def _child(arguments: argparse.Namespace, database: str, mark: str) -> None:
    made = make(arguments.pages, events=arguments.rows, page_rows=arguments.page_rows)
    hints: dict[str, Any] = {
        "name": "events",
        "primary_key": "uuid",
        "write_disposition": {"disposition": "merge", "strategy": "delete-insert", "deduplicated": True},
        "columns": EVENTS.column_hints(),
        "file_format": "parquet",
    }
    resource = dlt.resource(**hints)(lambda: _pages(made, int(mark)))
    with DuckDbFile(database) as file:
        pipeline = dlt.pipeline("growth", destination=file.dlt_destination(), dataset_name="posthog")
        pipeline.extract(resource)
        pipeline.normalize()
        began, cpu_began = time.monotonic(), cpu_seconds()
        pipeline.load()
        figures = {
            "cpu_seconds": cpu_seconds() - cpu_began,
            "wall_seconds": time.monotonic() - began,
            "peak_memory_bytes": peak_memory(),
            "events": file.totals(["events"])["events"],
        }
    print(json.dumps(figures))


def _pages(made: Made, mark: int) -> Iterator[pa.Table]:
    """The pages, with keys of their own for each `mark`."""
    for day in range(len(made.days)):
        document = orjson.loads(Body(made.packed(day, "gzip"), "", is_gzip=True).read())
        page = declared_table([""] * len(EVENTS.columns), document["results"], EVENTS.columns)
        yield page.set_column(0, page.schema.field(0), pc.utf8_replace_slice(page.column(0), 24, 28, f"{mark:04x}"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[0, 1_000_000, 10_000_000, 20_000_000])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--page-rows", type=int, default=40_000)
    parser.add_argument("--pages", type=Path, default=Path(tempfile.gettempdir()) / "replay-pages", help="kept there")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
