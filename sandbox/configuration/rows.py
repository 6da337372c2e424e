"""One list's rows, and what happens to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from posthog_warehouse.sandbox.recipe import constant

from .making import Maker, Making, Row, iso
from .world import World


@dataclass(frozen=True)
class Kind:
    """What one list holds.

    Attributes:
        name: what the control API calls it: the last word of its path, or table.
        make: gives the row of a number.
        count: how many rows there are at the start, or a function of the world that says.
        key: the field that is unique.
        title: a text field, which an update changes unless `change` says what it does.
        change: gives the row that an update makes of one; the second argument is the time, as text.
        modified: a field with the time of the last change, if the list has one.
        deleted: a field that is true for rows deleted softly; without it they vanish.
    """

    name: str
    make: Maker
    count: int | Callable[[World], int]
    key: str = "id"
    title: str = "name"
    change: Callable[[Row, str], Row] | None = None
    modified: str | None = None
    deleted: str | None = None


@dataclass(frozen=True)
class Change:
    """How many rows are added, changed and deleted at once."""

    insert: int = 0
    update: int = 0
    delete: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Changed:
    """The keys of the rows that a change touched, as text."""

    inserted: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)


class Rows:
    """The rows of one list in the order in which Postgres has them on disk: a changed row moves to the end.

    A list without ORDER BY is answered in that order, which is why an update in the middle of a read can make such
    a list skip a row.
    """

    def __init__(self, kind: Kind, world: World) -> None:
        self.kind = kind
        self._world = world
        self._total = kind.count if isinstance(kind.count, int) else kind.count(world)
        self._next = self._total
        self._heap = [kind.make(Making(world, kind.name, number, self._total)) for number in range(self._total)]
        self._scheduled: list[tuple[int, Change]] = []

    def all(self) -> Sequence[Row]:
        """Every row, softly deleted ones too."""
        return self._heap

    def visible(self) -> list[Row]:
        """The rows that a client finds."""
        deleted = self.kind.deleted
        return [row for row in self._heap if deleted is None or not row[deleted]]

    def keys(self) -> list[str]:
        """The keys of the visible rows, as text."""
        return [str(row[self.kind.key]) for row in self.visible()]

    def change(self, change: Change, now: datetime) -> Changed:
        """Delete, then change, then add rows; fewer where there are not enough.

        Args:
            change: how many.
            now: when that happens (UTC).
        """
        draw = Random(constant(self._world.seed, self.kind.name, change.seed, self._next))  # noqa: S311
        visible = self.visible()
        chosen = draw.sample(visible, min(len(visible), change.delete + change.update))
        gone, kept = chosen[: change.delete], chosen[change.delete :]
        done = Changed(
            deleted=[str(row[self.kind.key]) for row in gone],
            updated=[str(row[self.kind.key]) for row in kept],
        )
        touched = {id(row) for row in chosen}
        rest = [row for row in self._heap if id(row) not in touched]
        moved = [self._changed(row, now) for row in kept]
        if self.kind.deleted is not None:
            moved += [{**row, self.kind.deleted: True, **self._stamp(now)} for row in gone]
        added = [
            self.kind.make(Making(self._world, self.kind.name, self._next + number, self._total, now))
            for number in range(change.insert)
        ]
        self._next += change.insert
        self._heap = [*rest, *moved, *added]
        done.inserted.extend(str(row[self.kind.key]) for row in added)
        return done

    def schedule(self, change: Change, after_pages: int) -> None:
        """Let a change happen as soon as so many more pages of the list were answered."""
        self._scheduled.append((after_pages, change))

    def page_answered(self, now: datetime) -> None:
        """Note that a page went out, and do what was scheduled for after it."""
        waiting = [(left - 1, change) for left, change in self._scheduled]
        self._scheduled = [(left, change) for left, change in waiting if left > 0]
        for left, change in waiting:
            if left <= 0:
                self.change(change, now)

    def _changed(self, row: Row, now: datetime) -> Row:
        if self.kind.change is not None:
            return {**self.kind.change(row, iso(now)), **self._stamp(now)}
        title = self.kind.title
        text = str(row.get(title) or "").partition(" (changed")[0]
        return {**row, title: f"{text} (changed {now:%H:%M:%S.%f})", **self._stamp(now)}

    def _stamp(self, now: datetime) -> Row:
        return {} if self.kind.modified is None else {self.kind.modified: iso(now)}
