"""What can be wrong with a destination, each with what to do about it.

DestinationError
├── DestinationHeld        another process has it open
├── DestinationUnusable    it cannot be opened, read or written
└── DestinationForeign     it holds something that is not ours
"""

from __future__ import annotations


class DestinationError(Exception):
    """A destination cannot be used: what failed, and what to do next."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(f"{message} {advice}")
        self.message = message
        self.advice = advice


class DestinationHeld(DestinationError):
    """Another process has the destination open."""


class DestinationUnusable(DestinationError):
    """It cannot be opened, read or written."""


class DestinationForeign(DestinationError):
    """It holds something that is not ours."""
