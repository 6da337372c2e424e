"""What the benchmarks of loading measure with: CPU time by stage and thread, peak memory, and a table at the end."""

from __future__ import annotations

import json
import os
import platform
import resource
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

MB = 1_000_000
MILLION = 1_000_000


def child_environment(folder: Path, **more: str) -> dict[str, str]:
    """For the process that is measured: a folder for dlt, and code that is compiled, as an installed program's is."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    compiled = Path(tempfile.gettempdir()) / "posthog-warehouse-bytecode"
    return {**kept, "PYTHONPYCACHEPREFIX": str(compiled), "DLT_DATA_DIR": str(folder / "dlt"), **more}


def cpu_seconds() -> float:
    """CPU time of this process so far, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_memory() -> int:
    """The most memory this process has held at once, in bytes."""
    # Kilobytes on Linux, bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if platform.system() == "Darwin" else 1024)


def native_threads_seconds() -> float:
    """CPU time of the threads that are alive and not Python's: DuckDB's workers and Arrow's. Linux only; else 0."""
    tasks = Path("/proc/self/task")
    if not tasks.exists():
        return 0.0
    known = {thread.native_id for thread in threading.enumerate()}
    ticks = 0
    for task in tasks.iterdir():
        if int(task.name) not in known:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


class Stages:
    """CPU time of named pieces of work, on whatever threads; a piece within another counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._local = threading.local()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Counts this thread's CPU time within the block for `name`."""
        inner, self._local.inner = getattr(self._local, "inner", 0.0), 0.0
        began = time.thread_time()
        try:
            yield
        finally:
            spent = time.thread_time() - began
            with self._lock:
                self.seconds[name] += spent - self._local.inner
            self._local.inner = inner + spent

    def watch(self, owner: Any, method: str, name: str) -> None:
        """Counts each call of `owner.method` for the stage `name`."""
        original: Callable[..., Any] = getattr(owner, method)

        @wraps(original)
        def watched(*arguments: Any, **named: Any) -> Any:
            with self.stage(name):
                return original(*arguments, **named)

        setattr(owner, method, watched)


def show(title: str, rows: dict[str, str]) -> None:
    """Prints a table of two columns."""
    print(f"\n| {title} | |\n| --- | ---: |")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


def write_json(path: Path | None, figures: Any) -> None:
    """Writes figures where `--json` says."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=2) + "\n")
