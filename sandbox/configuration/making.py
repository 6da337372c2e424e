"""How rows are made: a row is a function of the seed, the list and the row's number, so equal seeds give equal rows."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, TypeVar

from posthog_warehouse.sandbox.recipe import constant

from .world import World

Row = dict[str, Any]

T = TypeVar("T")

#: Rows that were there at the start were created over so long before it.
HISTORY = timedelta(days=400)


@dataclass(frozen=True)
class Making:
    """What a maker of rows works with.

    Attributes:
        world: the project, its people, and what ClickHouse holds.
        kind: the name of the list.
        number: which row, counted from 0.
        total: how many rows there are at the start; a later number is a row that was added while running.
        added: when the row was added; None for rows that were there at the start.
    """

    world: World
    kind: str
    number: int
    total: int
    added: datetime | None = None

    @cached_property
    def random(self) -> random.Random:
        """Draws that depend on the seed, the list and the number alone."""
        return random.Random(constant(self.world.seed, self.kind, self.number))  # noqa: S311 - repeatable on purpose

    @property
    def id(self) -> int:
        """An integer id, as Postgres counts them: ascending, with gaps."""
        return 100 + 3 * self.number

    @cached_property
    def created(self) -> datetime:
        """When it was created: higher numbers later."""
        if self.added is not None:
            return self.added
        step = HISTORY / max(1, self.total)
        jitter = random.Random(constant(self.world.seed, "created", self.kind, self.number)).random()  # noqa: S311
        return self.world.until - HISTORY + step * (self.number + 0.9 * jitter)

    @cached_property
    def modified(self) -> datetime:
        """When it was last changed: at its creation or up to 30 days later, never after the start."""
        if self.added is not None:
            return self.added
        draw = random.Random(constant(self.world.seed, "modified", self.kind, self.number))  # noqa: S311
        later = timedelta(days=30 * draw.random()) if draw.random() < 0.6 else timedelta(0)
        return min(self.created + later, self.world.until - timedelta(minutes=1 + draw.random()))

    def pick(self, values: Sequence[T]) -> T:
        """One of these."""
        return values[self.random.randrange(len(values))]

    def some(self, values: Sequence[T], most: int) -> list[T]:
        """Up to `most` of these, in their order."""
        wanted = set(self.random.sample(range(len(values)), self.random.randint(0, min(most, len(values)))))
        return [value for place, value in enumerate(values) if place in wanted]

    def chance(self, share: float) -> bool:
        """True for this share of rows."""
        return self.random.random() < share

    def uuid(self, purpose: str = "") -> str:
        """A UUID (version 4 in its digits) of this row."""
        high = constant(self.world.seed, self.kind, self.number, purpose, "high")
        low = constant(self.world.seed, self.kind, self.number, purpose, "low")
        digits = f"{high:016x}{low:016x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def short_id(self) -> str:
        """Eight letters and digits, as insights and notebooks have them."""
        letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
        draw = random.Random(constant(self.world.seed, "short id", self.kind, self.number))  # noqa: S311
        return "".join(draw.choice(letters) for _ in range(8))

    def user(self, purpose: str = "created_by") -> Row:
        """One of the organization's members, as other objects name them."""
        return self.world.user(constant(self.world.seed, self.kind, self.number, purpose))

    def of(self, kind: str, number: int, total: int) -> Making:
        """What a row of another list was made with: to name that row."""
        return Making(self.world, kind, number, total)

    def ago(self, **span: float) -> str:
        """A time so long before the start of the sandbox."""
        return iso(self.world.until - timedelta(**span))


Maker = Callable[[Making], Row]


def iso(moment: datetime) -> str:
    """A time as Django REST framework writes it: microseconds unless they are zero, ``Z`` for UTC."""
    return moment.isoformat().replace("+00:00", "Z")
