"""The sandbox as a program of its own: this program never imports it, and works without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NoReturn

import posthog_warehouse

_ROOT = Path(posthog_warehouse.__file__).resolve().parent.parent
_NEEDS = ("chdb", "hogql_parser", "starlette", "uvicorn")


class SandboxMissing(Exception):
    """The sandbox is not installed."""


class SandboxFailed(Exception):
    """The sandbox did not start; the text holds what it said."""


def require() -> None:
    """Raises SandboxMissing where something that the sandbox needs is not installed."""
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing:
        raise SandboxMissing(
            f"The local PostHog is not installed (missing: {', '.join(missing)}). "
            "Install it: pip install 'posthog-warehouse[sandbox]'"
        )


def serve(arguments: list[str]) -> NoReturn:
    """Becomes the sandbox: it serves in the foreground, and its end is ours. Raises SandboxMissing."""
    require()
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, _command(arguments), _environment())  # noqa: S606 - our own program


class SandboxProcess:
    """A sandbox in a child process, for as long as the `with` block. It dies with us, too.

    `host`, `project_id` and `api_key` are there once it answers, which is when the block begins.

    Raises SandboxMissing, and SandboxFailed when it does not start.
    """

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = [*arguments, "--port", "0", "--format", "json", "--exit-with-parent"]
        self._process: subprocess.Popen[str] | None = None
        self.host = ""
        self.project_id = ""
        self.api_key = ""

    def __enter__(self) -> SandboxProcess:
        require()
        with tempfile.TemporaryFile(mode="w+") as said:
            # A session of its own: Ctrl-C is for us, who stop it when the sync has ended.
            process = self._process = subprocess.Popen(  # noqa: S603 - our own program
                _command(self._arguments),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env=_environment(),
                start_new_session=True,
            )
            try:
                facts = _facts(process, said)
            except BaseException:
                self._end()
                raise
        self.host, self.project_id = str(facts["host"]), str(facts["project_id"])
        self.api_key = str(facts["api_key"])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _pipe(process.stdin).close()
        _pipe(process.stdout).close()


def _facts(process: subprocess.Popen[str], said: IO[str]) -> dict[str, Any]:
    """The line that the sandbox prints when it is ready."""
    line = _pipe(process.stdout).readline()
    if not line:
        code = process.wait()
        said.seek(0)
        raise SandboxFailed(f"The local PostHog did not start (exit code {code}): {said.read()[-2000:].strip()}")
    facts: dict[str, Any] = json.loads(line)
    return facts


def _command(arguments: list[str]) -> list[str]:
    return [sys.executable, "-m", "posthog_warehouse.sandbox", *arguments]


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def _pipe(pipe: IO[str] | None) -> IO[str]:
    if pipe is None:
        raise SandboxFailed("The local PostHog's process has no pipe.")
    return pipe
