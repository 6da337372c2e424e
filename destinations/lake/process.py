"""Who this process is, so that another one can tell whether it has ended.

A host's name proves nothing (containers share names, and take them again), nor does a PID alone. A process of Linux is
told by the boot of its kernel, its PID namespace, its PID and when it started: only a process in the same namespace can
say that it has ended.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def described() -> dict[str, Any]:
    """This process, for others."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "space": _space(), "started": _started(os.getpid())}


def has_ended(other: Mapping[str, Any]) -> bool:
    """Whether a process that told of itself has certainly ended; False also where nobody here can know."""
    space, started, pid = other.get("space"), other.get("started"), other.get("pid")
    if space is None or started is None or not isinstance(pid, int) or space != _space():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    now = _started(pid)
    return now is not None and now != started


def _space() -> str | None:
    """The boot of the kernel and the PID namespace, within which PIDs are unique; None: this system does not tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When a process started, in the kernel's ticks; None: there is none, or it is not shown."""
    try:
        # Its second field is a name in parentheses, which may hold spaces; the start is field 22 of `man 5 proc`.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None
