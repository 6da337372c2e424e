"""Which failure leads to which exit code."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from posthog_warehouse.destinations.errors import DestinationForeign, DestinationHeld, DestinationUnusable
from posthog_warehouse.pipelines.config import ConfigError
from posthog_warehouse.pipelines.error_report import problem_of, trace_of
from posthog_warehouse.pipelines.exit_codes import cause_of, code_of_error
from posthog_warehouse.sources.posthog import errors
from posthog_warehouse.sources.posthog.http.auth.api_key import ApiKey
from posthog_warehouse.sources.posthog.readers.extraction import OtherProject

# A plan for every error of the source: where a new one is added, this table asks for its code.
CODES = {
    0: [],
    1: ["PostHogError", "Final", "NotFound", "TableMissing", "ColumnMissing", "RequestRefused", "QueryRefused"],
    2: [
        "KeyMissing",
        "KeyMalformed",
        "HostUnusable",
        "RedirectRefused",
        "OwnQueryRefused",
        "NothingRequested",
        "ProjectNotFound",
        "EndpointNotFound",
        "OtherProject",
    ],
    3: [
        "KeyRefused",
        "AccessDenied",
        "ProjectUnknown",
        "ScopeMissing",
        "ProjectDenied",
        "PaymentRequired",
        "QuotaSpent",
    ],
    4: [
        "WaitTooLong",
        "Waitable",
        "Throttled",
        "ConcurrencyLimited",
        "ReadBudgetSpent",
        "ClusterBusy",
        "Narrow",
        "QueryTimedOut",
        "MemoryLimitHit",
        "TooManyBytes",
        "QueryTooLarge",
    ],
    7: [
        "Unreachable",
        "Retryable",
        "ServerFault",
        "ConnectionFailed",
        "AnswerTruncated",
        "AnswerMalformed",
        "ColumnMismatch",
        "WrongContentType",
        "AnswerFromCache",
        "ListUnreadable",
    ],
    130: ["Cancelled"],
}
_CODE_OF = {name: code for code, names in CODES.items() for name in names}


def _tree(kind: type[errors.PostHogError]) -> Iterator[type[errors.PostHogError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)


@pytest.mark.parametrize("kind", sorted(set(_tree(errors.PostHogError)), key=str), ids=lambda kind: kind.__name__)
def test_every_error_of_the_source_has_its_code(kind: type[errors.PostHogError]) -> None:
    assert code_of_error(kind("It failed")) == _CODE_OF[kind.__name__]


@pytest.mark.parametrize("kind", [DestinationHeld, DestinationForeign, DestinationUnusable])
def test_destinations_have_theirs(kind: type[DestinationHeld]) -> None:
    assert code_of_error(kind("It is held.", "Wait.")) == 6


def test_settings_have_theirs() -> None:
    assert code_of_error(ConfigError("No.")) == 2
    assert code_of_error(OtherProject("Another.")) == 2


def test_what_nobody_foresaw_is_our_fault_and_says_so() -> None:
    problem = problem_of(ZeroDivisionError("division by zero"))
    assert problem.exit_code == 1
    text = "\n".join(problem.lines)
    assert "fault of ours" in text
    assert "--debug" in text
    assert "division by zero" in text


def test_an_error_is_found_inside_what_dlt_wraps_around_it() -> None:
    inner = errors.KeyRefused("Refused")
    try:
        try:
            raise inner
        except errors.KeyRefused as error:
            raise RuntimeError("extract failed") from error
    except RuntimeError as error:
        outer = error
    assert cause_of(outer) is inner
    assert code_of_error(outer) == 3


def test_what_another_library_handled_on_the_way_is_not_named_as_the_fault() -> None:
    """tenacity handles a StopIteration of its own before an error gets through."""

    def fail() -> None:
        try:
            next(iter([]))
        except StopIteration:
            raise ZeroDivisionError("division by zero")  # noqa: B904 - as libraries do

    with pytest.raises(ZeroDivisionError) as caught:
        fail()
    assert problem_of(caught.value).error == "ZeroDivisionError"


def test_no_key_is_in_a_traceback_or_a_message() -> None:
    key = ApiKey("0123456789legacykey")
    error = ValueError("it said 0123456789legacykey and phx_another_key_12345")
    shown = trace_of(error, key) + "\n".join(problem_of(error, key).lines)
    assert "0123456789legacykey" not in shown
    assert "phx_another_key_12345" not in shown
