"""Who works on a lake: one program at a time.

On a local disk by a lock of the system's, which ends with its process. In an object store, which has no locks, by an
object that says who it is and is renewed while the run lasts: one that was not renewed for two minutes counts for
nothing, nor does one of a process of this machine that has ended.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
import time
import uuid
from pathlib import Path
from typing import IO, Any

from destinations.errors import DestinationHeld

from .layout import SYSTEM
from .store import Store

_LOCK = f"{SYSTEM}/lock"
_LEASE = f"{SYSTEM}/lease.json"
_STALE_SECONDS = 120.0
_RENEW_SECONDS = 20.0


_HERE: dict[str, int] = {}
"""Lock files of this process, and how many hold them: its own loads come one after the other."""
_FILES: dict[str, IO[bytes]] = {}


_PROCESS = uuid.uuid4().hex


class Hold:
    """The lake held by this process, from `take` to `release`."""

    def __init__(self, store: Store, location: str) -> None:
        self._store = store
        self._location = location
        self._is_held = False
        self._ended = threading.Event()
        self._renewing: threading.Thread | None = None

    def check(self) -> None:
        """Raises DestinationHeld where another process has the lake."""
        if self._is_held:
            return
        if not self._store.is_local:
            self._refuse_lease()
        elif self._store.exists(_LOCK) and self._lock_path not in _FILES:
            with Path(self._lock_path).open("rb") as file:
                self._lock(file, fcntl.LOCK_SH)

    def take(self) -> None:
        """Holds the lake. Raises DestinationHeld."""
        if self._is_held:
            return
        if self._store.is_local:
            self._take_lock()
        else:
            self._refuse_lease()
            self._renew()
            self._refuse_lease()  # of two that began in the same moment the one that wrote first gives way
            self._renewing = threading.Thread(target=self._keep_renewing, daemon=True, name="lake-lease")
            self._renewing.start()
        self._is_held = True

    def release(self) -> None:
        """Lets go of it; may be called twice."""
        if not self._is_held:
            return
        self._is_held = False
        if self._renewing is not None:
            self._ended.set()
            self._renewing.join(timeout=10)
            with contextlib.suppress(Exception):  # it ends by itself
                self._store.delete(_LEASE)
            return
        _HERE[self._lock_path] -= 1
        if not _HERE[self._lock_path]:
            _FILES.pop(self._lock_path).close()

    @property
    def _lock_path(self) -> str:
        return self._store.path(_LOCK)

    def _take_lock(self) -> None:
        path = Path(self._lock_path)
        if self._lock_path not in _FILES:
            path.parent.mkdir(parents=True, exist_ok=True)
            file = path.open("ab+")
            try:
                self._lock(file, fcntl.LOCK_EX)
            except DestinationHeld:
                file.close()
                raise
            file.truncate(0)
            file.write(str(os.getpid()).encode())
            file.flush()
            _FILES[self._lock_path] = file
        _HERE[self._lock_path] = _HERE.get(self._lock_path, 0) + 1

    def _lock(self, file: IO[bytes], how: int) -> None:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise self._held(f"another process (PID {file.read().decode() or '?'})") from None

    def _renew(self) -> None:
        self._store.write_json(
            _LEASE, {"owner": _PROCESS, "host": socket.gethostname(), "pid": os.getpid(), "at": time.time()}
        )

    def _keep_renewing(self) -> None:
        while not self._ended.wait(_RENEW_SECONDS):
            with contextlib.suppress(Exception):  # the store fails the run itself, where it matters
                self._renew()

    def _refuse_lease(self) -> None:
        lease: dict[str, Any] | None = self._store.read_json(_LEASE)
        if lease is None or lease["owner"] == _PROCESS or time.time() - lease["at"] > _STALE_SECONDS:
            return
        if lease["host"] == socket.gethostname() and not _is_alive(lease["pid"]):
            return
        ago = max(0, round(time.time() - lease["at"]))
        raise self._held(f"a run on {lease['host']} (PID {lease['pid']}, last seen {ago} s ago)")

    def _held(self, who: str) -> DestinationHeld:
        return DestinationHeld(
            f"The lake {self._location} is held by {who}.",
            "Wait until it is done and run the same command again; nothing is lost. A run that was killed lets go of "
            "it within two minutes.",
        )


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
