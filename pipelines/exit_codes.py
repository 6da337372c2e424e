"""Exit codes, and what leads to which: one table for errors, one for results."""

from __future__ import annotations

from enum import IntEnum

from posthog_warehouse.destinations.errors import DatasetTaken, DestinationError, DestinationUnready
from posthog_warehouse.pipelines.config import ConfigError
from posthog_warehouse.pipelines.sync import SyncResult
from posthog_warehouse.sources.posthog import errors
from posthog_warehouse.sources.posthog.readers.extraction import OtherProject


class ExitCode(IntEnum):
    """What the program tells whoever started it."""

    COMPLETE = 0
    OUR_FAULT = 1
    """A fault of ours; also where PostHog does not accept our questions for a main table, and the others are loaded."""
    BAD_USAGE = 2
    """Bad usage or configuration: a flag, a setting, the host, the project, a malformed key, a dataset that holds
    another project's rows or is somebody else's."""
    KEY_REFUSED = 3
    """PostHog refuses the key, the plan does not include what is asked or a quota is used up; or the key lacks a scope
    for a table, and what it may read is loaded."""
    LIMITED = 4
    """Stopped by PostHog's limits: state is saved, the same command resumes."""
    NOT_PROVEN = 5
    """Loaded, but the check is short or unknown."""
    DESTINATION = 6
    """The destination is held by another process, missing, or cannot be written; or one of its tables cannot be loaded
    as it is, and the others are."""
    UNREACHABLE = 7
    """PostHog cannot be reached, keeps failing, or answers what cannot be used."""
    INTERRUPTED = 130
    """Ctrl-C (128 + the signal's number, so 143 after SIGTERM): state is saved."""


_ERRORS: tuple[tuple[tuple[type[BaseException], ...], ExitCode], ...] = (
    # The first line with a class of the error counts.
    ((ConfigError, OtherProject, errors.OwnQueryRefused, errors.NothingRequested), ExitCode.BAD_USAGE),
    ((errors.KeyMissing, errors.KeyMalformed, errors.HostUnusable, errors.RedirectRefused), ExitCode.BAD_USAGE),
    ((errors.ProjectNotFound, errors.EndpointNotFound), ExitCode.BAD_USAGE),
    ((errors.KeyRefused, errors.AccessDenied, errors.ProjectDenied), ExitCode.KEY_REFUSED),
    ((errors.PaymentRequired, errors.QuotaSpent), ExitCode.KEY_REFUSED),
    ((errors.WaitTooLong, errors.Waitable, errors.Narrow), ExitCode.LIMITED),
    (
        (errors.Unreachable, errors.Retryable, errors.AnswerFromCache, errors.ListUnreadable),
        ExitCode.UNREACHABLE,
    ),
    ((errors.Cancelled, KeyboardInterrupt), ExitCode.INTERRUPTED),
    ((DestinationUnready, DatasetTaken), ExitCode.BAD_USAGE),
    ((DestinationError,), ExitCode.DESTINATION),
)

_STATUSES = {
    "complete": ExitCode.COMPLETE,
    "short": ExitCode.NOT_PROVEN,
    "unknown": ExitCode.NOT_PROVEN,
    "blocked": ExitCode.KEY_REFUSED,
}


def cause_of(error: BaseException) -> BaseException:
    """The error that we know, out of those that dlt wraps around it; `error` itself if there is none."""
    return next((each for each in errors.chain_of(error, errors.behind) if _code(each) is not None), error)


def code_of_error(error: BaseException) -> ExitCode:
    """The exit code for a run that ended with `error`."""
    code = _code(cause_of(error))
    return ExitCode.OUR_FAULT if code is None else code


def code_of_result(result: SyncResult) -> ExitCode:
    """The exit code for a sync that came to its end, or was stopped with its state saved."""
    if result.stopped is not None:
        return code_of_error(result.stopped)
    if result.refused:
        return code_of_error(next(iter(result.refused.values())))
    if result.unusable and not result.blocked:
        return ExitCode.DESTINATION
    return _STATUSES[result.status]


def _code(error: BaseException) -> ExitCode | None:
    return next((code for kinds, code in _ERRORS if isinstance(error, kinds)), None)
