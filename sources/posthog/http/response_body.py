"""Bodies of answers: packed as long as nobody reads them, then JSON to Python values.

Decoding is fast for what is JSON, lenient where PostHog writes what is nearly JSON.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import zlib
from typing import Any

import msgspec
import orjson
from isal import isal_zlib

from ..errors import AnswerMalformed, AnswerTruncated
from .json_values import WRITABLE, NestedText, deep_values, is_deeper

_GZIP = 31  # zlib's word for a gzip header
_BEST_RATIO = 1032  # deflate cannot do better: a size that promises more is not one


class Body:
    """`received`: the bytes as they came, gzipped if `is_gzip`. `path` is for errors."""

    def __init__(self, received: bytes | bytearray, path: str, *, is_gzip: bool = False) -> None:
        self._received = received
        self._is_gzip = is_gzip
        self._path = path

    def __len__(self) -> int:
        """How many bytes came."""
        return len(self._received)

    def read(self) -> bytes | bytearray:
        """The text of the answer. Raises AnswerTruncated and AnswerMalformed."""
        if not self._is_gzip or not self._received:
            return self._received
        try:
            return _unpacked(self._received)
        except EOFError:
            raise AnswerTruncated("The compressed answer breaks off", path=self._path) from None
        except (OSError, zlib.error) as error:
            raise AnswerMalformed(f"The compressed answer is broken: {error}", path=self._path) from None

    def take(self) -> bytes | bytearray:
        """The same, and nothing is left here."""
        text = self.read()
        self._received = b""
        return text


def _unpacked(packed: bytes | bytearray) -> bytes:
    # The last four bytes tell the size, so that it need not be found out by growing and copying.
    size = int.from_bytes(packed[-4:], "little")
    if 0 < size <= _BEST_RATIO * len(packed):
        try:
            # Three times as fast as zlib: 1 instead of 3.5 CPU seconds a million events.
            text = isal_zlib.decompress(packed, _GZIP, size)
        except isal_zlib.error:  # type: ignore[misc] # its stub says that this is no class
            text = b""
        if len(text) == size:
            return text
    return gzip.decompress(packed)


_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)"
)
_PLACE = "\0nested "
"""What stands for a value that was taken out, before its number."""
_ORJSON_LEVELS = 254
_rows = msgspec.json.Decoder()


def decode(body: bytes | bytearray, path: str, *, exact: bool = False) -> Any:
    """The value of a JSON body. Numbers that JSON has no word for (NaN, Infinity) become None, lone surrogates U+FFFD.

    Older servers write bare `NaN` and `Infinity` for a division by zero (seen on one of December 2023); newer ones
    write null, so null is what both give. Values nested too deeply to be written again become `NestedText` of
    `http.json_values`. `exact`: whole numbers of more than 64 bits stay what they are; else they are floats.
    Raises AnswerTruncated and AnswerMalformed, which name the place.
    """
    document, is_deep = _decoded(body, path, exact=exact)
    return _without_deep_values(body, path, exact=exact) if is_deep else document


def decode_rows(body: bytes | bytearray, path: str) -> Any:
    """The same for pages of a hundred MB: in two thirds of the time, and without a copy of the text.

    Whole numbers of more than 64 bits are exact here. `decode` makes floats of them: dlt takes no others in JSON.
    Values may be nested as deep as Python goes.
    """
    try:
        return _rows.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return decode(body, path)


def fields_of(value: Any, path: str) -> Any:
    """An object that may have come as its JSON text: as PostHog gave it, or for being nested too deeply.

    Raises AnswerMalformed and AnswerTruncated.
    """
    return decode(value.encode(), path) if isinstance(value, str) else value


def _decoded(body: bytes | bytearray, path: str, *, exact: bool) -> tuple[Any, bool]:
    """The value, and whether it is nested too deeply to be written again; None where it is so for being read, too."""
    if exact:
        # What msgspec cannot read is told by what comes next.
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            document = _rows.decode(body)
            return document, _is_deep(document)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "depth limit" in str(error):
            return None, True
        if not body or "unexpected end of data" in str(error):
            raise AnswerTruncated(f"The JSON answer stops after {len(body):,} bytes", path=path) from None
        try:
            document = _decode_leniently(body, path)
        except RecursionError:
            return None, True
    return document, _is_deep(document)


def _is_deep(document: Any) -> bool:
    """Whether it has too many levels to be written again.

    orjson tells quickly of nearly all documents that they have not: it writes this one with some levels around it, so
    that its own limit comes at `WRITABLE`.
    """
    try:
        orjson.dumps(_within(document, _ORJSON_LEVELS - WRITABLE))
    except TypeError:  # for its levels, or for a whole number of more than 64 bits
        return is_deeper(document, WRITABLE)
    return False


def _within(document: Any, levels: int) -> Any:
    for _ in range(levels):
        document = [document]
    return document


def _without_deep_values(body: bytes | bytearray, path: str, *, exact: bool) -> Any:
    parts: list[bytes | bytearray] = []
    texts: list[NestedText] = []
    end = 0
    for start, stop in deep_values(body, WRITABLE):
        parts += [body[end:start], orjson.dumps(f"{_PLACE}{len(texts)}")]
        texts.append(NestedText(body[start:stop].decode(errors="replace")))
        end = stop
    document, is_deep = _decoded(b"".join([*parts, body[end:]]), path, exact=exact)
    if is_deep:  # what is never closed cannot be taken out
        raise AnswerTruncated(f"The JSON answer stops after {len(body):,} bytes, in many lists and objects", path=path)
    return _put_back(document, {f"{_PLACE}{number}": text for number, text in enumerate(texts)})


def _put_back(value: Any, texts: dict[str, NestedText]) -> Any:
    if isinstance(value, list):
        return [_put_back(item, texts) for item in value]
    if isinstance(value, dict):
        return {name: _put_back(item, texts) for name, item in value.items()}
    return texts.get(value, value) if isinstance(value, str) else value


def _decode_leniently(body: bytes | bytearray, path: str) -> Any:
    """`decode` by Python's own reader, which takes NaN and lone surrogates. Raises RecursionError as well."""
    try:
        text = _ESCAPE.sub(lambda match: "\\ufffd" if match["lone"] else match[0], body.decode())
        return json.loads(text, parse_constant=lambda _: None)
    except UnicodeDecodeError as error:
        fault = f"The answer is not UTF-8 at byte {error.start:,}"
    except json.JSONDecodeError as error:
        fault = f"The answer is not JSON at character {error.pos:,}, near {_token(error.doc, error.pos)!r}"
    raise AnswerMalformed(fault, path=path)


def _token(text: str, position: int) -> str:
    """The word at the fault and no more: what is around it may be personal."""
    match = re.match(r"\W?\w{0,20}", text[position : position + 21])
    return match[0] if match else ""
