"""What the server at hand lacks or refuses: found out once, told, and remembered from run to run for a week.

A newer endpoint below a list (`persons/deletion_status`) is to an older server the id of a thing in that list: it
answers 400, for no id looks like that, or 404, for there is no such thing (PostHog's server code of 4 August 2025: 400
"The ID provided does not look like a personID, distinct_id or UUID"). An endpoint that does not take GET answers 405.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, TypeVar

from ..errors import ColumnMissing, EndpointNotFound, NotFound, PostHogError, RequestRefused, TableMissing

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


_NO_ID = re.compile(
    r"does not look like an? [\w ,]*\b(id|uuid)\b|not a valid (id|uuid)|invalid (id|uuid|pk)\b", re.IGNORECASE
)


def endpoint_missing(error: PostHogError) -> NotFound | None:
    """The error that says that the endpoint is missing, where `error` means that; None: the endpoint is there.

    Only for paths without the id of a thing.
    """
    if isinstance(error, NotFound):
        return error
    if not isinstance(error, RequestRefused):
        return None
    is_taken_for_id = error.status == 400 and _NO_ID.search(error.message)
    return refused_as(EndpointNotFound, error) if is_taken_for_id or error.status == 405 else None


@contextmanager
def asked_once(lacking: Lacking, path: str, *, names_thing: bool = False) -> Iterator[None]:
    """Inside, the endpoint at `path` is asked, unless an earlier answer was that the server does not have it.

    `names_thing`: the path holds the id of a thing, which may be gone without the endpoint being missing.

    Raises NotFound where the endpoint is missing, and what is raised inside.
    """
    if names_thing:
        yield
        return
    if (missing := lacking.error(path)) is not None:
        raise missing
    try:
        yield
    except PostHogError as error:
        found = endpoint_missing(error)
        if found is None:
            raise
        lacking.add(path, found)
        raise found from None
