"""The HogQL that one server understands: literals, times, and what its answers may hold.

PostHog's HogQL differs by the server's age (seen on a server of December 2023 and in the sources of autumn 2026), so
the extractor never writes a time or a hash by hand: it asks the `Dialect` that `capabilities.probe` found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..clock import DAY, LAST_DAY, MAX, MIN, SECOND, to_datetime, to_micros, to_text
from ..tables import Column

HASH_SPACE = 2**64
"""One past the largest value of `cityHash64`."""

FEWEST_ROWS = 100
"""Every server answers so many rows: its LIMIT where a query has none."""

_FIRST, _LAST = (to_micros(datetime(year, 1, 1, tzinfo=timezone.utc)) for year in (1900, 2299))
"""The starts of the first and of the last year that DateTime64 holds, microseconds UTC."""

_ESCAPES = str.maketrans(
    {
        "\\": "\\\\",
        "'": "\\'",
        "\b": "\\b",
        "\f": "\\f",
        "\r": "\\r",
        "\n": "\\n",
        "\t": "\\t",
        "\a": "\\a",
        "\v": "\\v",
    }
)


def text_literal(text: str) -> str:
    """`text` as a HogQL string literal: whatever it holds, it can only be read as that text.

    HogQL leaves NUL out of literals (hogql/parse_string.py, autumn 2026), so text with one is written in hex.
    """
    return f"unhex('{text.encode().hex()}')" if "\0" in text else "'" + text.translate(_ESCAPES) + "'"


def value_literal(column: Column, value: object) -> str:
    """A value of `column` as HogQL has it: of a key, or the text of a time in UTC."""
    if column.is_uuid:
        return f"toUUID({text_literal(str(value))})"
    if isinstance(value, datetime):
        return text_literal(to_text(to_micros(value)))
    return str(int(str(value))) if column.data_type == "bigint" else text_literal(str(value))


def identifier(name: str) -> str:
    """`name` in backquotes where it needs them, as HogQL reads it (hogql/escape_sql.py, autumn 2026)."""
    if re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", name):
        return name
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


@dataclass(frozen=True)
class Dialect:
    """What a server knows, and how to say things to it."""

    modifiers: Mapping[str, object] = field(default_factory=dict)
    """Sent with each query: UTC instead of the project's time zone, and persons as stored at ingestion."""
    has_hashes: bool = True
    """`cityHash64` and `groupBitXor` (today's servers; not in December 2023)."""
    has_typed_times: bool = True
    """`toDateTime64(text, 6, 'UTC')`."""
    has_zoned_text: bool = True
    """`toString(time, 'UTC')`."""
    max_rows: int = 50_000
    """Rows in one answer; a larger LIMIT is lowered in silence (50,000 today, 10,000 in 2023)."""
    proven_rows: int = FEWEST_ROWS
    """So many rows the server has been seen to answer: a shorter answer is not one that was cut."""

    def to_state(self) -> dict[str, Any]:
        """For dlt state; how many rows the server has been seen to answer is left out."""
        flags = ("has_hashes", "has_typed_times", "has_zoned_text", "max_rows")
        return {"modifiers": dict(self.modifiers), **{name: getattr(self, name) for name in flags}}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Dialect:
        """The same from there."""
        return cls(**state)

    def time_text(self, column: str) -> str:
        """`column` as text in UTC with all six digits: as a datetime, some servers cut it to milliseconds."""
        if self.has_zoned_text:
            return f"toString({column}, 'UTC')"
        return f"toString(toTimeZone({column}, 'UTC'))"

    def cell(self, column: Column, expression: str) -> str:
        """`expression`, of the kind of `column`, as it is to be selected."""
        if column.data_type == "timestamp":
            return self.time_text(expression)
        return f"toString({expression})" if column.is_uuid else expression

    def time_bounds(self, column: str, start: int, end: int) -> list[str]:
        """Conditions for `start <= column < end` (microseconds; `MIN` and `MAX` ask for nothing).

        Of the `timestamp` of events they may span no more than one of the `eras`, or all.
        """
        start = MIN if start <= _FIRST else start
        end = MAX if end >= _LAST + 366 * DAY else end
        if end <= 0 or start >= LAST_DAY or MIN < start < 0 or LAST_DAY < end < MAX:
            return [*self._partitions(column, start, end), *self._text_bounds(column, start, end)]
        if self.has_typed_times:
            return [
                f"{column} {sign} toDateTime64('{to_text(bound)}', 6, 'UTC')"
                for sign, bound in ((">=", start), ("<", end))
                if MIN < bound < MAX
            ]
        # A plain string is read in the zone of what it is compared with, so that zone is made UTC. That hides the
        # column from the primary key: a second, coarser condition on the bare column (a day wider, which is more
        # than any zone is off) lets the server skip what it need not read.
        conditions = []
        for sign, bound, slack in ((">=", start, -DAY), ("<", end, DAY)):
            if MIN < bound < MAX:
                coarse = to_datetime(bound + slack).strftime("%Y-%m-%d %H:%M:%S")
                conditions.append(f"{column} {sign} '{coarse}'")
                conditions.append(f"toTimeZone({column}, 'UTC') {sign} '{to_text(bound)}'")
        return conditions

    def changed_since(self, column: str, start: int) -> str:
        """The condition for `column >= start` (microseconds UTC), to the second: rows of that second are among them.

        Some columns hold whole seconds, and ClickHouse until 24.8 compares those with no text that has a fraction; a
        number of seconds is compared alike by all servers, in every zone.
        """
        return f"toUnixTimestamp({column}) >= {start // SECOND}"

    def _text_bounds(self, column: str, start: int, end: int) -> list[str]:
        """The bounds of `time_bounds` for times that a ClickHouse Date cannot hold.

        There the sort key toDate(timestamp) wraps around, and the server skips rows that it should read (seen on
        ClickHouse 26.9, by which toYYYYMM, toYear and toUnixTimestamp64Milli skip them as well). Compared as text,
        nothing is skipped.
        """
        bounds = ((">=", start), ("<", end))
        return [f"{self.time_text(column)} {sign} '{to_text(bound)}'" for sign, bound in bounds if MIN < bound < MAX]

    def _partitions(self, column: str, start: int, end: int) -> list[str]:
        """One more bound, where all times lie before or all lie after what a Date can hold: ClickHouse skips the months
        of other times by it.

        `toTimeZone` keeps the sort key out of it, and ClickHouse knows the first and last time of each partition.
        """
        if start >= LAST_DAY:
            sign, bound = ">=", min(start - DAY, _LAST)
        elif end <= 0:
            sign, bound = "<", max(end + DAY, _FIRST + DAY)
        else:
            return []
        literal = f"toDateTime64('{to_text(bound)}', 6, 'UTC')" if self.has_typed_times else f"'{to_text(bound)}'"
        return [f"toTimeZone({column}, 'UTC') {sign} {literal}"]

    def day(self, column: str) -> str:
        """The UTC day of `column` as text; toDate would wrap around before 1970 and after 2149."""
        return f"substring({self.time_text(column)}, 1, 10)"
