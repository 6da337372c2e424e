"""A DuckDB file as a first sync leaves it: events, typed property columns, and what is recorded of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from measuring import child_environment, run_process
from replay.pages import USUAL
from replay.server import API_KEY, Replay


def synced(pages: Path, database: Path, *, events: int, page_rows: int, properties: str = USUAL) -> dict[str, Any]:
    """Syncs recorded pages into a new file, as a program of its own; gives what it took."""
    with Replay(pages, events=events, page_rows=page_rows, properties=properties) as replay:
        command = [sys.executable, "-m", "contenders.ours", replay.host, str(database), API_KEY]
        environment = child_environment(database.parent, PYTHONPATH=str(Path(__file__).resolve().parent))
        ended = run_process([*command, "--page-rows", str(page_rows)], environment)
    said: dict[str, Any] = json.loads(ended.said.strip().splitlines()[-1])
    return {**said, "cpu_seconds": ended.cpu_seconds, "peak_memory_bytes": ended.peak_memory_bytes}
