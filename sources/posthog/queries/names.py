"""Names of columns: what PostHog calls them, and what they are called in the warehouse."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from dlt.common.normalizers.naming.snake_case import NamingConvention

MOST_CHARACTERS = 63
"""Names longer than this are cut by PostgreSQL; unnamed expressions are easily longer."""

_normalize = NamingConvention().normalize_identifier
_OTHERS = re.compile(r"\W+", re.ASCII)


def column_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names for the warehouse, all different: snake_case as dlt makes it, without the brackets of functions.

    `count()` becomes `count`, `properties.$browser` `properties_browser`; a name that is taken gets `_2`. The same
    names in the same order always become the same.
    """
    taken: set[str] = set()
    found: list[str] = []
    for place, name in enumerate(names, start=1):
        plain = _normalize(_OTHERS.sub("_", name).strip("_") or f"column_{place}")
        plain = plain[:MOST_CHARACTERS].rstrip("_")
        if plain.startswith("_dlt"):
            plain = plain.lstrip("_")
        unique, number = plain, 1
        while unique in taken:
            number += 1
            ending = f"_{number}"
            unique = plain[: MOST_CHARACTERS - len(ending)] + ending
        taken.add(unique)
        found.append(unique)
    return tuple(found)


def find_column(wanted: str, hogql: tuple[str, ...], names: tuple[str, ...]) -> int | None:
    """The place of the column that is called `wanted`, in the query or in the warehouse; None where there is none."""
    for candidates in (hogql, names):
        if candidates.count(wanted) == 1:
            return candidates.index(wanted)
    plain = column_names([wanted])[0]
    return names.index(plain) if plain in names else None


def nearest(wanted: str, names: Iterable[str]) -> str | None:
    """The name that was perhaps meant."""
    near = get_close_matches(wanted, list(names), n=1, cutoff=0.5)
    return near[0] if near else None
