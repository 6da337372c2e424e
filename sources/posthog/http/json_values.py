"""JSON values as texts: of any depth, the same text for the same value, or fit to be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import orjson

from .auth.api_key import redact

WRITABLE = 240
"""Levels of objects and lists that may be written again: orjson, by which dlt writes rows, ends at 254 (3.13), and
there has to be room for what is around the values of a row."""

READABLE = 4_000
"""Levels that destinations take in a JSON column. PostgreSQL refuses a whole COPY for one value of more than it has
stack for (some 15,000 levels with its default of 2 MB), and DuckDB's json_structure and json_pretty kill their process
from 20,000 on (1.5.5; both tried in autumn 2026)."""

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)|[\[\]{}]', re.DOTALL)
_OPENING = frozenset(b"[{")
_QUOTE, _LIST = ord('"'), ord("[")


class NestedText(str):
    """The JSON of a value that is nested too deeply to be anything else."""

    __slots__ = ()


def deep_values(text: bytes | bytearray, most: int, level: int | None = None) -> Iterator[tuple[int, int]]:
    """Where the values that are nested too deeply begin and end in a JSON document: some part of each has more than
    `most` objects and lists around it, counted from the document's own.

    `level` says how large those values are: each is inside so many objects and lists. None: each is a field or cell of
    a row, where rows are the items of a list, or of a list in an object, as in PostHog's lists and answers; or else a
    field of the object that `text` is.
    """
    opened: list[int] = []
    deep: int | None = None
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first == _QUOTE:
            continue
        if first in _OPENING:
            opened.append(token.start())
            if len(opened) > most and deep is None:
                deep = opened[_level(text, opened) if level is None else min(level, most)]
        elif opened and opened.pop() == deep:
            yield deep, token.end()
            deep = None


def _level(text: bytes | bytearray, opened: list[int]) -> int:
    if text[opened[0]] == _LIST:
        return 2
    return 3 if text[opened[1]] == _LIST else 1


def is_deeper(value: Any, most: int) -> bool:
    """Whether a value, of what JSON knows, has parts with more than `most` lists and objects around them."""
    level = [value]
    for _ in range(most):
        nested = [part for part in level if isinstance(part, (dict, list))]
        if not nested:
            return False
        level = [part for parts in nested for part in (parts.values() if isinstance(parts, dict) else parts)]
    return any(isinstance(part, (dict, list)) for part in level)


def json_parts(value: Any, scalar: Callable[[Any], str], *, sorts: bool = False) -> Iterator[str]:
    """The JSON of a value, piece by piece; `sorts`: with the keys of objects in order. `scalar` writes all else."""
    todo: list[Any] = [value]
    while todo:
        part = todo.pop()
        if isinstance(part, _Written):
            yield part
        elif isinstance(part, dict):
            items = sorted(part.items()) if sorts else part.items()
            inner = [piece for name, item in items for piece in (_Written(f"{scalar(name)}:"), item)]
            todo += reversed([_Written("{"), *_separated(inner, 2), _Written("}")])
        elif isinstance(part, (list, tuple)):
            todo += reversed([_Written("["), *_separated(part, 1), _Written("]")])
        else:
            yield scalar(part)


class _Written(str):
    """JSON, and no text that is still to become JSON."""

    __slots__ = ()


def _separated(pieces: Sequence[Any], each: int) -> Iterator[Any]:
    for place, piece in enumerate(pieces):
        if place and not place % each:
            yield _Written(",")
        yield piece


def json_text(value: Any) -> str:
    """`value` as JSON, keys in their order; whole numbers of any size, and nesting of any depth, as they are."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # a whole number of more than 64 bits, or some 250 levels
        pass
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return "".join(json_parts(value, json_text))


def canonical(value: Any) -> bytes:
    """JSON with the keys of objects in order."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a whole number of more than 64 bits, or some 250 levels
        pass
    try:
        return json.dumps(value, sort_keys=True).encode()
    except RecursionError:
        return "".join(json_parts(value, json.dumps, sorts=True)).encode()


def shown(value: Any, most: int = 80) -> str:
    """`value` as JSON, at most `most` characters of it, without anything that looks like a key."""
    return plain(json_text(value), most)


def plain(text: str, most: int) -> str:
    """`text` on one line, shortened to `most` characters; what a terminal might obey is spelled out (`\\x1b`)."""
    if len(text) > 4 * most:
        text = text[: 4 * most]  # no need to go through a page of a hundred MB
    line = redact(" ".join(text.split()))
    line = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in line)
    return line if len(line) <= most else line[: most - 1] + "…"
