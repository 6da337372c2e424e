"""`sync`: settings to a sync, its result to an exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

from posthog_warehouse.destinations.destination import Destination
from posthog_warehouse.pipelines.config import Config, load
from posthog_warehouse.pipelines.defaults import Flags
from posthog_warehouse.pipelines.error_report import Problem, problem_of, trace_of
from posthog_warehouse.pipelines.exit_codes import ExitCode, code_of_result
from posthog_warehouse.pipelines.runner import CommandRun
from posthog_warehouse.pipelines.sync import SyncOptions, SyncResult, sync
from posthog_warehouse.sources.posthog.errors import EndpointNotFound, ScopeMissing

_NOT_PROVEN = (
    "the check found rows that PostHog has and the warehouse has not (short), or could not be made (unknown). Run the "
    "same command again: rows that arrive late are found by a later run. If it stays so, a sync into a new place "
    "(--dataset NAME) reads everything anew."
)


def run_sync(run: CommandRun, flags: Flags, tables: tuple[str, ...]) -> int:
    """Loads what is new, checks it, and says how it went."""
    config = load(flags)
    run.key = config.api_key()
    return sync_with(run, config, config.sync_options(tables))


def sync_with(run: CommandRun, config: Config, options: SyncOptions, shown: Destination | None = None) -> int:
    """One sync with settings that are settled; prints its result. Returns the exit code.

    `shown` is the destination to tell of, where it is to be another one in the end.
    """
    # Made before anything else, so that bad settings are told first; nothing is sent yet.
    client = config.connect(run.reporter.waiting)
    if client.host.advice:
        run.reporter.note(client.host.advice)
    with config.destination() as destination:
        run.reporter.start()
        run.reporter.connected(client)
        try:
            with run.stopping(client.cancel_all):
                result = sync(lambda: client, destination, options, run.reporter)
        finally:
            run.reporter.stop()
            client.close()
        code = int(code_of_result(result))
        if run.signal is not None and code != ExitCode.COMPLETE:
            code = 128 + run.signal
        run.reporter.result(result, shown or destination, code)
    return _last_words(run, result, code)


def _last_words(run: CommandRun, result: SyncResult, code: int) -> int:
    if run.signal is not None and code != ExitCode.COMPLETE:
        return run.stopped()
    if result.stopped is not None:
        problem = problem_of(result.stopped, run.key)
        if "is kept" not in problem.meaning:
            problem = replace(problem, meaning=f"{problem.meaning} What was loaded until then is kept.".strip())
        run.reporter.problem(problem)
    for table, error in result.refused.items():
        if run.debug:
            sys.stderr.write(trace_of(error, run.key))
        problem = problem_of(error, run.key)
        meaning = f"{problem.meaning} Not loaded for it: {table}; the other tables are."
        run.reporter.problem(replace(problem, meaning=meaning.strip()))
    for problem in (*_blocked(run, result), *_unusable(run, result)):
        run.reporter.problem(problem)
    for text in _skipped(result):
        run.reporter.note(text)
    for table, notes in result.notes.items():
        for text in notes:
            run.reporter.note(f"{table}: {text}")
    if code == ExitCode.NOT_PROVEN:
        run.reporter.note(_NOT_PROVEN)
    return code


def _blocked(run: CommandRun, result: SyncResult) -> Iterator[Problem]:
    """One problem for each reason, with all tables that it blocks."""
    by_reason: dict[str, list[str]] = {}
    for table, error in result.blocked.items():
        by_reason.setdefault(error.message, []).append(table)
    for tables in by_reason.values():
        problem = problem_of(result.blocked[tables[0]], run.key)
        meaning = f"{problem.meaning} Not loaded: {', '.join(tables)}; the other tables are."
        yield replace(problem, meaning=meaning.strip())


def _unusable(run: CommandRun, result: SyncResult) -> Iterator[Problem]:
    """One problem for each file, or whatever else makes a table unusable."""
    for table, errors in result.unusable.items():
        for error in errors:
            yield replace(problem_of(error, run.key), meaning=f"Not loaded for it: {table}; the other tables are.")


def _skipped(result: SyncResult) -> Iterator[str]:
    """A line for the tables that the key lacks scopes for, one for those that the server lacks, and one for each
    other reason."""
    scopes = {table: error.scope for table, error in result.skipped.items() if isinstance(error, ScopeMissing)}
    if scopes:
        tables = ", ".join(f"{table} ({scope})" for table, scope in scopes.items())
        yield f"Skipped {tables}: the API key lacks these scopes."
    lacking = {table: error for table, error in result.skipped.items() if isinstance(error, EndpointNotFound)}
    if lacking:
        # What an older server answers to an address that it does not know may be of no help: it takes it for an id.
        said = "; ".join(dict.fromkeys(error.message.removeprefix("PostHog says: ") for error in lacking.values()))
        yield (
            f"Skipped {', '.join(lacking)}: this server does not have them; other versions of PostHog do (it says: "
            f"{said.rstrip('.')}). They are asked for again after a week, or when you name them."
        )
    by_reason: dict[str, list[str]] = {}
    for table, error in result.skipped.items():
        if table not in scopes and table not in lacking:
            by_reason.setdefault(error.message, []).append(table)
    for reason, names in by_reason.items():
        yield f"Skipped {', '.join(names)}: {reason}"
