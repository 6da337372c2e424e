"""What a rule takes out is in no text that comes out; the rest of the document is as it was."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.properties.pairs import Parser
from posthog_warehouse.sources.posthog.properties.privacy import SETTERS, Privacy, PrivacyRule
from tests.sources.posthog.properties.documents import KEYS, pages, parsed, same

KEY = "sixteen bytes or more"
PARSER = Parser()
DROP_EMAIL = PrivacyRule("*email*", "drop")


def applied(texts: Sequence[str | None], *rules: PrivacyRule, key: str = KEY) -> list[str | None]:
    result: list[str | None] = Privacy(rules, key, parser=PARSER)(pa.array(texts, pa.string())).to_pylist()
    return result


def digest(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("text", "rules", "expected"),
    [
        pytest.param('{"a":1,"email":"x@y","b":"z"}', [DROP_EMAIL], '{"a":1,"b":"z"}', id="dropped, the order stays"),
        pytest.param('{"a": 1.10}', [DROP_EMAIL], '{"a": 1.10}', id="nothing to drop: to the byte"),
        pytest.param('{"email":1,"email":2}', [DROP_EMAIL], "{}", id="each copy of a key"),
        pytest.param(
            '{"$set":{"email":"x","n":1},"$set_once":{"initial_email":"x"}}',
            [DROP_EMAIL],
            '{"$set":{"n":1},"$set_once":{}}',
            id="what an event sets on a person",
        ),
        pytest.param('{"$set": {"n":1.10}}', [DROP_EMAIL], '{"$set": {"n":1.10}}', id="nothing in it: to the byte"),
        pytest.param('{"old":1,"b":2}', [PrivacyRule("old", "rename", "new")], '{"new":1,"b":2}', id="renamed"),
        pytest.param(
            '{"old":1,"new":2}', [PrivacyRule("old", "rename", "new")], '{"old":1,"new":2}', id="the name is taken"
        ),
        pytest.param(
            '{"a":1,"ab":2}', [PrivacyRule("a", "rename", "x"), PrivacyRule("a*", "drop")], '{"x":1}', id="first rule"
        ),
        pytest.param('"not an object, x@y"', [DROP_EMAIL], None, id="no object"),
        pytest.param("{broken x@y", [DROP_EMAIL], None, id="no JSON"),
        pytest.param("null", [DROP_EMAIL], "null", id="null"),
        pytest.param(None, [DROP_EMAIL], None, id="NULL"),
        pytest.param("anything", [], "anything", id="no rules"),
    ],
)
def test_rules(text: str | None, rules: list[PrivacyRule], expected: str | None) -> None:
    assert applied([text], *rules) == [expected]


@pytest.mark.parametrize("value", ["x@y", "", 'q"uo\\te', "é😀", 5, True, {"a": [1]}])
def test_hashes_are_those_of_every_other_program(value: Any) -> None:
    text = json.dumps({"id": value, "$set": {"id": value}}, separators=(",", ":"))
    expected = json.dumps(value, separators=(",", ":")) if not isinstance(value, str) else value
    hashed = hmac.new(KEY.encode(), expected.encode(), hashlib.sha256).hexdigest()
    (found,) = applied([text], PrivacyRule("id", "hash"))
    assert json.loads(found or "") == {"id": hashed, "$set": {"id": hashed}}


def test_null_is_nothing_to_hash() -> None:
    assert applied(['{"id":null,"n":1}'], PrivacyRule("id", "hash")) == ['{"id":null,"n":1}']


def test_long_keys_are_hashed_first() -> None:
    (found,) = applied(['{"id":"x"}'], PrivacyRule("id", "hash"), key="k" * 100)
    assert json.loads(found or "")["id"] == hmac.new(b"k" * 100, b"x", hashlib.sha256).hexdigest()


@pytest.mark.parametrize(
    ("rules", "key"),
    [
        ([PrivacyRule("a", "hash")], "short"),
        ([PrivacyRule("a", "rename")], ""),
        ([PrivacyRule("a", "rename", "x"), PrivacyRule("b", "rename", "x")], ""),
    ],
)
def test_rules_that_lack_something(rules: list[PrivacyRule], key: str) -> None:
    with pytest.raises(ValueError, match=r"key of 16 bytes|a name of its own"):
        Privacy(rules, key)


def by_the_rules(values: dict[str, Any], dropped: set[str], hashed: set[str], *, is_nested: bool = False) -> Any:
    result = {}
    for key, value in values.items():
        if key in dropped:
            continue
        if key in hashed and value is not None:
            result[key] = digest(value) if isinstance(value, (str, bool)) else ANY_DIGEST
        elif key in SETTERS and isinstance(value, dict) and not is_nested:
            result[key] = by_the_rules(value, dropped, hashed, is_nested=True)
        else:
            result[key] = value
    return result


class AnyDigest:
    """Equals each digest: a number's spelling is not looked into here."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and len(other) == 64

    def __hash__(self) -> int:
        return 0


ANY_DIGEST = AnyDigest()


@settings(max_examples=40, deadline=None)
@given(
    page=pages(),
    dropped=st.sets(st.sampled_from(KEYS), max_size=3),
    hashed=st.sets(st.sampled_from(KEYS), max_size=3),
)
def test_the_rest_of_any_document_stays(page: list[str | None], dropped: set[str], hashed: set[str]) -> None:
    page += [f'{{"$set":{text}}}' for text in page if text is not None]
    rules = [PrivacyRule(key, "drop") for key in sorted(dropped)] + [PrivacyRule(key, "hash") for key in sorted(hashed)]
    for before, after in zip(page, applied(page, *rules), strict=True):
        found = parsed(after)
        wanted = by_the_rules(parsed(before), dropped, hashed - dropped)
        assert found.keys() == wanted.keys()
        for key, value in wanted.items():
            assert value == found[key] or same(value, found[key]), (key, value, found[key])
        assert not dropped & found.keys()
