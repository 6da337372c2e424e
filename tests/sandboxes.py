"""Sandboxes whose data are the same in each run, at whatever hour of whatever day it is started."""

from __future__ import annotations

from typing import Any

from sandbox.local import Sandbox

#: What time it is in them at the start: a Friday at noon, when much happens.
NOW = "2026-11-20T12:00:00Z"


def started(**options: Any) -> Sandbox:
    """A sandbox as `Sandbox.start` gives it, at `NOW` if no other time (or None, the real one) is given."""
    return Sandbox.start(**{"now": NOW, **options})
