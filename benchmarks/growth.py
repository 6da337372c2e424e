"""What a load costs as things grow: the rows in the table, the keys of properties, the rows of a page.

    python benchmarks/growth.py --sizes 0 1000000 10000000 20000000
    python benchmarks/growth.py --sizes --keys 10 90 550 5000 --page-sizes 5000 20000 40000

For the sizes, pages are merged by dlt into a file as a sync does it, property columns included; only that step is
measured, in a process of its own. For keys and pages it is a whole first sync of as many events, as `sync.py` has it. A
sync asks for 40,000 rows at most, to leave room below PostHog's 50,000; what holds more it takes apart, and then this
server, for which a day is one page, would answer all of it twice.
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
import sync
from growing import grow
from measuring import MB, MILLION, add_usual, child_environment, cpu_seconds, peak_memory, show, usual, write_json
from replay.pages import USUAL, Made, make

from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.sources.posthog import CORE
from posthog_warehouse.sources.posthog.dlt_internals import current_resource
from posthog_warehouse.sources.posthog.http.response_body import Body
from posthog_warehouse.sources.posthog.pages.arrow import declared_table
from posthog_warehouse.sources.posthog.properties.settings import PropertySettings
from posthog_warehouse.sources.posthog.properties.shred import PropertyColumns

EVENTS = CORE["events"]


def main() -> int:
    """Runs the benchmark. Returns 1 if a merge left other rows than it should."""
    arguments = _arguments()
    if arguments.child:
        _child(arguments, *arguments.child)
        return 0
    sizes = _sizes(arguments)
    keys = [{"keys": keys, **_synced(arguments, properties=str(keys))} for keys in arguments.keys]
    pages = [{"page_rows": rows, **_synced(arguments, page_rows=rows)} for rows in arguments.page_sizes]
    for name, syncs in (("keys", keys), ("page_rows", pages)):
        if syncs:
            _show_syncs(arguments.rows, name, syncs)
    write_json(arguments.json, {"sizes": sizes, "keys": keys, "page_sizes": pages})
    is_whole = all(each["events"] == each["into"] + arguments.rows for each in sizes)
    return 0 if is_whole else 1


def _sizes(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Merges into a table of each size, and what each took."""
    figures: list[dict[str, Any]] = []
    if not arguments.sizes:
        return figures
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
            figures.append({"into": size, **_merge(arguments, database, str(place + 1))})
            expected = figures[-1]["events"]
    for each in figures:
        show(
            f"{arguments.rows:,} events into {each['into']:,}",
            {
                "CPU time": f"{each['cpu_seconds']:.2f} s",
                "wall time": f"{each['wall_seconds']:.2f} s",
                "CPU, against the first": f"{each['cpu_seconds'] / figures[0]['cpu_seconds']:.2f}",
                "peak memory": f"{each['peak_memory_bytes'] / MB:,.0f} MB",
                "rows afterwards": f"{each['events']:,}",
            },
        )
    return figures


def _synced(arguments: argparse.Namespace, **other: Any) -> dict[str, Any]:
    """A first sync of pages that differ in one respect."""
    usually = {"page_rows": arguments.page_rows, "properties": USUAL, "package_rows": None}
    return sync.run(argparse.Namespace(events=arguments.rows, pages=arguments.pages, **{**usually, **other}))


def _show_syncs(events: int, name: str, syncs: list[dict[str, Any]]) -> None:
    stages = {
        "typed columns": ("typed columns",),
        "JSON to Arrow": ("unpack", "decode JSON", "Arrow", "is it JSON (DuckDB in memory)"),
        "merge": ("merge, the thread that asks", "DuckDB's threads"),
    }
    print(f"\n| {events:,} events, by {name.replace('_', ' ')} | columns | events/s | CPU s a million |", end="")
    print("".join(f" {stage} |" for stage in stages), "peak MB | file, MB |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for each in syncs:
        parts = (sum(each["stages"].get(part, 0.0) for part in parts) for parts in stages.values())
        print(
            f"| {each[name]:,} | {each['columns']:,} | {events / each['wall_seconds']:,.0f} "
            f"| {each['cpu_seconds'] * MILLION / events:,.1f} |"
            + "".join(f" {spent * MILLION / events:,.1f} |" for spent in parts)
            + f" {each['peak_memory_bytes'] / MB:,.0f} | {each['file_bytes'] / MB:,.0f} |"
        )


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
    """The pages, with their property columns, and keys of their own for each `mark`."""
    columns = PropertyColumns(EVENTS, PropertySettings())
    for day in range(len(made.days)):
        document = orjson.loads(Body(made.packed(day, "gzip"), "", is_gzip=True).read())
        page = columns(declared_table([""] * len(EVENTS.columns), document["results"], EVENTS.columns)).table
        hints: dict[str, Any] = {known.name: known.column.dlt_hints() for known in columns.catalogue.properties}
        current_resource().apply_hints(columns=hints)
        yield page.set_column(0, page.schema.field(0), pc.utf8_replace_slice(page.column(0), 24, 28, f"{mark:04x}"))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[0, 1_000_000, 10_000_000, 20_000_000])
    parser.add_argument("--keys", type=int, nargs="*", default=[10, 90, 550, 5_000], help="of properties")
    parser.add_argument("--page-sizes", type=int, nargs="*", default=[5_000, 20_000, 40_000], help="in rows")
    parser.add_argument("--rows", type=int, default=200_000, help="that are loaded each time")
    parser.add_argument("--page-rows", type=int, default=40_000)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    add_usual(parser)
    return usual(parser, sizes=[0, 5_000], keys=[550], page_sizes=[], rows=600, page_rows=300)


if __name__ == "__main__":
    sys.exit(main())
