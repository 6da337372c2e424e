"""What went wrong, for people and for programs: what failed, what it means, what to do next. Never with the key."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import traceback
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from posthog_warehouse.destinations.credentials import without_secrets
from posthog_warehouse.destinations.errors import DestinationError
from posthog_warehouse.pipelines.config import ConfigError
from posthog_warehouse.pipelines.exit_codes import ExitCode, cause_of, code_of_error
from posthog_warehouse.sources.posthog import TABLES, PostHogError
from posthog_warehouse.sources.posthog.errors import ScopeMissing, WaitTooLong, behind, chain_of
from posthog_warehouse.sources.posthog.http.auth.api_key import ApiKey, redact


def _report_it() -> str:
    return f"Run the same command with --debug and report what it prints (the key is not in it) to {_issues()}."


def _issues() -> str:
    """Where faults of ours are reported, as the package's metadata says it."""
    try:
        urls = metadata("posthog-warehouse").get_all("Project-URL") or []
    except PackageNotFoundError:
        urls = []
    found = [url.partition(",")[2].strip() for url in urls if url.lower().startswith("issues")]
    return found[0] if found else "the project's issue tracker"


@dataclass(frozen=True)
class Problem:
    """One failure. `error` names its kind; `status`, `code` and `path` are PostHog's where it answered."""

    error: str
    message: str
    meaning: str
    advice: str
    exit_code: int
    status: int | None = None
    code: str | None = None
    path: str | None = None

    @property
    def lines(self) -> list[str]:
        """What to print, at most one screen."""
        facts = ", ".join(filter(None, [f"HTTP {self.status}" if self.status else "", self.code, self.path]))
        first = _sentence(self.message) + (f" ({facts})" if facts else "")
        return [first, *(_sentence(part) for part in (self.meaning, self.advice) if part)]


def problem_of(error: BaseException, key: ApiKey | None = None) -> Problem:
    """What to say about `error`, which may be wrapped in dlt's."""
    cause = cause_of(error)
    code = code_of_error(error)
    if isinstance(cause, PostHogError):
        return _of_posthog(cause, code, key)
    if isinstance(cause, (DestinationError, ConfigError)):
        return Problem(type(cause).__name__, redact(cause.message, key), "", redact(cause.advice, key), code)
    innermost = _innermost(error)
    return Problem(
        type(innermost).__name__,
        f"A fault of ours: {type(innermost).__name__}: {_first_line(innermost, key)}",
        "This is a bug in posthog-warehouse; what was loaded before is kept.",
        _report_it(),
        code,
    )


def program_name() -> str:
    """How to call the program here: in a checkout whose environment is not active its name alone is not enough."""
    called = Path(sys.argv[0])
    if called.name == "posthog-warehouse" and shutil.which(called.name) is None:
        return os.path.relpath(called)
    return "posthog-warehouse"


def command_line() -> str:
    """The command that was run, to be run again."""
    return redact(shlex.join([program_name(), *sys.argv[1:]]))


def trace_of(error: BaseException, key: ApiKey | None = None) -> str:
    """The traceback, without anything that looks like a key, or a login in an address."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return without_secrets(redact(text, key), ())


def _of_posthog(error: PostHogError, code: ExitCode, key: ApiKey | None) -> Problem:
    meaning, advice = error.meaning, error.advice
    if isinstance(error, ScopeMissing):
        blocked = [table.name for table in TABLES.values() if table.scope == error.scope]
        meaning += f" It is needed for: {', '.join(blocked)}." if blocked else ""
    if isinstance(error, WaitTooLong):
        meaning = f"{meaning} What was loaded is kept."
        advice = f"Later, the same command goes on there: {command_line()} (or allow a longer wait: --max-wait)."
    if code is ExitCode.OUR_FAULT:
        advice = f"{advice} {_report_it()}".strip()
    facts = (error.status, error.code, error.path)
    return Problem(
        type(error).__name__, redact(error.message, key), redact(meaning, key), redact(advice, key), code, *facts
    )


def _innermost(error: BaseException) -> BaseException:
    """The error that dlt's errors wrap, or that one is raised from. What another library handled when it raised its own
    is not the fault."""
    *_, innermost = chain_of(error, lambda each: each.__cause__ or (behind(each) if _is_dlts(each) else None))
    return innermost


def _is_dlts(error: BaseException) -> bool:
    return type(error).__module__.partition(".")[0] == "dlt"


def _first_line(error: BaseException, key: ApiKey | None) -> str:
    line = redact(str(error), key).strip().partition("\n")[0]
    return line if len(line) <= 300 else line[:299] + "…"


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?", ":", ")")) else text + "."
