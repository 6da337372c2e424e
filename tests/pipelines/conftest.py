"""The program as people run it: another process, a folder of its own, nothing of this machine's settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from dlt.common.runtime.run_context import active
from typer.testing import CliRunner

from posthog_warehouse.pipelines.cli import app
from posthog_warehouse.sandbox.local import Sandbox
from tests.local_postgres import LocalPostgres
from tests.pipelines.elsewhere import Elsewhere, set_to, settings_of
from tests.sandboxes import started

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 120


@dataclass(frozen=True)
class Outcome:
    """How a run of the program ended."""

    code: int
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """What `--format json` printed."""
        return [json.loads(line) for line in self.out.splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """The events of one type."""
        return [event for event in self.events if event["type"] == kind]


class Program:
    """Runs the program in a folder. No run may print the key, whatever happens."""

    command: tuple[str, ...] = (sys.executable, "-m", "posthog_warehouse.pipelines")

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {
            n: v for n, v in os.environ.items() if not n.startswith(("POSTHOG_", "SOURCES__", "SYNC__", "RUNTIME__"))
        }
        self.environment = {**kept, "PYTHONPATH": str(ROOT), "DLT_DATA_DIR": str(folder / "dlt-data")}

    def pointed_at(self, posthog: Sandbox, key: str | None = None) -> Program:
        """The same, with host, project and key in the environment."""
        self.environment |= {
            "POSTHOG_HOST": posthog.host,
            "POSTHOG_PROJECT_ID": str(posthog.project_id),
            "POSTHOG_PERSONAL_API_KEY": posthog.api_key if key is None else key,
        }
        return self

    def settings(self, text: str, file: str = "config.toml") -> Program:
        """The same, with a file of settings in its folder."""
        (self.folder / ".dlt").mkdir(exist_ok=True)
        (self.folder / ".dlt" / file).write_text(text)
        return self

    def start(self, *arguments: object, **options: Any) -> subprocess.Popen[str]:
        """The program as a process."""
        return subprocess.Popen(
            [*self.command, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            text=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **options},
        )

    def __call__(self, *arguments: object) -> Outcome:
        with self.start(*arguments) as process:
            out, err = process.communicate(timeout=_SECONDS)
        return self.checked(Outcome(process.returncode, out, err))

    def checked(self, outcome: Outcome) -> Outcome:
        """The outcome, after a look for the key in it."""
        if key := self.environment.get("POSTHOG_PERSONAL_API_KEY"):
            assert key not in outcome.out + outcome.err
        return outcome

    @property
    def databases(self) -> list[str]:
        """Files that runs have left in the folder."""
        return sorted(path.name for path in self.folder.glob("*.duckdb*"))


class InProcess(Program):
    """The same without a process of its own: quicker, for what is over before anything is loaded."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self._monkeypatch = monkeypatch
        # The program says so itself, before dlt is imported: too late here.
        self.environment["RUNTIME__LOG_LEVEL"] = "CRITICAL"

    def __call__(self, *arguments: object) -> Outcome:
        with self._monkeypatch.context() as patch:
            patch.chdir(self.folder)
            for name in set(os.environ) - set(self.environment):
                patch.delenv(name)
            for name, value in self.environment.items():
                patch.setenv(name, value)
            active().reload()  # dlt reads its files once for each process
            result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        return self.checked(Outcome(result.exit_code, result.stdout, result.stderr))


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """The program, in a fresh folder."""
    return Program(tmp_path)


@pytest.fixture
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InProcess]:
    """The program in this process, in a fresh folder."""
    yield InProcess(tmp_path, monkeypatch)
    active().reload()


@pytest.fixture
def elsewhere(
    request: pytest.FixtureRequest, postgres: LocalPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Elsewhere]:
    """A destination of the kind that the test is given (`indirect`), and dlt's folder with nothing in it."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    with set_to(settings_of(request.param, postgres, tmp_path)):
        yield Elsewhere(request.param, tmp_path)


@pytest.fixture(scope="module")
def shared_posthog() -> Iterator[Sandbox]:
    """A small local PostHog whose faults and behaviour tests of a module may switch; see `posthog`."""
    with started(events=4_000, persons=200, seed=3, days=10) as sandbox:
        yield sandbox


@pytest.fixture
def posthog(shared_posthog: Sandbox) -> Iterator[Sandbox]:
    """A small local PostHog, as it was afterwards; its data stays as it is."""
    before = shared_posthog.behaviour()
    shared_posthog.reset_counters()
    yield shared_posthog
    shared_posthog.clear_faults()
    shared_posthog.set_behaviour(**before)


def assert_one_screen(text: str, *words: str) -> None:
    """An error that people can use: short, no traceback, and with these words in it."""
    assert "Traceback" not in text
    assert 0 < len(text.splitlines()) <= 12
    for word in words:
        assert word in text
