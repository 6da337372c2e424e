"""API keys: which kinds there are, and how none of them gets into a text.

Prefixes as PostHog gives them out (posthog/auth.py, autumn 2026): `phx_` personal, `pha_` OAuth, `phs_` project
secret; keys from before the prefixes have none. `phc_` is the public project token, which only sends events in.
"""

from __future__ import annotations

import hmac
import re
from enum import Enum
from typing import NoReturn
from urllib.parse import quote

from ...errors import KeyMalformed, KeyMissing


class KeyKind(Enum):
    """What sort of key it is; the value is its prefix."""

    PERSONAL = "phx_"
    OAUTH = "pha_"
    PROJECT_SECRET = "phs_"  # noqa: S105 - the prefix that all of them share, not a secret
    LEGACY = ""


_PROJECT_TOKEN = "phc_"  # noqa: S105 - a prefix, and these tokens are public anyway
_ALPHABET = re.compile(r"[A-Za-z0-9._~+/=-]+")  # RFC 6750, what a bearer token may be made of
_SHORTEST_LEGACY = 8  # shorter ones are slips of the hand, and would make nonsense of redacted texts
_HINT_FROM = 16  # two characters of a shorter secret would be too much of it
_ANY_KEY = re.compile(r"\bph[xas]_[A-Za-z0-9._~+/=-]+")
_PLACEHOLDER = "[API key]"


class ApiKey:
    """A key that shows itself only to `reveal()`; not in repr, str, formatting, copies or pickles.

    Raises KeyMissing and KeyMalformed, whose texts do not quote what was given.
    """

    __slots__ = ("_secret", "kind")

    def __init__(self, text: str) -> None:
        self._secret = _checked(text)
        self.kind = next(kind for kind in KeyKind if text.startswith(kind.value))

    @property
    def hint(self) -> str:
        """Enough to tell keys apart: the prefix and, of a long key, its last two characters."""
        secret = self._secret[len(self.kind.value) :]
        return f"{self.kind.value}…{secret[-2:] if len(secret) >= _HINT_FROM else ''}"

    def reveal(self) -> str:
        """The key itself, for the Authorization header and nothing else."""
        return self._secret

    def __repr__(self) -> str:
        return f"ApiKey({self.hint})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApiKey) and hmac.compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self._secret)

    def __copy__(self) -> ApiKey:
        return self

    def __deepcopy__(self, memo: object) -> ApiKey:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("An API key is not pickled, so that it gets into no file.")


def redact(text: str, key: ApiKey | None = None) -> str:
    """`text` without `key`, spelled plainly, URL-quoted or JSON-escaped, and without anything that looks like a key."""
    if key is not None:
        secret = key.reveal()
        bare = secret[len(key.kind.value) :]
        found = [secret, bare] if len(bare) >= _SHORTEST_LEGACY else [secret]
        for plain in found:
            for spelling in (plain, quote(plain, safe=""), plain.replace("/", "\\/")):
                text = text.replace(spelling, _PLACEHOLDER)
    return _ANY_KEY.sub(_PLACEHOLDER, text)


def _checked(text: str) -> str:
    if not text or not text.strip():
        raise KeyMissing("No API key is set.")
    if text != text.strip():
        raise KeyMalformed("The API key has a space or a line end before or after it.")
    if text[0] in "'\"" or text[-1] in "'\"":
        raise KeyMalformed("The API key has quotes around it.")
    if text.lower().startswith("bearer "):
        raise KeyMalformed("The API key has the word Bearer before it.", advice="Give the key alone.")
    if not text.isascii():
        raise KeyMalformed("The API key has characters outside ASCII.")
    if not _ALPHABET.fullmatch(text):
        raise KeyMalformed("The API key has characters that no key has.")
    if text.startswith(_PROJECT_TOKEN):
        raise KeyMalformed(
            "This is a project token (phc_), not an API key.",
            meaning="A project token is public and only sends events in; it cannot read.",
            advice="Make a personal API key (phx_) in PostHog under Settings, Personal API keys.",
        )
    if text in {kind.value for kind in KeyKind}:
        raise KeyMalformed("The API key has nothing after its prefix.")
    if len(text) < _SHORTEST_LEGACY and not text.startswith(tuple(k.value for k in KeyKind if k.value)):
        raise KeyMalformed("The API key is too short.")
    return text
