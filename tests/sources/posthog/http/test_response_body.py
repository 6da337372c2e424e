"""Bodies stay packed until they are read, and say what is wrong with them."""

from __future__ import annotations

import gzip
import os

import pytest

from posthog_warehouse.sources.posthog.errors import AnswerMalformed, AnswerTruncated
from posthog_warehouse.sources.posthog.http.response_body import Body

TEXT = b'{"results": [' + b"1, " * 100_000 + b"1]}"
PACKED = gzip.compress(TEXT)


@pytest.mark.parametrize(
    "received",
    [
        pytest.param(PACKED, id="one member"),
        pytest.param(gzip.compress(TEXT[:1000]) + gzip.compress(TEXT[1000:]), id="two members"),
        pytest.param(gzip.compress(TEXT) + gzip.compress(b""), id="an empty last member"),
        pytest.param(PACKED + bytes(8), id="padding behind it"),
    ],
)
def test_a_gzipped_body_reads_as_its_text(received: bytes) -> None:
    assert Body(received, "/query/", is_gzip=True).read() == TEXT


def test_a_body_stays_packed_until_it_is_read() -> None:
    body = Body(bytearray(PACKED), "/query/", is_gzip=True)
    assert len(body) == len(PACKED) < len(TEXT) / 100
    assert body.read() == TEXT
    assert len(body) == len(PACKED)
    assert body.take() == TEXT
    assert len(body) == 0
    assert body.read() == b""


def test_a_plain_body_is_what_came() -> None:
    assert Body(TEXT, "/query/").read() == TEXT


@pytest.mark.parametrize("size", [10, 100, len(PACKED) - 9, len(PACKED) - 1])
def test_a_packed_body_that_breaks_off_is_truncated(size: int) -> None:
    with pytest.raises(AnswerTruncated):
        Body(PACKED[:size], "/query/", is_gzip=True).read()


@pytest.mark.parametrize("received", [b"no gzip", PACKED[:-8] + bytes(8), PACKED[:50] + os.urandom(50) + PACKED[100:]])
def test_a_packed_body_that_is_broken_is_malformed(received: bytes) -> None:
    with pytest.raises((AnswerMalformed, AnswerTruncated)):
        Body(received, "/query/", is_gzip=True).read()
