"""Both ways to decode give the same values, and the same words for what is no JSON."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.errors import AnswerMalformed, AnswerTruncated
from posthog_warehouse.sources.posthog.http.response_body import decode, decode_rows

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8")),
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)


@given(documents, st.booleans(), st.sampled_from([None, 1]))
def test_the_same_value_whatever_its_spelling(document: Any, is_ascii: bool, indent: int | None) -> None:  # noqa: FBT001 - drawn by hypothesis
    body = json.dumps(document, ensure_ascii=is_ascii, indent=indent).encode()
    assert decode_rows(body, "/query/") == decode(body, "/query/") == document
    assert repr(decode_rows(body, "/query/")) == repr(decode(body, "/query/"))


@given(st.binary(min_size=8, max_size=8).map(lambda raw: struct.unpack("<d", raw)[0]).filter(lambda x: abs(x) < 1e308))
def test_each_double_comes_back_to_the_bit(number: float) -> None:
    body = json.dumps([number]).encode()
    assert struct.pack("<d", decode_rows(body, "/query/")[0]) == struct.pack("<d", number)


def test_whole_numbers_beyond_64_bits_are_exact_in_rows() -> None:
    body = b"[18446744073709551616, -9223372036854775809, 123456789012345678901234567890]"
    assert decode_rows(body, "/query/") == [2**64, -(2**63) - 1, 123456789012345678901234567890]
    assert decode(body, "/query/") == [float(2**64), float(-(2**63) - 1), 1.2345678901234568e29]


@pytest.mark.parametrize("body", [b"", b"[1,2", b'{"a":', b'["x', b"[" * 100_000, b"[" * 100_000 + b'"x'])
def test_what_breaks_off_is_truncated(body: bytes) -> None:
    for way in (decode, decode_rows):
        with pytest.raises(AnswerTruncated):
            way(body, "/query/")


@pytest.mark.parametrize("body", [b"[1]x", b"<html>", b"\xff", b'["a\nb"]', b"[01]"])
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    for way in (decode, decode_rows):
        with pytest.raises(AnswerMalformed):
            way(body, "/query/")


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"[NaN, Infinity, -Infinity]", [None, None, None]),
        (b'["\\ud83d", "\\ude00x", "\\ud83d\\ude00"]', ["\ufffd", "\ufffdx", "\U0001f600"]),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b" [1] ", [1]),
    ],
)
def test_what_is_nearly_json_is_read(body: bytes, value: Any) -> None:
    assert decode(body, "/query/") == decode_rows(body, "/query/") == value
