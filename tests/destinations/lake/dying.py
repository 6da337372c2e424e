"""A lake whose store dies at a chosen change: nothing is changed from then on, as if the program had been killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from posthog_warehouse.destinations.lake.store import Store

_CHANGES = ("put", "delete")
"""All that a reader can see of a run goes through these two (on S3 `write_text`, too, for what is no table's)."""


class Dead(OSError):
    """The store is dead."""


@dataclass
class Dying:
    """Counts the changes of a run."""

    changes: int = 0
    died: bool = False


@contextmanager
def dying(monkeypatch: pytest.MonkeyPatch, before: int) -> Iterator[Dying]:
    """Within, the change number `before` and all later ones fail; 0: none does."""
    seen = Dying()

    def mortal(change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(store: Store, *arguments: Any, **named: Any) -> Any:
            seen.changes += 1
            if seen.died or seen.changes == before:
                seen.died = True
                raise Dead("the store is dead")
            return change(store, *arguments, **named)

        return changed

    with monkeypatch.context() as patch:
        patch.setenv("LOAD__RAISE_ON_MAX_RETRIES", "1")
        for name in _CHANGES:
            patch.setattr(Store, name, mortal(getattr(Store, name)))
        yield seen
