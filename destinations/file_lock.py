"""A lock of the operating system's on a file of this machine: it ends with its process, however that ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO


class Locked(Exception):
    """Another process has the lock."""

    def __init__(self, pid: str) -> None:
        """`pid`: what that process wrote into the file; empty: nothing yet."""
        super().__init__(pid)
        self.pid = pid or "?"


def look(path: Path) -> None:
    """Raises Locked where another process has the lock of a file that is there. Changes nothing."""
    with path.open("rb") as file:
        _lock(file, fcntl.LOCK_SH)


def take(path: Path) -> IO[bytes]:
    """Locks a file, which is made with its folder where it is not there, and writes this process's PID into it.

    The lock lasts until the file is closed. Raises Locked, and OSError where the file cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab+")
    try:
        _lock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()).encode())
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


def _lock(file: IO[bytes], how: int) -> None:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise Locked(file.read().decode()) from None
