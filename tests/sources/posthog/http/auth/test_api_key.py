from __future__ import annotations

import contextlib
import copy
import pickle
import string
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.errors import KeyMalformed, KeyMissing
from posthog_warehouse.sources.posthog.http.auth.api_key import ApiKey, KeyKind, redact

SECRETS = st.text(string.ascii_letters + string.digits + "._~+/=-", min_size=12, max_size=60)
KEYS = st.builds(lambda kind, secret: f"{kind.value}{secret}", st.sampled_from(KeyKind), SECRETS).filter(
    lambda text: not text.startswith("phc_")
)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("phx_sandbox", KeyKind.PERSONAL),
        ("pha_abcdefgh", KeyKind.OAUTH),
        ("phs_abcdefgh", KeyKind.PROJECT_SECRET),
        ("Zm9vYmFyYmF6cXV4", KeyKind.LEGACY),
    ],
)
def test_every_kind_of_key_is_taken(text: str, kind: KeyKind) -> None:
    assert ApiKey(text).kind is kind
    assert ApiKey(text).reveal() == text


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_no_key_is_told_from_a_bad_one(text: str) -> None:
    with pytest.raises(KeyMissing, match="POSTHOG_PERSONAL_API_KEY"):
        ApiKey(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("phx_abcdefgh\n", "line end"),
        (" phx_abcdefgh", "space"),
        ("'phx_abcdefgh'", "quotes"),
        ('"phx_abcdefgh"', "quotes"),
        ("Bearer phx_abcdefgh", "Bearer"),
        ("phx_abc defgh", "characters that no key has"),
        ("phx_abc\r\nX-Evil: 1", "characters that no key has"),
        ("phx_äbcdefgh", "ASCII"),
        ("phx_", "nothing after"),
        ("phx", "too short"),
        ("<your key>", "characters that no key has"),
    ],
)
def test_what_cannot_be_a_key_is_refused_and_not_quoted(text: str, said: str) -> None:
    with pytest.raises(KeyMalformed, match=said) as caught:
        ApiKey(text)
    assert "bcdefgh" not in str(caught.value)


def test_a_project_token_is_refused_with_the_way_to_a_real_key() -> None:
    with pytest.raises(KeyMalformed, match=r"project token \(phc_\).*Personal API keys") as caught:
        ApiKey("phc_abcdefghijklmnop")
    assert "abcdefgh" not in str(caught.value)


def test_a_hint_gives_two_characters_of_a_long_key_and_none_of_a_short_one() -> None:
    assert ApiKey("phx_abcdefghijklmnopqrstuvwxyz").hint == "phx_…yz"
    assert ApiKey("phx_abcdefghijk").hint == "phx_…"
    assert ApiKey("abcdefghijklmnopqrstuvwxyz").hint == "…yz"


@given(KEYS)
def test_a_key_shows_itself_to_nobody(text: str) -> None:
    key = ApiKey(text)
    shown = f"{key} {key!r} {key!s} {[key]} {key.hint}"
    assert text not in shown
    assert not hasattr(key, "__dict__")


def test_a_key_is_copied_as_itself_and_pickled_not_at_all() -> None:
    key = ApiKey("phx_abcdefgh")
    assert copy.deepcopy({"key": key})["key"] is key
    assert copy.copy(key) is key
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(key)


@given(KEYS, st.text(max_size=30), st.text(max_size=30))
def test_redacted_texts_hold_no_spelling_of_the_key(text: str, before: str, after: str) -> None:
    key = ApiKey(text)
    for spelling in (text, quote(text, safe=""), text.replace("/", "\\/")):
        redacted = redact(f"{before}{spelling}{after}", key)
        assert spelling not in redacted
        assert text[len(key.kind.value) :] not in redacted


def test_other_keys_are_redacted_too() -> None:
    assert redact("try phx_someoneelses or pha_token, not graphs_x") == "try [API key] or [API key], not graphs_x"


@given(st.text(max_size=40))
def test_any_text_is_a_key_or_refused_as_one(text: str) -> None:
    key = None
    with contextlib.suppress(KeyMissing, KeyMalformed):
        key = ApiKey(text)
    assert key is None or key.reveal() == text
