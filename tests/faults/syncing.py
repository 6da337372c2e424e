"""Syncs for the fault tests: in this process, and in one that can be killed."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from posthog_warehouse.destinations.destination import Destination
from posthog_warehouse.destinations.duckdb import DuckDbFile
from posthog_warehouse.pipelines.sync import Listener, SyncOptions, SyncResult, sync
from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import PostHogClient, Settings
from posthog_warehouse.sources.posthog.http.rate_limiter import Budget, Wait

LONG = os.environ.get("POSTHOG_WAREHOUSE_LONG_TESTS") == "1"
"""Whether the long forms were asked for (`scripts/test --long`)."""

long_only = pytest.mark.skipif(not LONG, reason="a long form: scripts/test --long")

_ROOT = Path(__file__).resolve().parent.parent.parent
_DEADLINE_SECONDS = 300.0


@dataclass
class Synced:
    """A sync that ran in this process, and the waits that it told of."""

    result: SyncResult
    waits: list[Wait]


def sync_here(
    sandbox: Sandbox,
    database: Path | Destination,
    *,
    package_rows: int = 100_000,
    leaf_rows: int = 1_000,
    max_wait: float = 120.0,
    attempts: int = 6,
    timeout_seconds: float = 310.0,
    listener: Listener | None = None,
    transport: httpx.BaseTransport | None = None,
    **options: Any,
) -> Synced:
    """One sync. Our own limits of requests are out of the way, so that the server's are what is met."""
    waits: list[Wait] = []

    def connect() -> PostHogClient:
        budget = Budget(
            requests_per_minute=100_000, requests_per_hour=1_000_000, max_wait=max_wait, on_wait=waits.append
        )
        return PostHogClient(
            sandbox.api_key,
            sandbox.host,
            budget=budget,
            attempts=attempts,
            backoff_seconds=(0.02, 0.2),
            timeout_seconds=timeout_seconds,
            transport=transport,
        )

    with DuckDbFile(database) if isinstance(database, Path) else database as destination:
        wanted = SyncOptions(package_rows=package_rows, settings=Settings(leaf_rows=leaf_rows), **options)
        return Synced(sync(connect, destination, wanted, listener), waits)


class SyncProcess:
    """A sync in a child process (`tests.faults.runner`) with ears for what it says."""

    def __init__(self, sandbox: Sandbox, database: Path, dlt_folder: Path, **options: Any) -> None:
        command = [sys.executable, "-m", "tests.faults.runner", "--host", sandbox.host, "--key", sandbox.api_key]
        command += ["--database", str(database)]
        for name, value in options.items():
            flag = f"--{name.replace('_', '-')}"
            command += [flag] if value is True else [flag, str(value)]
        environment = {
            **os.environ,
            "DLT_DATA_DIR": str(dlt_folder),
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }
        self._log = (dlt_folder.parent / f"{dlt_folder.name}-{time.monotonic_ns()}.log").open("w+")
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment, cwd=_ROOT
        )
        self.said: list[dict[str, Any]] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._deadline = time.monotonic() + _DEADLINE_SECONDS

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def until(self, fact: str, times: int = 1) -> bool:
        """Waits until the sync has said `fact` so many times; False if it ended before."""
        while sum(fact in line for line in self.said) < times:
            line = self._lines.get(timeout=max(0.0, self._deadline - time.monotonic()))
            if line is None:
                self._lines.put(None)  # whoever waits next is told, too
                return False
            self.said.append(json.loads(line))
        return True

    def signal_after(self, seconds: float, number: signal.Signals = signal.SIGKILL) -> None:
        """Sends a signal after so many seconds, unless the sync ends before."""
        try:
            self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self._process.send_signal(number)

    def until_paused(self) -> bool:
        """Waits until the sync has stopped itself (SIGSTOP); False if it ended before."""
        if not self.until("paused"):
            return False
        while psutil.Process(self._process.pid).status() != psutil.STATUS_STOPPED:
            time.sleep(0.01)
        return True

    def go_on(self) -> None:
        """Lets a sync that has stopped itself go on."""
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> int:
        """Waits for its end and returns its exit code (negative: the signal that ended it)."""
        code = self._process.wait(timeout=max(0.0, self._deadline - time.monotonic()))
        self.until("never")
        return code

    @property
    def errors(self) -> str:
        """What it wrote on its standard error."""
        self._log.seek(0)
        return self._log.read()

    def close(self) -> None:
        """Leaves nothing running behind."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=10)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()


@contextmanager
def sync_process(sandbox: Sandbox, database: Path, dlt_folder: Path, **options: Any) -> Iterator[SyncProcess]:
    """A running sync; killed at the end of the block if it still runs."""
    process = SyncProcess(sandbox, database, dlt_folder, **options)
    try:
        yield process
    finally:
        process.close()
