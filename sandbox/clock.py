"""The sandbox's idea of now."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone


class Clock:
    """Real time plus an offset, which only grows. Safe to use from several threads.

    Args:
        now: what time it is at the start (with a time zone); the real time if not given.
    """

    def __init__(self, now: datetime | None = None) -> None:
        self._lock = threading.Lock()
        self._offset = timedelta(0)
        if now is not None:
            if now.tzinfo is None:
                raise ValueError("The sandbox's time needs a time zone, as in 2026-11-20T12:00:00Z")
            self._offset = now - datetime.now(timezone.utc)

    def now(self) -> datetime:
        """The current time, in UTC."""
        with self._lock:
            return datetime.now(timezone.utc) + self._offset

    def advance(self, seconds: float) -> datetime:
        """Move the time on and return the new time, in UTC.

        Raises:
            ValueError: for a step back. Stored rows would then come from the future.
        """
        if seconds < 0:
            raise ValueError("The sandbox's clock only goes forward")
        with self._lock:
            self._offset += timedelta(seconds=seconds)
        return self.now()
