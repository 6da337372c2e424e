"""All configuration of one project: its lists, made when somebody first asks for them."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from .rows import Kind, Rows
from .world import World


class Configuration:
    """The lists of a project. Making one may ask ClickHouse, so do it off the event loop.

    Changes to lists are kept in memory: they end with the process, also where the ClickHouse data is kept.
    """

    def __init__(self, world: World, kinds: Mapping[str, Kind]) -> None:
        self.world = world
        self._kinds = kinds
        self._lists: dict[str, Rows] = {}
        self._lock = threading.RLock()

    @property
    def names(self) -> tuple[str, ...]:
        """The lists there are."""
        return tuple(self._kinds)

    def rows(self, name: str) -> Rows:
        """The rows of a list.

        Raises:
            ValueError: there is no such list.
        """
        with self._lock:
            if name not in self._kinds:
                raise ValueError(f"There is no list {name!r}. Known: {', '.join(sorted(self._kinds))}")
            if name not in self._lists:
                self._lists[name] = Rows(self._kinds[name], self.world)
            return self._lists[name]
