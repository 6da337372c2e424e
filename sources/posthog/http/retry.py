"""Trying again: faults a few times with growing, random pauses; limits as long as they ask for, within max_wait.

A server that fails whatever it is asked is known by calls that fail one after the other, with no answered one between
them: each but the first is tried a few times only, and the third one's error says that every call would fail
(`is_shared`).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from textwrap import shorten

from tenacity import AttemptManager, RetryCallState, Retrying

from ..errors import (
    Cancelled,
    ConnectionFailed,
    PostHogError,
    ReadBudgetSpent,
    Retryable,
    Throttled,
    Unreachable,
    Waitable,
    WaitTooLong,
)
from .rate_limiter import Allowance, Budget

_CALLS_IN_A_ROW = 3
"""After so many failed calls in a row it is the server that fails, not the call."""
_WHATEVER = "{} So it did whatever else it was asked."
_ATTEMPTS_IN_A_ROW = 3
"""Attempts of each call after a failed one, which has waited for the server to come back already."""
_MOST_DOUBLINGS = 30
"""Of a pause: it has met its bound long before."""


class Retrier:
    """How a client repeats its calls. `attempts` counts faults only: waiting for a limit is no failed attempt."""

    def __init__(
        self,
        budget: Budget,
        *,
        attempts: int,
        backoff_seconds: tuple[float, float],
        on_retry: Callable[[], object] = lambda: None,
    ) -> None:
        if attempts < 1:
            raise ValueError("attempts must be at least 1")
        self._budget = budget
        self._attempts = attempts
        self._backoff = backoff_seconds
        self._on_retry = on_retry
        self._lock = threading.Lock()
        self._failed_in_a_row = 0

    def attempts(self, allowance: Allowance) -> Iterator[AttemptManager]:
        """The loop around everything that is sent: `with` each attempt it is tried, and again while it raises Retryable
        or Waitable. `allowance` bounds the waits for limits.

        Raises Unreachable when attempts are used up, WaitTooLong, Cancelled, and whatever else is raised within.
        """
        started = self._budget.clock()
        attempts = min(self._attempts, _ATTEMPTS_IN_A_ROW) if self._failed_in_a_row else self._attempts
        tries = _Tries(self._budget, allowance, attempts, self._backoff, self._on_retry)
        try:
            yield from Retrying(
                retry=tries.note, stop=tries.are_used_up, wait=tries.pause, sleep=tries.sleep, reraise=True
            )
        except Retryable as error:
            last = error
        except (Cancelled, Unreachable, WaitTooLong):
            raise  # these do not show whether the server answers
        except PostHogError:
            self._answered()
            raise
        else:
            self._answered()
            return
        with self._lock:
            self._failed_in_a_row += 1
            is_shared = isinstance(last, ConnectionFailed) or self._failed_in_a_row >= _CALLS_IN_A_ROW
        raise _unreachable(last, attempts, self._budget.clock() - started, is_shared=is_shared)

    def _answered(self) -> None:
        with self._lock:
            self._failed_in_a_row = 0


class _Tries:
    """One call's failures so far, and what is waited after each: tenacity asks for the parts in this order."""

    def __init__(
        self,
        budget: Budget,
        allowance: Allowance,
        attempts: int,
        backoff_seconds: tuple[float, float],
        on_retry: Callable[[], object],
    ) -> None:
        self._budget = budget
        self._allowance = allowance
        self._attempts = attempts
        self._base, self._longest = backoff_seconds
        self._on_retry = on_retry
        self._error: BaseException | None = None
        self._faults = 0
        self._limits = 0
        """Since the last fault."""

    def note(self, state: RetryCallState) -> bool:
        """Counts a failure; whether it is one after which trying again helps."""
        self._error = state.outcome.exception() if state.outcome else None
        if isinstance(self._error, Waitable):
            self._limits += 1
        elif isinstance(self._error, Retryable):
            self._faults, self._limits = self._faults + 1, 0
        return isinstance(self._error, (Retryable, Waitable))

    def are_used_up(self, _: RetryCallState) -> bool:
        """Whether no attempt is left. Waiting for a limit is none."""
        return isinstance(self._error, Retryable) and self._faults >= self._attempts

    def pause(self, _: RetryCallState) -> float:
        """The pause that PostHog asked for, else one that grows."""
        if isinstance(self._error, (Retryable, Waitable)) and self._error.seconds is not None:
            return self._error.seconds
        if isinstance(self._error, Waitable):
            return self._growing(self._base, 2 * self._base, self._limits)
        # From half the pause to the whole of it, so that threads that failed together do not come back together.
        return self._growing(self._base / 2, self._base, self._faults)

    def _growing(self, least: float, first: float, number: int) -> float:
        most = min(first * 2 ** min(number - 1, _MOST_DOUBLINGS), self._longest)
        return random.uniform(least, max(least, most))  # noqa: S311 - no secret is made of it

    def sleep(self, seconds: float) -> None:
        """Waits as the last error wants it: a limit of the whole project stops every thread, anything else this one."""
        error = self._error
        if isinstance(error, (Throttled, ReadBudgetSpent)):
            # This thread waits too, when it asks the budget for its next request.
            self._budget.pause(seconds, error.reason)
        elif isinstance(error, Waitable):
            self._budget.wait(seconds, error.reason, self._allowance)
        else:
            self._on_retry()
            # A server that says when it will be back is a limit like others; our own short pauses are not.
            asked = isinstance(error, Retryable) and error.seconds is not None
            fault = shorten(error.message, 80, placeholder=" …") if isinstance(error, PostHogError) else "a fault"
            self._budget.wait(seconds, f"another try after: {fault}", self._allowance if asked else None)


def _unreachable(last: Retryable, attempts: int, seconds: float, *, is_shared: bool) -> Unreachable:
    times = "the only attempt" if attempts == 1 else f"all of {attempts} attempts within {seconds:,.0f} s"
    return Unreachable(
        f"Failed in {times}; the last time: {last.message}",
        last=last,
        meaning=last.meaning if not is_shared or isinstance(last, ConnectionFailed) else _WHATEVER.format(last.meaning),
        advice=last.advice,
        status=last.status,
        code=last.code,
        path=last.path,
        is_shared=is_shared,
    )
