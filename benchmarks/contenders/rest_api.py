"""dlt's rest_api source, declared as its documentation shows it, over the list of events.

python -m contenders.rest_api HOST DATABASE KEY --after 2026-11-10T00:00:00 --flat --file-format parquet
"""

from __future__ import annotations

import argparse

import dlt
from dlt.sources.rest_api import rest_api_source
from dlt.sources.rest_api.typing import RESTAPIConfig

from contenders.measured import Measured


def main() -> None:
    """Loads, and says what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("database")
    parser.add_argument("key")
    parser.add_argument("--after", required=True)
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--flat", action="store_true", help="a column for each property, as dlt does; else JSON")
    parser.add_argument("--file-format", choices=("insert_values", "parquet"), default="insert_values")
    arguments = parser.parse_args()
    config: RESTAPIConfig = {
        "client": {
            "base_url": f"{arguments.host}/api/projects/1/",
            "auth": {"type": "bearer", "token": arguments.key},
            "paginator": {"type": "json_link", "next_url_path": "next"},
        },
        "resources": [
            {
                "name": "events",
                "columns": {} if arguments.flat else {"properties": {"data_type": "json"}},
                "endpoint": {
                    "path": "events/",
                    "params": {"limit": arguments.limit, "after": arguments.after},
                    "data_selector": "results",
                },
            }
        ],
    }
    with Measured():
        pipeline = dlt.pipeline(
            "rest_api", destination=dlt.destinations.duckdb(arguments.database), dataset_name="posthog"
        )
        pipeline.run(rest_api_source(config), loader_file_format=arguments.file_format)


if __name__ == "__main__":
    main()
