"""Sandboxes whose data are the same in each run, at whatever hour of whatever day it is started.

To make the data takes longer than most tests take, so they are made once for each set of options, and copied.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from posthog_warehouse.sandbox.local import Sandbox

#: What time it is in them at the start: a Friday at noon, when much happens.
NOW = "2026-11-20T12:00:00Z"
_ROOT = Path(__file__).resolve().parent.parent
_MADE = Path(tempfile.gettempdir()) / f"posthog-warehouse-sandboxes-{os.getuid()}"
_MADE_OF = ("events", "persons", "seed", "days", "now")
"""The options that data are made of; all others say how a server behaves."""


class _OfACopy(Sandbox):
    """One whose data lie in a folder that goes with it."""

    folder: Path | None = None

    def stop(self) -> None:
        super().stop()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def started(**options: Any) -> Sandbox:
    """A sandbox as `Sandbox.start` gives it, at `NOW` if no other time (or None, the real one) is given."""
    options = {"now": NOW, **options}
    if options["now"] is None or "data" in options:
        return Sandbox.start(**options)
    folder = Path(tempfile.mkdtemp(prefix="posthog-sandbox-"))
    try:
        shutil.copytree(_made(options), folder, symlinks=True, dirs_exist_ok=True)
        sandbox = _OfACopy.start(**options, data=folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    assert isinstance(sandbox, _OfACopy)
    sandbox.folder = folder
    return sandbox


def _made(options: dict[str, Any]) -> Path:
    """A folder with the data of these options, which nobody changes."""
    of = {name: options[name] for name in _MADE_OF if name in options}
    name = hashlib.sha256(repr((_maker(), sorted(of.items()))).encode()).hexdigest()[:16]
    made = _MADE / name
    _MADE.mkdir(exist_ok=True)
    with _alone(_MADE / f"{name}.lock"):
        if not made.is_dir():
            with tempfile.TemporaryDirectory(dir=_MADE) as making:
                Sandbox.start(**of, data=Path(making) / name).stop()
                (Path(making) / name).rename(made)
    return made


@cache
def _maker() -> str:
    """What the data are made by: they are made anew when that has changed."""
    files = sorted((_ROOT / "sandbox").glob("*.py"))
    return hashlib.sha256(b"".join([version("chdb").encode(), *(file.read_bytes() for file in files)])).hexdigest()


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
