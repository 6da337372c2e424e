"""The instruments of the benchmarks."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import measuring
import pytest

BUSY = "import time\nwhile time.process_time() < {seconds}: pass"


def test_the_cpu_time_of_a_program_and_of_what_it_starts() -> None:
    inner = BUSY.format(seconds=0.3)
    outer = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {inner!r}])\nprint('done')"
    ended = measuring.run_process([sys.executable, "-c", outer], dict(os.environ))
    assert ended.said == "done\n"
    assert 0.3 <= ended.cpu_seconds < 2
    assert ended.wall_seconds >= 0.3


def test_the_peak_of_a_program_is_its_own_and_not_that_of_who_started_it() -> None:
    held = bytearray(300 * measuring.MB)
    held[::4096] = b"x" * len(held[::4096])  # pages that are not touched are no memory
    small = measuring.run_process([sys.executable, "-c", "pass"], dict(os.environ))
    large = measuring.run_process([sys.executable, "-c", "b'x' * 200_000_000"], dict(os.environ))
    assert small.peak_memory_bytes < 100 * measuring.MB
    assert large.peak_memory_bytes > 200 * measuring.MB
    assert measuring.peak_memory() > 300 * measuring.MB


def test_a_program_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(measuring.ProgramFailed, match="ended with 1: no such table"):
        measuring.run_process(
            [sys.executable, "-c", "raise SystemExit('no such table')"], dict(os.environ), output=tmp_path / "said"
        )


class Work:
    def spin(self, seconds: float) -> None:
        end = time.thread_time() + seconds
        while time.thread_time() < end:
            pass

    def outer(self) -> None:
        self.spin(0.05)
        self.inner()

    def inner(self) -> None:
        self.spin(0.1)

    def idle(self) -> None:
        """Never called."""


def test_a_stage_within_another_counts_for_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("outer", "inner", "idle"):
        monkeypatch.setattr(Work, name, getattr(Work, name))
    stages = measuring.Stages()
    for name in ("outer", "inner", "idle"):
        stages.watch(Work, name, name)
    Work().outer()
    assert stages.seconds["outer"] == pytest.approx(0.05, abs=0.03)
    assert stages.seconds["inner"] == pytest.approx(0.1, abs=0.03)
    assert stages.unused() == ["idle"]
