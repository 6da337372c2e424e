"""JSON bodies to Python values: fast for what is JSON, lenient where PostHog writes what is nearly JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import orjson

from sources.posthog.errors import AnswerMalformed, AnswerTruncated

_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
_rows = msgspec.json.Decoder()


def decode(body: bytes | bytearray, path: str) -> Any:
    """The value of a JSON body. Numbers that JSON has no word for (NaN, Infinity) become None, lone surrogates U+FFFD.

    Older servers write bare `NaN` and `Infinity` for a division by zero (seen on one of December 2023); newer ones
    write null, so null is what both give. Raises AnswerTruncated and AnswerMalformed, which name the place.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not body or "unexpected end of data" in str(error):
            raise AnswerTruncated(f"The JSON answer stops after {len(body):,} bytes", path=path) from None
    return _decode_leniently(body, path)


def decode_rows(body: bytes | bytearray, path: str) -> Any:
    """The same for pages of a hundred MB: in two thirds of the time, and without a copy of the text.

    Whole numbers of more than 64 bits are exact here. `decode` makes floats of them: dlt takes no others in JSON.
    """
    try:
        return _rows.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return decode(body, path)


def _decode_leniently(body: bytes | bytearray, path: str) -> Any:
    try:
        text = _ESCAPE.sub(lambda match: "\\ufffd" if match["lone"] else match[0], body.decode())
        return json.loads(text, parse_constant=lambda _: None)
    except UnicodeDecodeError as error:
        fault = f"The answer is not UTF-8 at byte {error.start:,}"
    except json.JSONDecodeError as error:
        fault = f"The answer is not JSON at character {error.pos:,}, near {_token(error.doc, error.pos)!r}"
    except RecursionError:
        fault = "The answer is JSON nested too deeply"
    raise AnswerMalformed(fault, path=path)


def _token(text: str, position: int) -> str:
    """The word at the fault and no more: what is around it may be personal."""
    match = re.match(r"\W?\w{0,20}", text[position : position + 21])
    return match[0] if match else ""
