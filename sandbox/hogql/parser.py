"""PostHog's own HogQL grammar, from the package `hogql-parser` (C++), which PostHog publishes on PyPI.

The package is a piece of PostHog: loading it imports `posthog.hogql.errors` and looks up the classes of its errors
there, although the JSON entry points used here never raise them. So that module stands in `sys.modules` with empty
classes while the package loads (seen with 1.3.88, autumn 2026), and is taken away again.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType

from posthog_warehouse.sandbox.hogql.errors import HogQLError
from posthog_warehouse.sandbox.hogql.nodes import Node

_STANDINS: dict[str, tuple[str, ...]] = {
    "posthog": (),
    "posthog.hogql": (),
    "posthog.hogql.ast": (),
    "posthog.hogql.base": (),
    "posthog.hogql.errors": ("SyntaxError", "NotImplementedError", "ParsingError"),
}


class _Standin(ModuleType):
    """A module in which every class that is asked for exists, so that another release of the grammar loads too."""

    def __getattr__(self, name: str) -> type[Exception]:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (Exception,), {})
        setattr(self, name, made)
        return made


@cache
def _grammar() -> Callable[[str], str]:
    """Load the grammar once and return its `parse_select_json`."""
    added: list[str] = []
    for name, classes in _STANDINS.items():
        if name not in sys.modules:
            module = _Standin(name)
            for class_name in classes:
                getattr(module, class_name)
            sys.modules[name] = module
            added.append(name)
    try:
        package = importlib.import_module("hogql_parser")
    finally:
        for name in added:
            del sys.modules[name]
    parse: Callable[[str], str] = package.parse_select_json
    return parse


def parse_select(text: str) -> Node:
    """Parse a HogQL query.

    Raises:
        HogQLError: code `hogql_syntax_error`, with the place in the text.
    """
    tree = json.loads(_grammar()(text))
    if not isinstance(tree, dict):
        raise HogQLError("Empty query", code="hogql_syntax_error")
    if tree.get("error"):
        raise HogQLError(
            str(tree["message"]),
            code="hogql_syntax_error",
            start=_offset(tree.get("start")),
            end=_offset(tree.get("end")),
        )
    return tree


def _offset(place: object) -> int | None:
    """The character at which a place is, as the grammar gives it: a number or {line, column, offset}."""
    if isinstance(place, dict):
        place = place.get("offset")
    return place if isinstance(place, int) else None
