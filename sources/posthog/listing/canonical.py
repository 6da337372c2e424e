"""JSON text of a value that is the same for the same value."""

from __future__ import annotations

import json
from typing import Any

import orjson

from sources.posthog.nesting import json_parts


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
