"""Who works on a lake: one program at a time.

On a local disk by a lock of the system's, which ends with its process. In an object store, which has no locks, by a
`Lease`, and a `Fence` for what a run may still put that has lost it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .. import file_lock
from ..errors import DestinationHeld
from .layout import SYSTEM
from .lease import Lease
from .store import Store

_LOCK = f"{SYSTEM}/lock"
_LEASE = f"{SYSTEM}/lease.json"

_HERE: dict[str, int] = {}
"""Locks and leases of this process, and how many hold them: its own loads come one after the other."""
_FILES: dict[str, IO[bytes]] = {}
_LEASES: dict[str, Lease] = {}


class Hold:
    """The lake held by this process, from `take` to `release`."""

    def __init__(self, store: Store, location: str) -> None:
        self._store = store
        self._location = location
        self._is_held = False
        self._new_lease: Lease | None = None

    def check(self) -> None:
        """Raises DestinationHeld where another process has the lake."""
        if (lease := self.lease) is not None:
            lease.verify()
        if self._is_held or self._name in _HERE:
            return
        if not self._store.is_local:
            self._lease.look()
        elif self._store.exists(_LOCK):
            with self._telling():
                file_lock.look(Path(self._name))

    def take(self) -> None:
        """Holds the lake. Raises DestinationHeld."""
        if self._is_held:
            return
        if self._name not in _HERE:
            if self._store.is_local:
                with self._telling():
                    _FILES[self._name] = file_lock.take(Path(self._name))
            else:
                self._lease.take()
                _LEASES[self._name] = self._lease
        _HERE[self._name] = _HERE.get(self._name, 0) + 1
        self._is_held = True

    @property
    def lease(self) -> Lease | None:
        """The lease of this process; None: it has none, or the lake lies on a local disk."""
        return _LEASES.get(self._name)

    def release(self) -> None:
        """Lets go of it; may be called twice."""
        if not self._is_held:
            return
        self._is_held = False
        self._new_lease = None
        _HERE[self._name] -= 1
        if _HERE[self._name]:
            return
        del _HERE[self._name]
        if self._store.is_local:
            _FILES.pop(self._name).close()
        else:
            with contextlib.suppress(Exception):  # it ends by itself
                _LEASES.pop(self._name).release()

    @property
    def _name(self) -> str:
        return self._store.path(_LOCK) if self._store.is_local else f"{self._store.place}/{_LEASE}"

    @property
    def _lease(self) -> Lease:
        """The lease that this object looks at, and takes: another one after each `release`."""
        if self._new_lease is None:
            self._new_lease = Lease(self._store.objects, self._store.path(_LEASE), self._location)
        return self._new_lease

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Within, a lock that another process has is told as DestinationHeld."""
        try:
            yield
        except file_lock.Locked as locked:
            raise DestinationHeld(
                f"The lake {self._location} is held by another process (PID {locked.pid}).",
                "Wait until it is done and run the same command again; nothing is lost.",
            ) from None
