"""Value for value: what the typed columns hold is what Python's json module finds in the raw text beside them.

    python benchmarks/values.py --events 20000 --pairs 100000

Random (event, key) pairs, drawn with replacement, of a web project's properties and of wild ones, as a sync has loaded
them. A pair is exact if the column holds the value, by the meaning of its type (`held`); a conflict if the type has no
place for it, the column is NULL, and the key is listed with conflicts in property_columns; anything else is wrong.
Numbers are read as decimals, so that no digit gets lost on this side. `--database` compares a file that there is.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from measuring import add_usual, show, usual, write_json
from replay.pages import USUAL, WILD
from synced import synced

_ABSENT_SHARE = 0.1
_BATCH = 2_000
_DAY = re.compile(r"[12]\d{3}-\d\d-\d\d")
_MOMENT = re.compile(r"[12]\d{3}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Conflict(Exception):
    """A value for which a type has no place."""


@dataclass
class Compared:
    """What came out of it."""

    exact: int = 0
    empty: int = 0
    """The event has no such key, or null: and the column is NULL."""
    conflicts: Counter[str] = field(default_factory=Counter)
    """By key."""
    wrong: list[dict[str, str]] = field(default_factory=list)
    columns: int = 0
    types: Counter[str] = field(default_factory=Counter)
    """Exact pairs by type."""

    @property
    def pairs(self) -> int:
        """All that were looked at."""
        return self.exact + self.empty + self.conflicts.total() + len(self.wrong)


@dataclass(frozen=True)
class TypedColumn:
    """A row of property_columns."""

    key: str
    name: str
    type: str
    declared: str | None
    conflicts: int


def main() -> int:
    """Runs the comparison. Returns 1 if a pair is wrong."""
    arguments = _arguments()
    results = {}
    if arguments.database:
        results[str(arguments.database)] = compare(arguments.database, arguments.pairs, arguments.seed)
    else:
        for properties in (USUAL, WILD):
            with tempfile.TemporaryDirectory(prefix="values-") as folder:
                database = Path(folder) / "values.duckdb"
                size = {"events": arguments.events, "page_rows": arguments.page_rows}
                synced(arguments.pages, database, properties=properties, **size)
                results[properties] = compare(database, arguments.pairs, arguments.seed)
    for name, found in results.items():
        show(
            f"{name} properties, {found.columns} columns",
            {
                "pairs": f"{found.pairs:,}",
                "exact": f"{found.exact:,}",
                **{f"- {kind}": f"{count:,}" for kind, count in sorted(found.types.items())},
                "no value, and NULL": f"{found.empty:,}",
                "conflicts": f"{found.conflicts.total():,} in {len(found.conflicts):,} columns",
                "wrong": f"{len(found.wrong):,}",
            },
        )
        for pair in found.wrong[:10]:
            print(f"Wrong: {pair}", file=sys.stderr)
    write_json(arguments.json, {name: _figures(found) for name, found in results.items()})
    return 0 if all(found.exact and not found.wrong for found in results.values()) else 1


def compare(database: Path, pairs: int, seed: int) -> Compared:
    """Looks at so many random pairs of `posthog.events`, or a few more, and at whether conflicts are listed."""
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    found = Compared()
    with duckdb.connect(str(database), read_only=True) as connection:
        columns = _columns(connection)
        found.columns = len(columns)
        rows = _one(connection, "SELECT count(*) FROM posthog.events")
        an_event = max(1, math.ceil(pairs / max(1, rows)))
        wanted = min(rows, math.ceil(pairs / an_event))
        # Too few for the pairs that are wanted where events have few keys.
        while found.pairs < pairs and wanted:
            for event in _events(connection, columns, wanted, dice.randrange(2**31)):
                _compare_event(event, columns, an_event, dice, found)
    listed = {column.key: column.conflicts for column in columns}
    for key, count in found.conflicts.items():
        if not listed[key]:
            found.wrong.append({"key": key, "problem": f"{count} conflicts, and none is listed"})
    return found


def held(kind: str, declared: str | None, value: Any) -> Any:
    """What a column of this type is to hold for a value as Python's json reads it.

    - `text`: a string as it is; anything else as JSON, of equal value.
    - `bool`: true and false; declared as Boolean, these words as text, too.
    - `bigint`, `decimal`: whole numbers written without point and exponent, of 64 bits or 38 digits.
    - `double`: the nearest double to a number; not to a whole one beyond 2^53, and never infinite.
    - the three: declared as Numeric or Duration, a number in a text, too.
    - `date`: a text YYYY-MM-DD; `timestamp`: the moment of an ISO text with an offset, or midnight UTC of a day.
      Declared as DateTime: without an offset it is UTC, and numbers of 9, 10, 13 or 16 digits are since 1970.
    - `json`: objects and lists.

    Raises:
        Conflict: it has no place for it.
    """
    if kind == "text":
        return value
    if kind == "json":
        return _of(value, dict, list)
    if kind == "bool":
        words = {"true": True, "false": False} if declared == "Boolean" else {}
        return words[value] if isinstance(value, str) and value in words else _of(value, bool)
    if kind in {"date", "timestamp"}:
        return _moment(kind, declared, value)
    if isinstance(value, str) and declared in {"Numeric", "Duration"} and _NUMBER.fullmatch(value):
        value = int(value) if value.lstrip("-").isdigit() else Decimal(value)
    if kind == "double":
        if isinstance(value, int) and abs(_of(value, int)) >= 2**53:
            raise Conflict
        nearest = float(_of(value, int, Decimal))
        if math.isinf(nearest):
            raise Conflict
        return nearest
    whole = _of(value, int)
    low, high = (-(2**63), 2**63 - 1) if kind == "bigint" else (1 - 10**38, 10**38 - 1)
    if not low <= whole <= high:
        raise Conflict
    return whole


def same(kind: str, typed: Any, value: Any) -> bool:
    """Whether a column's value is `value`."""
    if kind == "json" or (kind == "text" and not isinstance(value, str)):
        return _alike(_read(typed), value)
    # True is 1 to Python, and a date no datetime.
    return isinstance(typed, bool) == isinstance(value, bool) and bool(typed == value)


def _compare_event(
    event: dict[str, Any], columns: list[TypedColumn], count: int, dice: random.Random, found: Compared
) -> None:
    raw = _read(event["properties"]) if event["properties"] is not None else None
    values = raw if isinstance(raw, dict) else {}
    present = [column for column in columns if column.key in values]
    absent = [column for column in columns if column.key not in values]
    few = min(len(absent), sum(dice.random() < _ABSENT_SHARE for _ in range(count)))
    for column in [*dice.sample(present, min(count, len(present))), *dice.sample(absent, few)]:
        typed, value = event[column.name], values.get(column.key)
        try:
            wanted = None if value is None else held(column.type, column.declared, value)
        except Conflict:
            wanted = None
            if typed is None:
                found.conflicts[column.key] += 1
                continue
        if value is None and typed is None:
            found.empty += 1
        elif wanted is not None and typed is not None and same(column.type, typed, wanted):
            found.exact += 1
            found.types[column.type] += 1
        else:
            pair = {"uuid": event["uuid"], "key": column.key, "type": column.type, "declared": str(column.declared)}
            found.wrong.append({**pair, "typed": repr(typed), "json": repr(value)})


def _columns(connection: duckdb.DuckDBPyConnection) -> list[TypedColumn]:
    rows = connection.execute(
        "SELECT key, column_name, type, declared_type, conflicts FROM posthog.property_columns "
        "WHERE table_name = 'events' ORDER BY column_name"
    ).fetchall()
    return [TypedColumn(*row) for row in rows]


def _events(
    connection: duckdb.DuckDBPyConnection, columns: list[TypedColumn], count: int, seed: int
) -> Iterator[dict[str, Any]]:
    names = ", ".join(f'"{column.name}"' for column in columns)
    table: pa.Table = connection.execute(
        f"SELECT uuid::VARCHAR AS uuid, properties::VARCHAR AS properties, {names} FROM posthog.events "
        f"USING SAMPLE reservoir({count} ROWS) REPEATABLE ({seed})"
    ).to_arrow_table()
    for batch in table.to_batches(_BATCH):
        yield from batch.to_pylist()


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    return int(row[0]) if row else 0


def _read(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def _of(value: Any, *types: type) -> Any:
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise Conflict
    return value


def _moment(kind: str, declared: str | None, value: Any) -> date:
    is_declared = declared == "DateTime" and kind == "timestamp"
    text = str(value) if is_declared and isinstance(value, (int, Decimal)) else _of(value, str)
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            return day if kind == "date" else datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
        if kind == "timestamp" and (match := _MOMENT.fullmatch(text)) and (match[3] or is_declared):
            return _utc(text, has_fraction=bool(match[2]))
    except ValueError:  # no such day, or hour
        raise Conflict from None
    if is_declared and (match := re.fullmatch(r"(\d{9,10})(\.\d{1,6})?|\d{13}|\d{16}", text)):
        power = 6 if match[1] else 3 if len(text) == 13 else 0
        return _EPOCH + timedelta(microseconds=int(Decimal(text) * 10**power))
    raise Conflict


def _utc(text: str, *, has_fraction: bool) -> datetime:
    """As Python 3.10 reads it, too: it wants a colon in the offset, and three or six digits."""
    text = re.sub(r"([+-]\d\d)(\d\d)$", r"\1:\2", text.replace("Z", "+00:00"))
    if has_fraction:
        text = re.sub(r"\.(\d+)", lambda found: f".{found[1]:0<6}", text)
    moment = datetime.fromisoformat(text)
    offset = moment.utcoffset() or timedelta(0)
    if abs(offset) >= timedelta(hours=15):
        raise Conflict
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def _alike(left: Any, right: Any) -> bool:
    """Equal, kind by kind: true is not 1, and "1" is neither."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_alike(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_alike, left, right))
    numbers = (int, float, Decimal)
    if isinstance(left, numbers) and isinstance(right, numbers):
        if isinstance(left, float) and isinstance(right, float):  # NaN and infinities: other fractions are decimals
            return str(left) == str(right)
        return isinstance(left, bool) == isinstance(right, bool) and left == right
    return type(left) is type(right) and bool(left == right)


def _figures(found: Compared) -> dict[str, Any]:
    figures = {"pairs": found.pairs, "exact": found.exact, "empty": found.empty, "columns": found.columns}
    return {**figures, "conflicts": dict(found.conflicts), "wrong": found.wrong, "types": dict(found.types)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=20_000)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--page-rows", type=int, default=5_000)
    parser.add_argument("--database", type=Path, metavar="FILE", help="compare this one, of a sync")
    parser.add_argument("--seed", type=int, default=7)
    add_usual(parser)
    return usual(parser, events=2_000, pairs=10_000, page_rows=1_000)


if __name__ == "__main__":
    sys.exit(main())
