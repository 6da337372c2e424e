"""``python -m posthog_warehouse.sandbox``: a local PostHog on 127.0.0.1."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from posthog_warehouse.sandbox.behaviour import PROFILES

BAD_USAGE = 2


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m posthog_warehouse.sandbox",
        description="A local PostHog: its API answered by real ClickHouse, on 127.0.0.1, with made-up data.",
    )
    parser.add_argument("--port", type=int, default=8010, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--events", type=_count, default=100_000, help="how many events (default: %(default)s)")
    parser.add_argument("--persons", type=_count, default=2_000, help="how many persons (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same data (default: %(default)s)")
    parser.add_argument("--days", type=_count, default=30, help="days that the data spans (default: %(default)s)")
    parser.add_argument("--profile", choices=sorted(PROFILES), default="cloud", help="(default: %(default)s)")
    parser.add_argument("--now", metavar="ISO", help="the server's time at the start, as 2026-11-20T12:00:00Z")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="keep the data there (default: thrown away)")
    parser.add_argument(
        "--behaviour", metavar="JSON", default="{}", help='fields of sandbox.behaviour, as {"refuse_offset": false}'
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what is said when ready")
    # For programs that start a sandbox: it ends when they close its standard input, or die.
    parser.add_argument("--exit-with-parent", action="store_true", help=argparse.SUPPRESS)
    return parser


def _count(text: str) -> int:
    number = int(text.replace("_", ""))
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _ready_text(facts: dict[str, Any]) -> str:
    host, project, key = facts["host"], facts["project_id"], facts["api_key"]
    return f"""A local PostHog is ready at {host} (Ctrl-C stops it).

  export POSTHOG_HOST={host}
  export POSTHOG_PROJECT_ID={project}
  export POSTHOG_PERSONAL_API_KEY={key}

  posthog-warehouse sync --host {host}

  curl -s {host}/api/projects/{project}/query/ -H 'Authorization: Bearer {key}' \\
    -H 'Content-Type: application/json' \\
    -d '{{"query": {{"kind": "HogQLQuery", "query": "select event, count() from events group by event"}}}}'

  What can be changed while it runs: curl -s {host}/_sandbox/"""


def _say(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()


class _Progress:
    """Events made so far, on standard error: rewritten in place on a terminal, else a line now and then."""

    def __init__(self, events: int) -> None:
        self._events = events
        self._terminal = sys.stderr.isatty()
        self._said_at = time.monotonic()

    def __call__(self, made: int) -> None:
        now = time.monotonic()
        if self._terminal:
            _say(f"\rMaking data: {made:,} of {self._events:,} events")
        elif now - self._said_at > 5:
            _say(f"Making data: {made:,} of {self._events:,} events\n")
        else:
            return
        self._said_at = now

    def end(self) -> None:
        """Leave the line."""
        if self._terminal:
            _say("\r\x1b[K")


def main(argv: list[str] | None = None) -> int:
    """Serve until stopped. Returns the exit code: 0 after a stop, 2 if it cannot start as asked."""
    arguments = _arguments().parse_args(argv)
    # Imported late: bad usage and --help need no ClickHouse, which takes a second to load.
    from posthog_warehouse.sandbox import server  # noqa: PLC0415

    def interrupted(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupted)
    served = None
    try:
        changes = json.loads(arguments.behaviour)
        options = server.Options(
            port=arguments.port,
            events=arguments.events,
            persons=arguments.persons,
            seed=arguments.seed,
            days=arguments.days,
            behaviour=PROFILES[arguments.profile].changed(changes),
            data=arguments.data,
            now=None if arguments.now is None else server.utc(arguments.now),
        )
        listener = server.listen(options.port)
        if arguments.exit_with_parent:
            server.stop_with_parent()
        progress = _Progress(options.events)
        served = server.prepare(options, progress)
        progress.end()

        def ready(facts: dict[str, Any]) -> None:
            print(json.dumps(facts) if arguments.format == "json" else _ready_text(facts), flush=True)  # noqa: T201 - this is the output

        server.serve(served.state, listener, ready)
    except (server.StartError, ValueError) as error:
        _say(f"{error}\n")
        return BAD_USAGE
    except KeyboardInterrupt:
        _say("\nStopped.\n")
    finally:
        if served is not None:
            served.close()
    return 0


def run(argv: list[str] | None = None) -> NoReturn:
    """Run and leave at once: ClickHouse in process can crash while the interpreter takes itself apart."""
    code = main(argv)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    run()
