"""Processes that stop themselves (SIGSTOP) at a put of an object: all that is looked at before has been looked at.

    python -m tests.destinations.lake.pausing

takes an order a line, as JSON: the address of a lake, what to do there, and at which put to stop; and tells a line of
how it went. A test that stops many times starts one such process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import psutil
from deltalake import DeltaTable
from pyiceberg.serializers import ToOutputFile

from posthog_warehouse.destinations.errors import cause_in
from posthog_warehouse.destinations.lake import Lake, conditional
from posthog_warehouse.destinations.lake.lease import LeaseLost
from posthog_warehouse.destinations.open_tables import delta
from tests.destinations.lake.lakes import load, load_events
from tests.destinations.open_tables.tables import Tables
from tests.destinations.open_tables.tables import load_events as load_rows

_ROOT = Path(__file__).resolve().parent.parent.parent.parent


def pause_at(part: str, nth: int, say: Callable[[str], None]) -> Callable[[], None]:
    """Stops this process at the `nth` put of an object whose path has `part`, the lease's own left out; also at those
    of entries that libraries put into the logs of tables. Returns what undoes it.
    """
    reached = 0

    def pausing(put: Callable[..., Any], path_of: Callable[..., str]) -> Callable[..., Any]:
        @wraps(put)
        def paused(*arguments: Any, **named: Any) -> Any:
            nonlocal reached
            path = path_of(*arguments)
            if part in path and "://" in path and not path.endswith("/lease.json"):
                reached += 1
                if reached == nth:
                    say(path)
                    os.kill(os.getpid(), signal.SIGSTOP)
            return put(*arguments, **named)

        return paused

    puts: list[tuple[Any, str, Callable[..., str]]] = [
        *((kind, "put", lambda _, path, *__: f"object://{path}") for kind in set(conditional._KINDS.values())),
        (delta, "write_deltalake", lambda place, *_: f"{getattr(place, 'table_uri', place)}/_delta_log"),
        (DeltaTable, "create_write_transaction", lambda table, *_: f"{table.table_uri}/_delta_log"),
        (ToOutputFile, "table_metadata", lambda _, file, *__: str(file.location)),
    ]
    before = [(owner, name, vars(owner)[name]) for owner, name, _ in puts]
    for owner, name, path_of in puts:
        paused = pausing(getattr(owner, name), path_of)
        setattr(owner, name, staticmethod(paused) if isinstance(vars(owner)[name], staticmethod) else paused)

    def undo() -> None:
        for owner, name, put in before:
            setattr(owner, name, put)

    return undo


@dataclass(frozen=True)
class _At:
    url: str


def do(url: str, what: str, rows: Any) -> None:
    """One piece of work in a lake: what tests have a process do that is paused, and then do themselves."""
    place: Any = _At(url)
    if what == "merge":
        load_events(place, rows)
    elif what.startswith("merge as "):
        load_rows(Tables(what.removeprefix("merge as "), url), rows)
    elif what == "compact":
        with Lake(url) as lake:
            list(lake.compact())
    else:
        load(place, "log" if what == "append" else "cohorts", rows, write_disposition=what)


class Pausing:
    """The process, and what it is ordered to do."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "tests.destinations.lake.pausing"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment, cwd=_ROOT
        )

    def begin(self, url: str, what: str, rows: Any, *, nth: int, part: str = "") -> str | None:
        """Has it do something until it has stopped; the path that it was about to put. None: it is done before."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"url": url, "what": what, "rows": rows, "nth": nth, "part": part}) + "\n")
        said = self._heard()
        if "paused" not in said:
            assert said == {"lost": False}, said
            return None
        while psutil.Process(self._process.pid).status() != psutil.STATUS_STOPPED:
            pass
        return str(said["paused"])

    def go_on(self) -> dict[str, Any]:
        """Lets it go on; how it ended."""
        self._process.send_signal(signal.SIGCONT)
        return self._heard()

    def _heard(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return dict(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """Leaves nothing running behind."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def pausing(environment: dict[str, str]) -> Iterator[Pausing]:
    """The process, until the end of the block."""
    process = Pausing(environment)
    try:
        yield process
    finally:
        process.close()


def _main() -> None:
    def say(**facts: Any) -> None:
        print(json.dumps(facts), flush=True)  # noqa: T201 - this is how the test hears of it

    for line in sys.stdin:
        order = json.loads(line)
        undo = pause_at(order["part"], order["nth"], lambda path: say(paused=path))
        try:
            do(order["url"], order["what"], order["rows"])
        except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
            lost = cause_in(error, LeaseLost)
            say(lost=lost is not None, error=str(lost or repr(error)))
        else:
            say(lost=False)
        finally:
            undo()


if __name__ == "__main__":
    _main()
