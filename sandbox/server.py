"""One sandbox in this process: its data, its HTTP server, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import uvicorn

from posthog_warehouse.sandbox.api.app import create_app
from posthog_warehouse.sandbox.api.auth import DEFAULT_KEY
from posthog_warehouse.sandbox.api.sockets import TrackedProtocol
from posthog_warehouse.sandbox.api.state import State
from posthog_warehouse.sandbox.behaviour import Behaviour
from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.generator import Dataset, generate
from posthog_warehouse.sandbox.store import Store

HOST = "127.0.0.1"

#: Beside the tables of a kept data folder: what was generated there.
MARKER = "dataset.json"


class StartError(Exception):
    """The sandbox cannot start as asked; the text says why and what to do."""


@dataclass(frozen=True)
class Options:
    """What to serve. ``now`` is the server's time at the start (UTC); the real time if not given."""

    port: int = 8010
    events: int = 100_000
    persons: int = 2_000
    seed: int = 1
    days: int = 30
    behaviour: Behaviour = dataclasses.field(default_factory=Behaviour)
    data: Path | None = None
    now: datetime | None = None


def listen(port: int) -> socket.socket:
    """A socket bound to the loopback interface; port 0 takes a free one.

    Raises:
        StartError: the port is taken or may not be used.
    """
    # With the protocol named, asyncio sends small packets at once; else each answer waits 40 ms for Nagle.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise StartError(
            f"Port {port} on {HOST} cannot be used ({error}). Choose another one with --port, or 0 for any free port."
        ) from error
    return listener


@dataclass(frozen=True)
class Served:
    """What a running sandbox owns: its state, and its data's folder if that goes with it."""

    state: State
    temporary: tempfile.TemporaryDirectory[str] | None

    def close(self) -> None:
        """Close the store and remove temporary data. A query that still runs is not waited for long."""
        closing = threading.Thread(target=self.state.store.close, daemon=True)
        closing.start()
        closing.join(timeout=3)
        if self.temporary is not None:
            shutil.rmtree(self.temporary.name, ignore_errors=True)


def prepare(options: Options, progress: Callable[[int], None] | None = None) -> Served:
    """Open the store and make the data, unless the folder holds the same data already.

    Raises:
        StartError: the data folder holds other data.
    """
    clock = Clock(options.now)
    wanted: dict[str, Any] = {
        "events": options.events,
        "persons": options.persons,
        "seed": options.seed,
        "days": options.days,
    }
    marker = None if options.data is None else options.data / MARKER
    if options.data is not None and options.data.exists() and any(options.data.iterdir()):
        _check_folder(options.data, wanted)
    temporary = tempfile.TemporaryDirectory(prefix="posthog-sandbox-") if options.data is None else None
    folder = options.data if temporary is None else Path(temporary.name)
    # Rows are made up to a whole minute, or were when a kept folder was filled.
    until = clock.now().replace(second=0, microsecond=0)
    if marker is not None and marker.exists():
        until = utc(json.loads(marker.read_text())["until"])
    state = State(Store(clock, folder), clock, options.behaviour, seed=options.seed, until=until)
    served = Served(state, temporary)
    try:
        if marker is None or not marker.exists():
            generate(served.state.store, Dataset(**wanted, until=until), progress)
            if marker is not None:
                marker.write_text(json.dumps({**wanted, "until": until.isoformat()}))
    except BaseException:
        served.close()
        raise
    return served


def _check_folder(folder: Path, wanted: dict[str, Any]) -> None:
    marker = folder / MARKER
    try:
        found = json.loads(marker.read_text())
    except (OSError, ValueError):
        raise StartError(
            f"{folder} is not empty and holds no finished data of a sandbox. Name an empty or new folder."
        ) from None
    different = [name for name, value in wanted.items() if found.get(name) != value]
    if different:
        kept = ", ".join(f"--{name} {found.get(name)}" for name in wanted)
        raise StartError(f"{folder} holds data made with {kept}. Start with the same figures, or name another folder.")


class Server(uvicorn.Server):
    """uvicorn, ending with exit code 0 on SIGINT and SIGTERM instead of dying by the signal again."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at the first signal; a second one does not wait for open requests."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def serve(state: State, listener: socket.socket, ready: Callable[[dict[str, Any]], None]) -> None:
    """Serve until stopped by a signal or through the control API.

    Args:
        state: what to serve.
        listener: a bound socket.
        ready: called with ``{host, project_id, api_key, port}`` once requests are answered.
    """
    config = uvicorn.Config(
        create_app(state),
        http=TrackedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="error",
        server_header=False,
        # The application tells the time of its own clock, which may have been moved.
        date_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=3,
        backlog=256,
    )
    server = Server(config)

    def stop() -> None:
        server.should_exit = True

    state.stop = stop
    port = listener.getsockname()[1]
    facts = {
        "host": f"http://{HOST}:{port}",
        "project_id": state.project.id,
        "api_key": DEFAULT_KEY,
        "port": port,
    }

    async def run() -> None:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        if not serving.done():
            ready(facts)
        await serving

    asyncio.run(run())


def stop_with_parent() -> None:
    """Stop when standard input ends: whoever started this process holds the other end, and is gone then."""

    def watch() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        # As a signal it works at any time, also while data is being made.
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def utc(text: str) -> datetime:
    """An ISO time with a zone, as UTC.

    Raises:
        ValueError: no such time.
    """
    moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace("z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError(f"{text} names no time zone, as in 2026-11-20T12:00:00Z")
    return moment.astimezone(timezone.utc)
