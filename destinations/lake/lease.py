"""The lease of a lake in an object store: an object that says who writes there, changed by conditional puts alone.

* Two that want it put under the same condition, so one of them has it, and the other is told.
* Who has it renews it, by a put on the condition that it is still the version that this process has put: a renewal
  finds out that another one took it.
* Ages are by one clock. How long a lease was not renewed is the store's own time less the time of the object, both
  told by the store; where it tells only one of them, whoever wants the lease watches it for as long, by its own clock.
  How long a holder may rely on it is measured by its own clock, from before its last renewal was sent.
* A lease counts for nothing once it was given back, once it was not renewed for `Limits.stale` seconds, or once its
  process has ended for certain.

No clock makes a writer safe: between a look at the lease and the put that follows it, a process may be paused for an
hour. That is what `fence` is for.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import DestinationHeld
from . import process
from .conditional import ABSENT, ConditionFailed, ConditionRefused, Found, Objects

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How long things take, in seconds."""

    stale: float = 120.0
    """A lease that was not renewed for so long may be taken."""
    renew: float = 20.0
    """Between two renewals."""
    margin: float = 30.0
    """So long before others may take it, its holder does not rely on it any more without renewing it."""
    watch: float = 3.0
    """Between two looks at a lease of unknown age."""


LIMITS = Limits()

_PROCESS = uuid.uuid4().hex


class LeaseLost(DestinationHeld):
    """Another run took the lake over."""


class Lease:
    """The lease at `path`, for this process, from `take` to `release`."""

    def __init__(self, objects: Objects, path: str, location: str, *, process_id: str = _PROCESS) -> None:
        """`location`: the lake, for people. `process_id` names this process, which has one lease of a lake at a time: a
        lease of its own that it finds is one that it could not give back, and may be taken.
        """
        self._process_id = process_id
        self._objects = objects
        self._path = path
        self._location = location
        self._limits = LIMITS
        self._owner = uuid.uuid4().hex
        self._epoch = 0
        self._tag = ""
        self._body = b""
        self._seen = 0.0
        self._lost: LeaseLost | None = None
        self._watched: tuple[str, float] | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._renewing: threading.Thread | None = None
        self.has_conditions = True
        """Whether the store keeps to the conditions of puts; known from `take` on."""

    @property
    def owner(self) -> str:
        """What tells this holder from all others."""
        return self._owner

    def look(self) -> None:
        """Raises DestinationHeld where another process has it."""
        self._refuse(self._objects.read(self._path))

    def take(self) -> None:
        """Takes it, and renews it from now on. Raises DestinationHeld."""
        while True:
            found = self._objects.read(self._path)
            self._refuse(found)
            self._epoch = _of(found).get("epoch", 0) + 1
            try:
                self._put(found.tag if found is not None else ABSENT)
                break
            except ConditionFailed:
                continue  # somebody was quicker: who that is shows in the next look
        self._prove()
        self._renewing = threading.Thread(target=self._keep_renewing, daemon=True, name="lake-lease")
        self._renewing.start()

    def check(self) -> None:
        """By this machine's clock alone, unless that says that others may soon take the lease: then renews it.

        Raises LeaseLost.
        """
        with self._lock:
            self._raise_lost()
            if _now() - self._seen > self._limits.stale - self._limits.margin:
                self._renew()

    def verify(self) -> None:
        """Asks the store whether the lease is still this process's. Raises LeaseLost."""
        with self._lock:
            self._raise_lost()
            asked = _now()
            if self.has_conditions and self._objects.tag(self._path) == self._tag:
                self._seen = asked
                return
            self._look_again(asked)

    def release(self) -> None:
        """Gives it back, unless another one has it."""
        self._ended.set()
        if self._renewing is not None:
            self._renewing.join(timeout=10)
        with self._lock:
            if self._lost is None:
                if not self.has_conditions:
                    self._look_again(_now())
                self._put(self._tag, released=True)

    def _keep_renewing(self) -> None:
        while not self._ended.wait(self._limits.renew):
            with self._lock:
                try:
                    self._renew()
                except LeaseLost:
                    return
                except Exception as error:  # noqa: BLE001 - `check` fails the run itself, where it matters
                    logger.debug("the lease could not be renewed: %s", error)

    def _renew(self) -> None:
        if not self.has_conditions:
            self._look_again(_now())
        try:
            self._put(self._tag)
        except ConditionFailed:
            self._look_again(_now())

    def _put(self, only_if: str, *, released: bool = False) -> None:
        """Puts the lease anew. Raises ConditionFailed."""
        asked = _now()
        content = {
            **process.described(),
            "process": self._process_id,
            "owner": self._owner,
            "epoch": self._epoch,
            "put": uuid.uuid4().hex,  # else an object could have the version that it had before
            "released": released,
            "at": time.time(),  # for people, and older versions of this program
        }
        body = self._body = json.dumps(content).encode()
        try:
            self._tag = self._objects.put(self._path, body, only_if if self.has_conditions else None)
        except ConditionRefused:
            self.has_conditions = False
            self._tag = self._objects.put(self._path, body, None)
        except ConditionFailed:
            # A client asks again where it got no answer, and then finds what it had put itself.
            there = self._objects.read(self._path)
            if there is None or there.content != body:
                raise
            self._tag = there.tag
        self._seen = asked

    def _prove(self) -> None:
        """Finds out whether the store refuses puts whose condition does not hold (`has_conditions`); warns if not."""
        for only_if in (ABSENT, self._objects.no_version):
            if not self.has_conditions:
                break
            try:
                self._objects.put(self._path, self._body, only_if)
                self.has_conditions = False
            except ConditionRefused:
                self.has_conditions = False
            except ConditionFailed:
                pass
        if self.has_conditions:
            return
        logger.warning(
            "%s does not keep to conditions of puts (If-None-Match, If-Match), so that two runs at once cannot be kept "
            "apart for certain: make sure that there is only one.",
            self._location,
        )
        time.sleep(self._limits.watch)  # a put of another run at the same moment is there by then
        self._look_again(_now())

    def _look_again(self, asked: float) -> None:
        """Reads whose it is now; `asked`: this machine's clock before that. Raises LeaseLost."""
        there = self._objects.read(self._path)
        if _of(there).get("owner") == self._owner and there is not None:
            self._tag, self._seen = there.tag, asked
            return
        who = f"taken over by {_who(_of(there))}" if there is not None else "removed"
        self._lost = LeaseLost(
            f"This run has lost the lake {self._location}: its lease was {who}, after it was paused or could not reach "
            f"the store for too long.",
            "It stopped there. What it had committed before is kept, and what it had begun is mended by the other run, "
            "or by the next. Run the same command again when the other one is done.",
        )
        self._raise_lost()

    def _raise_lost(self) -> None:
        if self._lost is not None:
            raise self._lost

    def _refuse(self, found: Found | None) -> None:
        """Raises DestinationHeld where the lease that was found counts."""
        lease = _of(found)
        if found is None or lease.get("released") or process.has_ended(lease):
            return
        if lease.get("process") == self._process_id and lease.get("pid") == os.getpid():
            return
        age = self._watch(found) if found.age is None else found.age
        if age >= self._limits.stale:
            return
        raise DestinationHeld(
            f"The lake {self._location} is held by {_who(lease)}, last seen {round(age)} s ago.",
            "Wait until it is done and run the same command again; nothing is lost. A run that was killed lets go of "
            f"it within {_duration(self._limits.stale)}.",
        )

    def _watch(self, found: Found) -> float:
        """Seconds for which a lease was not renewed, by this machine's clock.

        Waits until that is long enough to take it, or it is renewed (0).
        """
        if self._watched is None or self._watched[0] != found.tag:
            self._watched = found.tag, _now()
        tag, since = self._watched
        while (age := _now() - since) < self._limits.stale:
            time.sleep(min(self._limits.watch, self._limits.stale - age))
            if self._objects.tag(self._path) != tag:
                return 0.0
        return age


def _of(found: Found | None) -> dict[str, Any]:
    """What a lease says; nothing: there is none, or it is none of ours."""
    try:
        content = json.loads(found.content) if found is not None else {}
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _who(lease: dict[str, Any]) -> str:
    return f"a run on {lease.get('host', 'an unknown host')} (PID {lease.get('pid', '?')})"


def _duration(seconds: float) -> str:
    return "two minutes" if seconds == 120 else f"{seconds:g} seconds"


def _clock() -> Callable[[], float]:
    """A clock of seconds that counts while the machine sleeps, which `time.monotonic` does not."""
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC"):
        number = getattr(time, name, None)
        if number is not None:
            return lambda: time.clock_gettime(number)
    return time.monotonic


_now = _clock()
