"""Trying again: faults a few times with growing, random pauses; limits as long as they ask for, within max_wait.

A server that fails whatever it is asked is known by calls that fail one after the other, with no answered one between
them: each but the first is tried a few times only, and the third one's error says that every call would fail
(`is_shared`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from textwrap import shorten
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, stop_never
from tenacity import wait_random_exponential as random_exponential
from tenacity.wait import wait_base

from sources.posthog.errors import (
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
from sources.posthog.http.rate_limiter import Allowance, Budget

T = TypeVar("T")

_CALLS_IN_A_ROW = 3
"""After so many failed calls in a row it is the server that fails, not the call."""
_WHATEVER = "{} So it did whatever else it was asked."
_ATTEMPTS_IN_A_ROW = 3
"""Attempts of each call after a failed one, which has waited for the server to come back already."""


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
        base, longest = backoff_seconds
        self._budget = budget
        self._attempts = attempts
        self._on_retry = on_retry
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        # From half the pause to the whole of it, so that threads that failed together do not come back together.
        self._after_fault = _SaidOr(random_exponential(multiplier=base, max=longest, min=base / 2))
        self._after_limit = _SaidOr(random_exponential(multiplier=2 * base, max=longest, min=base))

    def call(self, once: Callable[[Allowance], T]) -> T:
        """The result of `once`, which is repeated while it raises Retryable or Waitable.

        Raises Unreachable when attempts are used up, WaitTooLong, Cancelled, and whatever else `once` raises.
        """
        started = self._budget.clock()
        allowance = self._budget.allowance()
        attempts = min(self._attempts, _ATTEMPTS_IN_A_ROW) if self._failed_in_a_row else self._attempts
        limit, fault = _Pause(self._budget, allowance), _Pause(self._budget, allowance, self._on_retry)
        within_limits = Retrying(
            retry=retry_if_exception_type(Waitable),
            stop=stop_never,
            wait=self._after_limit,
            before_sleep=limit.note,
            sleep=limit,
            reraise=True,
        )
        through_faults = Retrying(
            retry=retry_if_exception_type(Retryable),
            stop=stop_after_attempt(attempts),
            wait=self._after_fault,
            before_sleep=fault.note,
            sleep=fault,
            reraise=True,
        )
        try:
            result = through_faults(lambda: within_limits(once, allowance))
        except Retryable as error:
            last = error
        except (Cancelled, Unreachable, WaitTooLong):
            raise  # these do not show whether the server answers
        except PostHogError:
            self._answered()
            raise
        else:
            self._answered()
            return result
        with self._lock:
            self._failed_in_a_row += 1
            is_shared = isinstance(last, ConnectionFailed) or self._failed_in_a_row >= _CALLS_IN_A_ROW
        raise _unreachable(last, attempts, self._budget.clock() - started, is_shared=is_shared)

    def _answered(self) -> None:
        with self._lock:
            self._failed_in_a_row = 0


class _SaidOr(wait_base):
    """The pause that PostHog asked for, else another one."""

    def __init__(self, otherwise: wait_base) -> None:
        self._otherwise = otherwise

    def __call__(self, retry_state: RetryCallState) -> float:
        error = _error(retry_state)
        said = error.seconds if isinstance(error, (Retryable, Waitable)) else None
        return said if said is not None else self._otherwise(retry_state)


class _Pause:
    """Waits as the last error wants it: a limit of the whole project stops every thread, anything else this one."""

    def __init__(self, budget: Budget, allowance: Allowance, on_retry: Callable[[], object] = lambda: None) -> None:
        self._budget = budget
        self._allowance = allowance
        self._on_retry = on_retry
        self._error: PostHogError | None = None

    def note(self, retry_state: RetryCallState) -> None:
        self._error = _error(retry_state)

    def __call__(self, seconds: float) -> None:
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
            fault = shorten(error.message, 80, placeholder=" …") if error else "a fault"
            self._budget.wait(seconds, f"another try after: {fault}", self._allowance if asked else None)


def _error(retry_state: RetryCallState) -> PostHogError | None:
    error = retry_state.outcome.exception() if retry_state.outcome else None
    return error if isinstance(error, PostHogError) else None


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
