"""What the benchmarks of loading measure with: CPU time by stage and thread, peak memory, and a table at the end."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

# Benchmarks are scripts: for what they share with the tests, the folder of both.
sys.path.append(str(Path(__file__).resolve().parent.parent))

MB = 1_000_000
MILLION = 1_000_000
# Kilobytes on Linux, bytes on macOS.
_MEMORY_UNIT = 1 if platform.system() == "Darwin" else 1024
_PAGES = Path(tempfile.gettempdir()) / "replay-pages"


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
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage says begins with the peak of the process that this one was started by.
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _MEMORY_UNIT


class ProgramFailed(Exception):
    """A program that is measured did not end well."""


@dataclass(frozen=True)
class Ended:
    """A program that has run to its end, with all that it started and waited for."""

    said: str
    """Its standard output, if that was not put elsewhere."""
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    """Of the largest of its processes."""


def run_process(command: Sequence[str], environment: dict[str, str], *, output: Path | None = None) -> Ended:
    """Runs a program and waits for it; what it prints goes to `output`, or is kept.

    Raises:
        ProgramFailed: it did not end well; with the end of what it said of it.
    """
    with tempfile.TemporaryDirectory(prefix="measured-") as folder:
        said, errors, figures = (Path(folder) / name for name in ("said", "errors", "figures"))
        with (output or said).open("wb") as printed, errors.open("wb") as complained:
            launch = [sys.executable, "-S", "-c", _LAUNCHER, str(figures), *command]
            code = subprocess.run(launch, stdout=printed, stderr=complained, env=environment, check=False).returncode
        text = "" if output else said.read_text(errors="replace")
        if code:
            complaint = errors.read_text(errors="replace")[-3_000:]
            raise ProgramFailed(f"{' '.join(command)} ended with {code}: {complaint}")
        wall, cpu, memory = json.loads(figures.read_text())
    return Ended(text, wall, cpu, memory * _MEMORY_UNIT)


# A process begins with the peak of the one that it comes from: so a small one is put between.
_LAUNCHER = """
import json, resource, subprocess, sys, time
began = time.monotonic()
code = subprocess.call(sys.argv[2:])
wall, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as figures:
    json.dump([wall, used.ru_utime + used.ru_stime, used.ru_maxrss], figures)
sys.exit(code)
"""


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


def add_usual(parser: argparse.ArgumentParser) -> None:
    """The options that every benchmark has."""
    parser.add_argument("--short", action="store_true", help="so few of everything that it only shows that it works")
    parser.add_argument("--pages", type=Path, default=_PAGES, help="where recorded pages are kept")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")


def usual(parser: argparse.ArgumentParser, **short: object) -> argparse.Namespace:
    """What was asked for; with --short, `short` is the default of options."""
    if parser.parse_known_args()[0].short:
        parser.set_defaults(**short)
    return parser.parse_args()


class Stages:
    """CPU time of named pieces of work, on whatever threads; a piece within another counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._watched: list[str] = []
        self._lock = threading.Lock()
        self._local = threading.local()

    @contextlib.contextmanager
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
        self._watched.append(name)
        original: Callable[..., Any] = getattr(owner, method)

        @wraps(original)
        def watched(*arguments: Any, **named: Any) -> Any:
            with self.stage(name):
                return original(*arguments, **named)

        setattr(owner, method, watched)

    def unused(self) -> list[str]:
        """Stages that are watched, and for which nothing has run."""
        return [name for name in self._watched if name not in self.seconds]


def show(title: str, rows: dict[str, str]) -> None:
    """Prints a table of two columns."""
    print(f"\n| {title} | |\n| --- | ---: |")
    for name, value in rows.items():
        print(f"| {name} | {value} |")


def write_json(path: Path | None, figures: Any) -> None:
    """Writes figures where `--json` says."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=2) + "\n")
