"""A script as people write it: requests, pandas and DuckDB, page by page, everything in memory, then one table.

    python -m contenders.handwritten HOST DATABASE KEY --after 2026-11-10T00:00:00 --flat

With --flat it reads the list of events, which has properties as objects, and flattens them with json_normalize; else it
asks the query API, which has them as text. Runs in .venv-peers, where pandas and requests are.
"""

from __future__ import annotations

import argparse
from typing import Any

import duckdb
import pandas as pd
import requests

from contenders.measured import Measured


def main() -> None:
    """Loads, and says what it took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("database")
    parser.add_argument("key")
    parser.add_argument("--after", required=True)
    parser.add_argument("--limit", type=int, default=10_000)
    parser.add_argument("--query", default="", help="of the query API, with {after} and {limit}")
    parser.add_argument("--flat", action="store_true")
    arguments = parser.parse_args()
    with Measured():
        frame = flat(arguments) if arguments.flat else queried(arguments)
        with duckdb.connect(arguments.database) as connection:
            connection.register("frame", frame)
            connection.execute("CREATE SCHEMA posthog")
            connection.execute("CREATE TABLE posthog.events AS SELECT * FROM frame")


def flat(arguments: argparse.Namespace) -> pd.DataFrame:
    """All events of the list, a column for each property."""
    url = f"{arguments.host}/api/projects/1/events/"
    params: dict[str, Any] | None = {"limit": arguments.limit, "after": arguments.after}
    frames = []
    with session(arguments) as client:
        while url:
            answer = client.get(url, params=params, timeout=60)
            answer.raise_for_status()
            page = answer.json()
            frames.append(pd.json_normalize(page["results"]))
            # next has the parameters in it.
            url, params = page["next"], None
    return texts(pd.concat(frames, ignore_index=True))


def texts(frame: pd.DataFrame) -> pd.DataFrame:
    """What pandas keeps as objects of several kinds, as text: DuckDB takes no column of them."""
    for name in frame.columns:
        if frame[name].dtype == object:
            frame[name] = frame[name].map(lambda value: value if value is None else str(value))
    # DuckDB's names are the same in small letters.
    small = frame.columns.str.lower()
    return frame.loc[:, ~small.duplicated()]


def queried(arguments: argparse.Namespace) -> pd.DataFrame:
    """All events that the query gives, properties as text."""
    url, after, frames = f"{arguments.host}/api/projects/1/query/", arguments.after.replace("T", " "), []
    with session(arguments) as client:
        while True:
            sql = arguments.query.format(after=after, limit=arguments.limit)
            answer = client.post(url, json={"query": {"kind": "HogQLQuery", "query": sql}}, timeout=60)
            answer.raise_for_status()
            page = answer.json()
            frames.append(pd.DataFrame(page["results"], columns=page["columns"]))
            if len(page["results"]) < arguments.limit:
                break
            after = page["results"][-1][page["columns"].index("timestamp")]
    frame = pd.concat(frames, ignore_index=True)
    frame["timestamp"] = pd.to_datetime(frame["timestamp"])
    return frame.rename(columns={"uuid": "id"})


def session(arguments: argparse.Namespace) -> requests.Session:
    """With the key."""
    client = requests.Session()
    client.headers["Authorization"] = f"Bearer {arguments.key}"
    return client


if __name__ == "__main__":
    main()
