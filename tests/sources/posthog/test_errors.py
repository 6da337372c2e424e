from __future__ import annotations

import inspect
import pickle
import re

import pytest

from posthog_warehouse.sources.posthog import errors
from posthog_warehouse.sources.posthog.errors import PostHogError

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, PostHogError)]


def test_the_tree_in_the_docstring_is_the_tree_of_the_code() -> None:
    drawn: dict[str, str] = {}
    stack: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^    ([│├└─ ]*)([A-Z]\w+)", line)
        if match:
            depth = len(match[1]) // 4
            stack = [*stack[:depth], match[2]]
            drawn[match[2]] = stack[-2] if depth else "Exception"
    assert drawn == {kind.__name__: kind.__base__.__name__ for kind in ALL if kind.__base__}


FAMILIES = (errors.Retryable, errors.Narrow, errors.Waitable, errors.Final, errors.WaitTooLong, errors.Cancelled)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_is_of_one_family(kind: type[PostHogError]) -> None:
    assert [issubclass(kind, family) for family in FAMILIES].count(True) == (kind is not PostHogError)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_can_be_made_from_a_message_alone_and_survives_pickling(kind: type[PostHogError]) -> None:
    error = kind("It failed")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_a_text_says_what_failed_what_it_means_and_what_to_do_in_one_paragraph() -> None:
    error = errors.ScopeMissing(
        "PostHog says: API key missing required scope 'query:read'",
        scope="query:read",
        status=403,
        code="permission_denied",
        path="/api/projects/1/query/",
    )
    assert str(error) == (
        "PostHog says: API key missing required scope 'query:read'. The key is valid, but lacks the scope query:read. "
        "Add query:read to the key in PostHog under Settings, Personal API keys. "
        "(HTTP 403, permission_denied, /api/projects/1/query/)"
    )


@pytest.mark.parametrize(
    "kind",
    [k for k in ALL if k not in {PostHogError, errors.Retryable, errors.Final}],
    ids=lambda kind: kind.__name__,
)
def test_every_error_that_is_raised_has_a_meaning_or_an_advice_of_its_own(kind: type[PostHogError]) -> None:
    assert kind("x").meaning or kind("x").advice
