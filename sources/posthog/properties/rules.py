"""Which properties people want as columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from sources.posthog.properties.paths import shown

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
