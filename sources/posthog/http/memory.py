"""Memory that is free, given back to the system.

A decoded page is some hundred thousand Python strings and as much Arrow. Once they are gone, glibc and Arrow's pool
keep their place for later: 500 MB and 200 MB were seen idle beside a merge that needed the room.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyarrow as pa

one_page = threading.RLock()
"""Held by whoever decodes a large answer or works on one: that takes some 0.4 GB, so it is done to one at a time in
this process, whatever the number of clients and threads."""

one_written = threading.RLock()
"""Held by whoever writes a page that is done into a file: the next one is decoded meanwhile, and none but that."""


def _trim_of_glibc() -> Callable[[int], object] | None:
    if sys.platform != "linux":
        return None
    try:
        trim: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):  # musl has no such function, and no need of it
        return None
    return trim


_trim = _trim_of_glibc()


def give_back() -> None:
    """Gives back what this process has freed. Takes some ten milliseconds: call it after large pieces only."""
    pa.default_memory_pool().release_unused()
    if _trim is not None:
        _trim(0)


@contextmanager
def without_collector() -> Iterator[None]:
    """Within, Python does not look for garbage in cycles, in any thread; what nobody holds goes all the same.

    A decoded page is half a million objects without a cycle, and to look through them again and again as they are made
    takes a third of the time of decoding. For one thread at a time, and not for long.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
