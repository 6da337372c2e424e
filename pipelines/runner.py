"""How every command runs: one reporter, one way to end early, one exit code, no noise of libraries."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from posthog_warehouse.pipelines.defaults import Format
from posthog_warehouse.pipelines.error_report import Problem, command_line, problem_of, trace_of
from posthog_warehouse.pipelines.exit_codes import cause_of
from posthog_warehouse.pipelines.progress_bar import TerminalReporter
from posthog_warehouse.pipelines.report import JsonReporter, Reporter, TextReporter
from posthog_warehouse.sources.posthog.errors import Cancelled
from posthog_warehouse.sources.posthog.http.auth.api_key import ApiKey

_OURS = "posthog_warehouse"


class CommandRun:
    """One run of a command: what shows it, and what stops it."""

    def __init__(self, reporter: Reporter, *, debug: bool = False) -> None:
        self.reporter = reporter
        self.debug = debug
        self.key: ApiKey | None = None
        """Set as soon as it is known, so that it can be taken out of any text."""
        self.signal: int | None = None
        """The first signal that asked the run to stop."""
        self.is_resumable = True
        """Whether the same command goes on where this run stopped."""
        self._stop: Callable[[], object] | None = None

    @contextmanager
    def stopping(self, stop: Callable[[], object]) -> Iterator[None]:
        """Meanwhile the first Ctrl-C (or SIGTERM) calls `stop`, in a thread of its own; a second one breaks off."""
        self._stop = stop
        try:
            yield
        finally:
            self._stop = None

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The handler of SIGINT and SIGTERM."""
        del frame
        first, self.signal = self.signal is None, self.signal or number
        if not first or self._stop is None:
            raise KeyboardInterrupt
        # A thread, for the handler may have come upon the very locks that stopping needs.
        threading.Thread(target=self._stop_and_say, args=(self._stop,), daemon=True).start()

    def fail(self, error: BaseException) -> int:
        """Says what went wrong; the exit code."""
        self.reporter.stop()
        if self.debug:
            sys.stderr.write(trace_of(error, self.key))
        if self.signal is not None or isinstance(cause_of(error), (KeyboardInterrupt, Cancelled)):
            return self.stopped()
        problem = problem_of(error, self.key)
        self.reporter.problem(problem)
        return problem.exit_code

    def stopped(self) -> int:
        """Says that the run was stopped, and how to go on; the exit code."""
        number = self.signal or signal.SIGINT
        how = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        code = 128 + number
        rest = f"what was loaded is kept. The same command goes on there: {command_line()}"
        message = f"Stopped by {how}; {rest if self.is_resumable else 'nothing is left behind.'}"
        self.reporter.problem(Problem("Stopped", message, "", "", code))
        return code

    def _stop_and_say(self, stop: Callable[[], object]) -> None:
        self.reporter.note("stopping; Ctrl-C again stops at once")
        stop()


def perform(command: Callable[[CommandRun], int], output: Format, *, debug: bool = False) -> int:
    """Runs `command`, and turns whatever happens into an exit code and one clear message."""
    _quiet(debug=debug)
    run = CommandRun(_reporter(output), debug=debug)
    notes, silence = _NotesHandler(run), logging.NullHandler()
    handlers = {number: signal.signal(number, run.on_signal) for number in _signals()}
    loggers: list[tuple[logging.Logger, logging.Handler]] = [(logging.getLogger(_OURS), notes)]
    if not debug:
        # Else Python prints what libraries log for nobody (gcsfs a traceback of each request that it gave up).
        loggers.append((logging.getLogger(), silence))
    for logger, handler in loggers:
        logger.addHandler(handler)
    try:
        return int(command(run))
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`): nothing is left to be said, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last resort: every fault gets a message and a code
        return run.fail(error)
    finally:
        run.reporter.stop()
        for logger, handler in loggers:
            logger.removeHandler(handler)
        for number, before in handlers.items():
            signal.signal(number, before)


def _reporter(output: Format) -> Reporter:
    if output is Format.JSON:
        return JsonReporter()
    return TerminalReporter() if sys.stderr.isatty() else TextReporter()


def _signals() -> list[signal.Signals]:
    if threading.current_thread() is not threading.main_thread():
        return []
    return [signal.SIGINT, signal.SIGTERM]


def _quiet(*, debug: bool) -> None:
    # dlt's handlers of signals would let a whole backfill go on after Ctrl-C until a package is full.
    os.environ["RUNTIME__INTERCEPT_SIGNALS"] = "false"
    if not debug:
        warnings.simplefilter("ignore")


class _NotesHandler(logging.Handler):
    """Warnings of our own modules become notes."""

    def __init__(self, run: CommandRun) -> None:
        super().__init__(logging.WARNING)
        self._run = run

    def emit(self, record: logging.LogRecord) -> None:
        self._run.reporter.note(record.getMessage())
