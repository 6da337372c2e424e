"""Keys of properties inside of other properties: the keys on the way, as a JSON list (`["address","city"]`).

So no property of the object itself has such a key, unless it looks like a list, and that one becomes no column.
"""

from __future__ import annotations

import json
from collections.abc import Sequence


def path_key(parts: Sequence[str]) -> str:
    """The key of the property that `parts` lead to."""
    return json.dumps(list(parts), ensure_ascii=False, separators=(",", ":"))


def parts_of(key: str) -> tuple[str, ...]:
    """The keys on the way: one for a property of the object itself."""
    if not key.startswith('["'):
        return (key,)
    try:
        parts = json.loads(key)
    except ValueError:
        return (key,)
    is_path = isinstance(parts, list) and len(parts) > 1 and all(isinstance(part, str) for part in parts)
    return tuple(parts) if is_path else (key,)


def shown(key: str) -> str:
    """As people write it in patterns: `address.city`."""
    return ".".join(parts_of(key))
