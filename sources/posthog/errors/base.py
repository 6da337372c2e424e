"""What all errors have in common: what happened, what it means, what to do."""

from __future__ import annotations


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


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?", ":")) else text + "."
