"""In a checkout our folders can be found by two names, and a module that is loaded by both has two of each class."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

FOLDERS = ("sources", "destinations", "pipelines", "sandbox")


class OneName(MetaPathFinder):
    """Refuses the names of the folders by themselves: what is installed has them in `posthog_warehouse` only."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname in FOLDERS:
            raise ImportError(
                f"Import posthog_warehouse.{fullname}: {fullname} would be the same modules a second time"
            )
        return None


def insist() -> None:
    """From now on for this process."""
    sys.meta_path.insert(0, OneName())
