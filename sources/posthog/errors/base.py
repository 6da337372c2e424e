"""What all errors have in common: what happened, what it means, what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

_Error = TypeVar("_Error", bound=BaseException)


class PostHogError(Exception):
    """Something between us and PostHog failed: what (`message`), what it means, what to do next (`advice`).

    `status` and `code` are PostHog's, `path` is the path of the URL, `seconds` how long PostHog asks to wait, where it
    says so. None of them, nor the text, holds the key.
    """

    is_shared: bool = False
    """Whether whatever else is asked would fail of this too."""
    meaning: str = ""
    advice: str = ""

    def __init__(
        self,
        message: str,
        *,
        meaning: str | None = None,
        advice: str | None = None,
        status: int | None = None,
        code: str | None = None,
        path: str | None = None,
        seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if meaning is not None:
            self.meaning = meaning
        if advice is not None:
            self.advice = advice
        self.status = status
        self.code = code
        self.path = path
        self.seconds = seconds

    def __str__(self) -> str:
        sentences = [_sentence(part) for part in (self.message, self.meaning, self.advice) if part]
        where = [f"HTTP {self.status}" if self.status else None, self.code, self.path]
        facts = ", ".join(fact for fact in where if fact)
        return " ".join([*sentences, f"({facts})"] if facts else sentences)


def led_to(error: BaseException) -> BaseException | None:
    """The error that `error` was raised from or while handling, also where `from None` hides it."""
    return error.__cause__ or error.__context__


def behind(error: BaseException) -> BaseException | None:
    """The same, as Python's own traceback shows it: None where `from None` hides it."""
    return error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def chain_of(
    error: BaseException, following: Callable[[BaseException], BaseException | None] = led_to
) -> Iterator[BaseException]:
    """`error` and what led to it, the innermost last. `following` gives the one behind each."""
    seen: set[int] = set()
    each: BaseException | None = error
    while each is not None and id(each) not in seen:
        yield each
        seen.add(id(each))
        each = following(each)


def cause_in(error: BaseException, kind: type[_Error]) -> _Error | None:
    """The first error of this kind among `error` and what led to it."""
    return next((each for each in chain_of(error) if isinstance(each, kind)), None)


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?", ":")) else text + "."
