"""What the server at hand lacks or refuses: found out once, told, and remembered from run to run for a week.

PostHog servers differ by age, plan and build, and none says its version to an API key. So each thing is asked for; what
is refused is noted here, in the words of the refusal, and not asked for again: a field of a query's body, a way to
write HogQL, a table or column of HogQL, an endpoint. What stands in for it is declared where it is used:

| lacking | what happens instead | declared in |
| --- | --- | --- |
| a field of a query's body | left out, or sent in its older form | `http.query_body.FALLBACKS` |
| a modifier, a function, hashes, typed times | older HogQL that says the same | `hogql.capabilities` and `Dialect` |
| a column of a table | NULL, and the report says so | `hogql.rows` |
| a column that says when rows changed | rows by day, compared by checksum | `hogql.daily` |
| a table of HogQL, an endpoint | the table is skipped, and the report says so | `hogql.rows`, `listing.missing` |
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from sources.posthog.errors import ColumnMissing, EndpointNotFound, NotFound, PostHogError, TableMissing

REMEMBERED = timedelta(days=7)
"""After so long everything is asked anew: a server may have been upgraded."""

T = TypeVar("T", bound=NotFound)

_KINDS: Mapping[str, type[NotFound]] = {
    kind.__name__: kind for kind in (ColumnMissing, EndpointNotFound, NotFound, TableMissing)
}


def refused_as(kind: type[T], refused: PostHogError) -> T:
    """A refusal as an error of another class: the same words, status, code and path."""
    return kind(refused.message, status=refused.status, code=refused.code, path=refused.path)


@dataclass(frozen=True)
class Said:
    """A refusal: PostHog's words, and the name of the error's class (`kind`)."""

    kind: str
    message: str
    status: int | None = None
    code: str | None = None
    path: str | None = None

    @classmethod
    def of(cls, error: PostHogError) -> Said:
        """What an error said."""
        return cls(type(error).__name__, error.message, error.status, error.code, error.path)


class Lacking:
    """What one server lacks. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._since: datetime | None = None
        self.fields: frozenset[str] = frozenset()
        """Fields of a query's body."""
        self.dialect: dict[str, Any] | None = None
        """How an older server wants HogQL written (`Dialect.to_state`); None: as today's, or not known yet."""
        self.has_metadata = True
        """Whether the server says what is wrong with a query that it does not run."""
        self._ways: set[str] = set()
        self._columns: dict[str, set[str]] = {}
        self._missing: dict[str, Said] = {}
        self._fresh: set[str] = set()

    def lacks(self, way: str) -> bool:
        """Whether `way`, the name of a way to write HogQL, was refused."""
        return way in self._ways

    def add_way(self, way: str) -> None:
        """Notes that the server refuses `way`, the name of a way to write HogQL."""
        with self._lock:
            self._ways.add(way)

    def columns(self, table: str) -> frozenset[str]:
        """The columns that `table` (its name in HogQL) does not have."""
        with self._lock:
            return frozenset(self._columns.get(table, ()))

    def add_column(self, table: str, column: str) -> None:
        """Notes that `table` has no `column`."""
        with self._lock:
            self._columns.setdefault(table, set()).add(column)

    def add(self, thing: str, error: PostHogError) -> None:
        """Notes that there is no `thing`: a table of HogQL, or the path of an endpoint."""
        with self._lock:
            self._missing[thing] = Said.of(error)
            self._fresh.add(thing)

    def error(self, thing: str) -> NotFound | None:
        """The refusal of `thing` as an error, where it was refused already; None: it may be asked for."""
        with self._lock:
            said = self._missing.get(thing)
            if said is None:
                return None
            again = None if thing in self._fresh or self._since is None else self._since + REMEMBERED
        kind = _KINDS.get(said.kind, NotFound)
        error = kind(said.message, status=said.status, code=said.code, path=said.path)
        if again is not None:
            error.advice = (
                f"It is asked for again from {again:%Y-%m-%d} on, or when it is named. {error.advice}".strip()
            )
        return error

    def forget(self, *things: str) -> None:
        """Has these asked for again."""
        with self._lock:
            for thing in things:
                self._missing.pop(thing, None)
                self._columns.pop(thing, None)

    def recall(self, state: Mapping[str, Any] | None, now: datetime) -> None:
        """Takes over what an earlier run noted (`to_state`), unless that is too long ago, or not before `now`."""
        if not state or "since" not in state:
            return
        since = datetime.fromisoformat(state["since"])
        if not since <= now < since + REMEMBERED:
            return
        with self._lock:
            self._since = since
            self.fields |= frozenset(state.get("fields", ()))
            self.dialect = self.dialect or state.get("dialect")
            self._ways.update(state.get("ways", ()))
            self.has_metadata = self.has_metadata and state.get("has_metadata", True)
            for table, columns in state.get("columns", {}).items():
                self._columns.setdefault(table, set()).update(columns)
            for thing, said in state.get("missing", {}).items():
                self._missing.setdefault(thing, Said(**said))

    def to_state(self, now: datetime) -> dict[str, Any]:
        """For dlt state; nothing where nothing is lacking."""
        with self._lock:
            facts = {
                "fields": sorted(self.fields),
                "dialect": self.dialect,
                "ways": sorted(self._ways),
                "has_metadata": self.has_metadata,
                "columns": {table: sorted(columns) for table, columns in sorted(self._columns.items()) if columns},
                # A refusal without PostHog's code may be a proxy's, and pass: it is not remembered.
                "missing": {thing: asdict(said) for thing, said in sorted(self._missing.items()) if said.code},
            }
            if self.has_metadata and not any(value for name, value in facts.items() if name != "has_metadata"):
                return {}
            since = self._since or now.astimezone(timezone.utc)
            return {"since": since.isoformat(timespec="seconds"), **facts}
