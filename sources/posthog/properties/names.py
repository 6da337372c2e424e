"""Names of property columns: dlt's snake_case of the key, unique by a hash of the key where two keys want the same.

Who owns a bare name is decided by the keys alone, so that it does not matter which page comes first. `$x` owns `_x`,
for PostHog's own properties begin with a dollar; any other name is owned by the key that it equals. Keys that PostHog
lists are settled together before the first page: there a name goes to its owner, else to the first by code points.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping

from dlt.common.normalizers.naming.snake_case import NamingConvention

from sources.posthog.properties.paths import parts_of

MAX_LENGTH = 63
"""What PostgreSQL takes, the shortest of the usual destinations (DuckDB, BigQuery and Snowflake take more)."""

_HASH_LENGTH = 8
_WHOLE_HASH = 32
_HASHED = re.compile(r"_x(?:[0-9a-f]{8}|[0-9a-f]{32})$")
_NAMING = NamingConvention()


def bare_name(key: str) -> str:
    """The key in dlt's snake_case, at most 63 characters; `property` for a key of which nothing is left."""
    parts = parts_of(key)
    if len(parts) > 1:
        # As dlt names nested columns. No key by itself gives a name with two underscores in it.
        name = "__".join(map(bare_name, parts))
        return name if len(name) <= MAX_LENGTH else name[:MAX_LENGTH].rstrip("_")
    if not key.strip():
        return "property"
    name = str(_NAMING.normalize_identifier(key))
    if len(name) > MAX_LENGTH:
        name = name[:MAX_LENGTH].rstrip("_")
    return str(_NAMING.normalize_identifier(name))


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
