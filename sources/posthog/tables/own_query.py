"""A user's own HogQL as a table: what is declared of it, and the `Table` that it makes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timezone
from difflib import get_close_matches
from typing import Any, ClassVar, Literal

from ..clock import DAY, HOUR, SECOND
from ..dlt_internals import snake_case
from .schema import EngineName, Reads, Table

Write = Literal["merge", "replace", "append"]

_WRITES: tuple[Write, ...] = ("merge", "replace", "append")
_REFRESH = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_END = re.compile(r"[;\s]+\Z")
_UNITS = {"s": SECOND, "m": 60 * SECOND, "h": HOUR, "d": DAY, "w": 7 * DAY}
_ALWAYS = "always"


class BadQuery(ValueError):
    """A declaration of a query that cannot be right: `message` says what, `advice` what to do."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(f"{message} {advice}".strip())
        self.message = message
        self.advice = advice


@dataclass(frozen=True)
class Query(Reads):
    """A HogQL query that fills a table.

    `columns` of the answer are called here as in the query or as in the warehouse.
    """

    engine: ClassVar[EngineName] = "hogql"

    name: str
    """The table's."""
    sql: str
    key: tuple[str, ...] = ()
    """Columns by which the answer is paged, and rows are merged. Need not be unique unless rows are merged."""
    cursor: str | None = None
    """A column that only grows, such as a time of change: later runs ask for what is not below the greatest so far."""
    write: Write = "replace"
    """`merge`: rows replace those with their key. `replace`: each run brings all rows. `append`: rows are added."""
    refresh: int = 0
    """Microseconds that must have passed before a run asks again; 0: each run does."""
    variables: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Values for `{name}` in the query."""

    @classmethod
    def of(cls, name: str, given: Mapping[str, Any]) -> Query:
        """The query that `given` declares: `sql`, `key`, `cursor`, `write`, `refresh` (`1h`), `variables`.

        Without `write`, a key and a cursor make it `merge`, a cursor alone `append`, anything else `replace`.

        Raises:
            BadQuery: a setting is unknown, missing, of another kind, or contradicts another.
        """
        known = [each.name for each in fields(cls) if each.name != "name"]
        for setting in given:
            if setting == "file":
                # The source reads no files: the program has put the text in its place.
                raise BadQuery(f"The query {name} is in a file.", "In a dlt script give its text: sql.")
            if setting not in known:
                near = get_close_matches(setting, known, n=1, cutoff=0.5)
                advice = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(known)}."
                raise BadQuery(f"There is no setting {setting} for the query {name}.", advice)
        _check_name(name)
        sql = given.get("sql")
        sql = _END.sub("", sql).strip() if isinstance(sql, str) else ""
        if not sql:
            raise BadQuery(f"The query {name} has no sql.", 'Set sql = "SELECT ...".')
        key = _names(name, "key", given.get("key"))
        cursor = _names(name, "cursor", given.get("cursor"))
        if len(cursor) > 1:
            raise BadQuery(f"The query {name} has {len(cursor)} columns as its cursor.", "Give one.")
        variables = given.get("variables") or {}
        if not isinstance(variables, Mapping):
            raise BadQuery(f"variables of the query {name} are {variables!r}.", "Give a table of names and values.")
        query = cls(
            name=name,
            sql=sql,
            key=key,
            cursor=cursor[0] if cursor else None,
            write=_write(name, given.get("write"), bool(key), bool(cursor)),
            refresh=_refresh(name, given.get("refresh")),
            variables={str(variable): _plain(value) for variable, value in variables.items()},
        )
        _check_sense(query)
        return query

    def kept_up_to_date(self) -> str:
        """How the table follows PostHog, in a phrase for people."""
        if self.write == "replace":
            return "read whole and replaced"
        what = "merged on " + ", ".join(self.key) if self.write == "merge" else "appended"
        return f"rows from the greatest {self.cursor} on, {what}" if self.cursor else f"read whole and {what}"


def query_table(query: Query, *, is_optional: bool = False) -> Table:
    """The table that `query` fills; its columns are known from PostHog's answer only."""
    hints: dict[str, Any] = {}
    if query.write == "append":
        hints["write_disposition"] = "append"
    elif query.write == "merge":
        # Each key comes once a run: the query is asked so that PostHog gives the latest row of each.
        hints["write_disposition"] = {"disposition": "merge", "strategy": "delete-insert", "deduplicated": True}
    return Table(
        name=query.name,
        # The columns of the key are known by their names in the warehouse once PostHog has answered.
        primary_key=(),
        columns=(),
        description=f"Your own HogQL query, {query.kept_up_to_date()}.",
        reads=query,
        loads="replace" if query.write == "replace" else "merge",
        is_optional=is_optional,
        hints=hints,
    )


def queries_of(given: Mapping[str, Mapping[str, Any]], taken: Iterable[str] = ()) -> list[Query]:
    """The declared queries, in their order. `taken`: names of other tables.

    Raises:
        BadQuery: one of them cannot be right, or is called like another table.
    """
    taken = set(taken)
    for name, settings in given.items():
        if not isinstance(settings, Mapping):
            raise BadQuery(f"The query {name} is {settings!r}.", f"Write it as a section: [queries.{name}].")
        if name in taken:
            raise BadQuery(f"There is a table {name} already.", "Give the query another name.")
    return [Query.of(name, settings) for name, settings in given.items()]


def _check_name(name: str) -> None:
    usual = snake_case(name) if name.strip() else ""
    if not usual or usual != name or name.startswith("_dlt"):
        advice = f"{usual} would do." if usual and not usual.startswith("_dlt") else ""
        raise BadQuery(f"{name!r} cannot be the name of a table.", f"Use small letters, digits and single _. {advice}")


def _plain(value: Any) -> Any:
    """Times and days, which a configuration file can hold, as HogQL reads them; times in UTC unless they say none."""
    if isinstance(value, datetime):
        return (value.astimezone(timezone.utc) if value.tzinfo else value).strftime("%Y-%m-%d %H:%M:%S.%f")
    return value.isoformat() if isinstance(value, date) else value


def _names(query: str, setting: str, given: object) -> tuple[str, ...]:
    if given is None or given == "":
        return ()
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) and name.strip() for name in names):
        raise BadQuery(
            f"{setting} of the query {query} is {given!r}.", "Give the name of a column, or a list of names."
        )
    found = tuple(name.strip() for name in names)
    if len(set(found)) != len(found):
        raise BadQuery(f"{setting} of the query {query} names a column twice.", "Name each once.")
    return found


def _write(query: str, given: object, has_key: bool, has_cursor: bool) -> Write:  # noqa: FBT001 - two facts
    if given is None or given == "":
        return "merge" if has_key and has_cursor else "append" if has_cursor else "replace"
    for write in _WRITES:
        if given == write:
            return write
    raise BadQuery(f"write of the query {query} is {given!r}.", f"It can be {', '.join(_WRITES)}.")


def _refresh(query: str, given: object) -> int:
    if given is None or given in ("", _ALWAYS):
        return 0
    match = _REFRESH.fullmatch(str(given).strip().lower())
    if match is None:
        raise BadQuery(f"refresh of the query {query} is {given!r}.", "Write it as 30m, 1h, 1d, 1w, or always.")
    return int(float(match[1]) * _UNITS[match[2]])


def _check_sense(query: Query) -> None:
    if query.write == "merge" and not query.key:
        raise BadQuery(
            f"The query {query.name} is to be merged, and has no key.",
            "Name the columns that tell its rows apart: key.",
        )
    if query.write == "replace" and query.cursor:
        raise BadQuery(
            f"The query {query.name} is to be replaced, and has a cursor.",
            "A table that is replaced is read whole: leave out the cursor, or write merge or append.",
        )
