"""A sync as a process of its own, for tests to kill; or one that kills itself at a chosen moment.

    python -m tests.faults.runner --host http://127.0.0.1:1234 --key phx_... --database posthog.duckdb

Prints a JSON object a line: what begins, what was committed, and the result.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from typing import Any

import dlt

from posthog_warehouse.destinations.destination import Destination, Place
from posthog_warehouse.destinations.duckdb import DEFAULT_MEMORY_LIMIT
from posthog_warehouse.destinations.errors import DestinationError
from posthog_warehouse.destinations.lake import lease as leases
from posthog_warehouse.destinations.registry import DESTINATIONS
from posthog_warehouse.pipelines.exit_codes import code_of_error
from posthog_warehouse.pipelines.sync import Listener, SyncOptions, sync
from posthog_warehouse.sources.posthog import CORE, TABLES, PostHogClient, Settings, posthog
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget
from tests.faults.moments import MOMENTS, die_at


def say(**facts: Any) -> None:
    """One line for the test."""
    print(json.dumps(facts, default=str), flush=True)  # noqa: T201 - this is how the test hears of it


class Teller(Listener):
    """Says what the sync does."""

    def phase(self, what: str) -> None:
        say(phase=what)

    def loaded(self, rows: dict[str, int]) -> None:
        say(loaded=rows)


def main() -> None:
    arguments = _arguments()
    # As in a terminal: whoever runs the tests in the background has all that they start ignore this one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if arguments.stale_seconds is not None:
        # Who comes takes the lease of another one as soon as this, and keeps its own.
        leases.LIMITS = leases.Limits(stale=arguments.stale_seconds, margin=-60.0)
    if arguments.pause_at is not None:
        # Only here: it comes with the servers of object stores and the libraries of table formats, a second's worth.
        from tests.destinations.lake.pausing import pause_at  # noqa: PLC0415

        pause_at(arguments.pause_at, arguments.nth, lambda path: say(paused=path))
    if arguments.die:
        die_at(arguments.die, arguments.nth, lambda: os.kill(os.getpid(), signal.SIGKILL))
    if arguments.plain:
        _plain_script(arguments)
        return

    def connect() -> PostHogClient:
        budget = Budget(requests_per_minute=100_000, requests_per_hour=1_000_000)
        return PostHogClient(arguments.key, arguments.host, budget=budget, backoff_seconds=(0.02, 0.2))

    with _destination(arguments) as destination:
        settings = Settings(leaf_rows=arguments.leaf_rows)
        names = arguments.tables.split(",") if arguments.tables else CORE
        tables = tuple(TABLES[name] for name in names)
        options = SyncOptions(tables, package_rows=arguments.package_rows, settings=settings)
        try:
            result = sync(connect, destination, options, Teller())
        except DestinationError as error:
            say(error=str(error))
            sys.exit(code_of_error(error))
    say(status=result.status, stopped=result.stopped, packages=result.packages, rows=result.rows)


def _plain_script(arguments: argparse.Namespace) -> None:
    """What a user of the source alone does: dlt keeps its working folder and takes up what it left there."""
    with _destination(arguments) as destination:
        pipeline = dlt.pipeline("plain", destination=destination.dlt_destination(), dataset_name="posthog")
        for _ in range(2):
            # dlt loads what is pending, and nothing else, in a run that finds something pending.
            say(pending=pipeline.has_pending_data)
            pipeline.run(posthog(arguments.key, arguments.host, requests_per_minute=100_000))
    say(status="complete")


def _destination(arguments: argparse.Namespace) -> Destination:
    place = Place("posthog", arguments.database, arguments.bucket_url, DEFAULT_MEMORY_LIMIT, arguments.table_format)
    return DESTINATIONS[arguments.destination].make(place)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--bucket-url", default="./unused")
    parser.add_argument("--table-format")
    parser.add_argument("--destination", choices=sorted(DESTINATIONS), default="duckdb")
    parser.add_argument("--tables", help="these alone, with commas between them")
    parser.add_argument("--package-rows", type=int, default=3_000)
    parser.add_argument("--leaf-rows", type=int, default=1_000)
    parser.add_argument("--die", choices=sorted(MOMENTS), help="kill this process at that moment")
    parser.add_argument("--nth", type=int, default=1, help="when it is reached so many times")
    parser.add_argument("--pause-at", help="stop this process (SIGSTOP) at a put of an object whose path has this")
    parser.add_argument("--stale-seconds", type=float, help="take over a lease that was not renewed for so long")
    parser.add_argument("--plain", action="store_true", help="a plain dlt script instead of the sync command")
    return parser.parse_args()


if __name__ == "__main__":
    main()
