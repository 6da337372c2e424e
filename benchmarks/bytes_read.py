"""What PostHog reads, and meters, to give out the same events: by leaves, and by keyset paging.

    python benchmarks/bytes_read.py --events 1000000

Both readers ask the same local PostHog for the same columns of the same rows and count them; the figures are the
server's own (ClickHouse's statistics of each query). The keyset is what connectors use that page through the query API:
ordered by (timestamp, uuid), 50,000 rows at a time, each page after the last row of the one before. PostHog keeps
events in the order of day, name and hash of distinct_id, so a page of time lies scattered over its days.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, dataclass

import pyarrow as pa
from measuring import add_usual, usual, write_json

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import PostHogClient, Settings
from posthog_warehouse.sources.posthog.clock import MAX, MIN
from posthog_warehouse.sources.posthog.http.answers import QueryAnswer
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget
from posthog_warehouse.sources.posthog.planning.intervals import Window
from posthog_warehouse.sources.posthog.readers.events import EventsReader
from posthog_warehouse.sources.posthog.sql.capabilities import MODERN_MODIFIERS, probe
from posthog_warehouse.sources.posthog.tables import EVENTS

PAGE = 50_000
MB = 1_000_000


@dataclass(frozen=True)
class Cost:
    """What one way of reading everything took."""

    how: str
    rows: int
    """Distinct uuids that arrived."""
    requests: int
    rows_read: int
    bytes_read: int
    seconds: float


def main() -> int:
    """Runs the benchmark. Returns 1 if a reader missed rows or leaves read more than the share that is asked for."""
    arguments = _arguments()
    results = []
    is_good = True
    for days in arguments.days:
        with Sandbox.start(
            events=arguments.events, persons=arguments.persons, seed=arguments.seed, days=days
        ) as posthog:
            held = posthog.counts()["events"]
            costs = [_by_leaves(posthog), _by_keyset(posthog, bounded=False), _by_keyset(posthog, bounded=True)]
        ours, keyset, bounded = costs
        ratio = keyset.bytes_read / ours.bytes_read
        results.append({"events": held, "days": days, "ratio": ratio, "costs": [asdict(cost) for cost in costs]})
        is_good &= ratio >= arguments.ratio and {cost.rows for cost in costs} == {held}
        _show(held, days, costs)
        print(
            f"\nKeyset paging reads {ratio:.1f} times the bytes of leaves "
            f"({bounded.bytes_read / ours.bytes_read:.1f} times if it also bounds timestamp).\n",
            flush=True,
        )
    write_json(arguments.json, results)
    return 0 if is_good else 1


def _connect(posthog: Sandbox) -> PostHogClient:
    budget = Budget(requests_per_minute=100_000, requests_per_hour=1_000_000)
    return PostHogClient(posthog.api_key, posthog.host, posthog.project_id, budget=budget)


def _by_leaves(posthog: Sandbox) -> Cost:
    """Our extractor, with all that it asks: probe, histogram, leaves."""
    posthog.reset_counters()
    began = time.monotonic()
    with _connect(posthog) as client:
        dialect, now = probe(client)
        pages = EventsReader(client, dialect, Settings()).pages([Window(MIN, MAX, MIN, now)])
        uuids = [page.table.column("uuid") for page in pages]
    return _cost("leaves", posthog, uuids, began)


def _by_keyset(posthog: Sandbox, *, bounded: bool) -> Cost:
    """Keyset paging; `bounded` adds `timestamp >=` the cursor's, by which the server can skip the days before."""
    posthog.reset_counters()
    began = time.monotonic()
    uuids = []
    cells = [
        f"toString({column.hogql}, 'UTC')"
        if column.data_type == "timestamp"
        else f"toString({column.hogql})"
        if column.is_uuid
        else column.hogql
        for column in EVENTS.columns
    ]
    names = [column.name for column in EVENTS.columns]
    uuid_at, time_at = names.index("uuid"), names.index("timestamp")
    cursor = ("1970-01-01 00:00:00.000000", "00000000-0000-0000-0000-000000000000")

    def read(answer: QueryAnswer) -> tuple[list[str], tuple[str, str]]:
        last = answer.rows[-1] if answer.rows else None
        return [row[uuid_at] for row in answer.rows], (last[time_at], last[uuid_at]) if last else cursor

    with _connect(posthog) as client:
        while True:
            moment = f"toDateTime64('{cursor[0]}', 6, 'UTC')"
            bound = f"timestamp >= {moment} AND " if bounded else ""
            page, cursor = client.query(
                f"SELECT {', '.join(cells)} FROM events "
                f"WHERE {bound}(timestamp, uuid) > ({moment}, toUUID('{cursor[1]}')) "
                f"ORDER BY timestamp, uuid LIMIT {PAGE}",
                modifiers=MODERN_MODIFIERS,
                read=read,
            )
            uuids.append(pa.chunked_array([pa.array(page, pa.string())]))
            if len(page) < PAGE:
                break
    return _cost("keyset, timestamp bounded" if bounded else "keyset", posthog, uuids, began)


def _cost(how: str, posthog: Sandbox, uuids: list[pa.ChunkedArray], began: float) -> Cost:
    seconds = time.monotonic() - began
    rows = len(pa.chunked_array([chunk for array in uuids for chunk in array.chunks], pa.string()).unique())
    counters = posthog.counters()
    return Cost(how, rows, counters["requests"], counters["rows_read"], counters["bytes_read"], round(seconds, 1))


def _show(events: int, days: int, costs: list[Cost]) -> None:
    print(f"\n| {events:,} events in {days} days, read by | rows | requests | rows read | MB read | seconds |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for cost in costs:
        print(
            f"| {cost.how} | {cost.rows:,} | {cost.requests} | {cost.rows_read:,} "
            f"| {cost.bytes_read / MB:,.0f} | {cost.seconds:.0f} |"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--persons", type=int, default=20_000)
    parser.add_argument("--days", type=int, nargs="+", default=[30, 3, 1], help="spread over so many days, in turn")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--ratio", type=float, default=8.0, help="fail if keyset reads less than so many times ours")
    add_usual(parser)
    # So few that each reader asks for one page: then there is nothing to win.
    return usual(parser, events=2_000, persons=100, days=[3], ratio=0.0)


if __name__ == "__main__":
    sys.exit(main())
