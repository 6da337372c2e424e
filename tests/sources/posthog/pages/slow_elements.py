"""Chains one character after the other: PostHog's writing of them, and a reading that shares nothing with ours."""

from __future__ import annotations

from typing import Any

WRITTEN = {"text": "text", "href": "href", "id": "attr_id", "nth_child": "nth-child", "nth_of_type": "nth-of-type"}
EMPTY: dict[str, Any] = dict.fromkeys(
    ("tag", "text", "href", "id", "classes", "nth_child", "nth_of_type", "attributes")
)
_KEY = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def written(elements: list[dict[str, Any]]) -> str:
    """A chain as PostHog writes it."""
    return ";".join(map(_written, elements))


def _written(element: dict[str, Any]) -> str:
    head = element["tag"] or ""
    for name in sorted(element["classes"] or []):
        head += "." + name.replace('"', "")
    pairs: dict[str, Any] = {}
    for column in ("text", "href", "id"):
        if element[column]:
            pairs[WRITTEN[column]] = element[column]
    for column in ("nth_child", "nth_of_type"):
        pairs[WRITTEN[column]] = element[column] or 0
    pairs.update(element["attributes"])
    body = "".join(
        '{}="{}"'.format(k.replace('"', '\\"'), str(v).replace('"', '\\"')) for k, v in sorted(pairs.items())
    )
    return f"{head}:{body}"


def read(chain: str) -> list[dict[str, Any]]:
    """The elements of a chain."""
    found, at, is_inside = [""], 0, False
    while at < len(chain):
        if chain[at] == '"' and not (at and chain[at - 1] == "\\"):
            is_inside = not is_inside
        if chain[at] == ";" and not is_inside:
            found.append("")
        else:
            found[-1] += chain[at]
        at += 1
    return [_read(text) for text in found if text]


def _read(text: str) -> dict[str, Any]:
    try:
        return _parsed(text)
    except ValueError:
        return {**EMPTY, "attributes": {"$elements_chain": text}}


def _parsed(text: str) -> dict[str, Any]:
    pieces, begin = [], 0
    for at, character in enumerate(text):
        if character == '"' and not (at and text[at - 1] == "\\"):
            pieces.append(text[begin:at])
            begin = at + 1
    pieces.append(text[begin:])
    if len(pieces) % 2 == 0 or (len(pieces) > 1 and pieces[-1]):
        raise ValueError
    if len(pieces) == 1:
        if any(set(before.rpartition(":")[2]) <= _KEY and ":" in before for before in _before_equals(text)):
            raise ValueError
        return {**EMPTY, **_tag(text), "attributes": {}}
    keys, values = pieces[:-1:2], pieces[1::2]
    if any(not key.endswith("=") for key in keys) or any(key == "=" for key in keys[1:]):
        raise ValueError
    keys = [key[:-1] for key in keys]
    tag, keys[0] = _head(keys[0])
    if len(set(keys)) < len(keys):
        raise ValueError
    pairs = {key.replace('\\"', '"'): value.replace('\\"', '"') for key, value in zip(keys, values, strict=True)}
    element = {**EMPTY, **_tag(tag)}
    for column in ("text", "href", "id"):
        element[column] = pairs.pop(WRITTEN[column], None)
    for column in ("nth_child", "nth_of_type"):
        number = pairs.get(WRITTEN[column], "")
        digits = number.removeprefix("-")
        if digits.isascii() and digits.isdigit() and len(digits) <= 18:
            element[column] = int(pairs.pop(WRITTEN[column]))
    return {**element, "attributes": pairs}


def _before_equals(text: str) -> list[str]:
    return [text[:at] for at, character in enumerate(text) if character == "="]


def _head(text: str) -> tuple[str, str]:
    """Tag and classes, and the first key."""
    for at, character in enumerate(text):
        rest = text[at + 1 :]
        if character == ":" and (rest.startswith("attr__") or set(rest) <= _KEY):
            return text[:at], rest
    raise ValueError


def _tag(text: str) -> dict[str, Any]:
    tag, *classes = text.split(".")
    return {"tag": tag or None, "classes": [name for name in classes if name] or None}
