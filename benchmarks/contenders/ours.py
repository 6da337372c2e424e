"""Ours: a first sync of events, as the program does it.

python -m contenders.ours HOST DATABASE --page-rows 40000
"""

from __future__ import annotations

import argparse

from contenders.measured import Measured
from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.pipelines.sync import SyncOptions, sync
from posthog_warehouse.sources.posthog import CORE, PostHogClient, Settings


def main() -> None:
    """Loads, and says what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("database")
    parser.add_argument("key")
    parser.add_argument("--page-rows", type=int, default=40_000)
    arguments = parser.parse_args()
    options = SyncOptions(tables=(CORE["events"],), settings=Settings(leaf_rows=arguments.page_rows))
    with Measured(), DuckDbFile(arguments.database) as destination:
        result = sync(lambda: PostHogClient(arguments.key, arguments.host, 1), destination, options)
    if result.status != "complete":
        raise SystemExit(f"The sync is {result.status}")


if __name__ == "__main__":
    main()
