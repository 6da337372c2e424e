"""Which properties become columns, and what the columns are called.

The name is dlt's snake_case of the key, unique by a hash of the key where two keys want the same. Keys of properties
inside of other properties are the keys on the way, as a JSON list (`["address","city"]`). So no property of the object
itself has such a key, unless it looks like a list, and that one becomes no column.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from ..dlt_internals import snake_case


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


Wanted = Literal["always", "room", "never"]


@dataclass(frozen=True)
class ColumnRules:
    """What the configuration says. Patterns are exact keys, or have `*`, `?` and `[...]` as in file names; a property
    inside of another is `address.city` there."""

    properties: Literal["auto", "none"] | tuple[str, ...] = "auto"
    """`auto`: every property that has a value, while there is room; `none`; or patterns of those wanted."""
    include: tuple[str, ...] = ()
    """Always columns, room or not, also with `none`."""
    exclude: tuple[str, ...] = ()
    """Never columns; goes before everything else."""
    max_columns: int = 250
    """Room: so many columns at most, but for those asked for by name or pattern."""
    depth: int = 1
    """How deep objects are taken apart: with 2 an `address` gives `address__city`, too. Itself it is JSON."""

    def __post_init__(self) -> None:
        """Raises ValueError."""
        if self.max_columns < 0:
            raise ValueError(f"max_columns must not be below zero, and is {self.max_columns}.")
        if self.depth < 1:
            raise ValueError(f"depth must be 1 at least, and is {self.depth}.")
        if isinstance(self.properties, str) and self.properties not in {"auto", "none"}:
            raise ValueError(f'properties is "auto", "none" or a list of patterns, and is {self.properties!r}.')

    def wants(self, key: str) -> Wanted:
        """Whether `key` becomes a column: always, if there is room, or never."""
        key = shown(key)
        if matches(key, self.exclude):
            return "never"
        if matches(key, self.include):
            return "always"
        if isinstance(self.properties, tuple):
            return "always" if matches(key, self.properties) else "never"
        return "room" if self.properties == "auto" else "never"


def matches(key: str, patterns: Iterable[str]) -> bool:
    """Whether `key` is one of `patterns`, or like one."""
    return any(key == pattern or fnmatchcase(key, pattern) for pattern in patterns)


MAX_LENGTH = 63
"""What PostgreSQL takes, the shortest of the usual destinations (DuckDB, BigQuery and Snowflake take more)."""

_HASH_LENGTH = 8
_WHOLE_HASH = 32
_HASHED = re.compile(r"_x(?:[0-9a-f]{8}|[0-9a-f]{32})$")


def bare_name(key: str) -> str:
    """The key in dlt's snake_case, at most 63 characters; `property` for a key of which nothing is left."""
    parts = parts_of(key)
    if len(parts) > 1:
        # As dlt names nested columns. No key by itself gives a name with two underscores in it.
        name = "__".join(map(bare_name, parts))
        return name if len(name) <= MAX_LENGTH else name[:MAX_LENGTH].rstrip("_")
    if not key.strip():
        return "property"
    name = snake_case(key)
    if len(name) > MAX_LENGTH:
        name = name[:MAX_LENGTH].rstrip("_")
    return snake_case(name)


def owns(key: str) -> bool:
    """Whether `key` may have its bare name without asking: no other key may."""
    parts = parts_of(key)
    if len(parts) > 1:
        return all(map(owns, parts)) and len("__".join(map(bare_name, parts))) <= MAX_LENGTH
    name = bare_name(key)
    return key == (f"${name[1:]}" if name.startswith("_") else name)


class Names:
    """Names of one table's keys. `taken` are its other columns, in any case."""

    def __init__(self, taken: Iterable[str], recorded: Mapping[str, str], listed: Iterable[str] = ()) -> None:
        self._taken = {name.lower() for name in taken}
        self._names = dict(recorded)
        self._owners = {name: key for key, name in recorded.items()}
        # Owners first, so that neither order nor luck takes a name from them.
        for key in sorted({*listed} - set(recorded), key=lambda key: (not owns(key), key)):
            bare = bare_name(key)
            is_free = bare not in self._owners and self._is_allowed(bare)
            self._give(key, bare if is_free else self._with_hash(key))

    def name(self, key: str) -> str:
        """The column's name: the same each time."""
        if key not in self._names:
            bare = bare_name(key)
            is_free = owns(key) and bare not in self._owners and self._is_allowed(bare)
            self._give(key, bare if is_free else self._with_hash(key))
        return self._names[key]

    def _give(self, key: str, name: str) -> None:
        self._names[key] = name
        self._owners[name] = key

    def _is_allowed(self, name: str) -> bool:
        # A name that looks like one with a hash could be another key's.
        return name not in self._taken and not name.startswith("_dlt") and not _HASHED.search(name)

    def _with_hash(self, key: str) -> str:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        bare = bare_name(key)
        stem = f"property{bare}" if bare.startswith("_dlt") else bare
        for length in (_HASH_LENGTH, _WHOLE_HASH):
            # Begins with a letter: dlt's naming parts nothing there.
            name = f"{stem[: MAX_LENGTH - length - 2].rstrip('_')}_x{digest[:length]}"
            if name not in self._owners and name not in self._taken:
                break
        return name
