"""Times as whole microseconds since 1970-01-01 UTC, and what time it is at PostHog.

`MIN` and `MAX` stand for no bound. Witnesses of PostHog's clock may be wrong, and none is believed alone.
A bound that is ahead of when PostHog stamps events would call covered what is still to come, and that would never be
asked for. One that is behind only has things asked for again. So where witnesses disagree the bound is an early one,
and what no two of them agree on proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

MIN = -(2**62)
MAX = 2**62
SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR

LAST_DAY = 65_535 * DAY
"""The last day (2149-06-06) that ClickHouse's Date can hold; the first is that of 1970."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def to_micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware `moment`, exactly (no float on the way)."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def to_datetime(micros: int) -> datetime:
    """The aware UTC datetime of `micros`; raises OverflowError for `MIN` and `MAX`."""
    return _EPOCH + timedelta(microseconds=micros)


def to_text(micros: int) -> str:
    """`YYYY-MM-DD hh:mm:ss.ffffff` in UTC, or `-inf` / `inf`."""
    if micros <= MIN:
        return "-inf"
    if micros >= MAX:
        return "inf"
    return to_datetime(micros).strftime("%Y-%m-%d %H:%M:%S.%f")


def day_start(micros: int) -> int:
    """The start of the UTC day that holds `micros`; `MIN` and `MAX` stay as they are."""
    return micros if micros in {MIN, MAX} else micros - micros % DAY


TOLERANCE = 600 * SECOND
"""How far clocks may be apart, in microseconds: a query may wait and run for minutes, and the overlap of an hour covers
that."""


@dataclass(frozen=True)
class Clock:
    """What a run goes by. Times are microseconds UTC."""

    now: int
    """PostHog's time at the start of the run; where it is in doubt, not after it."""
    ours: int
    """This machine's, at the same moment."""
    doubt: str = ""
    """Why `now` cannot be relied on: what is counted up to it is not all there is."""
    remark: str = ""
    """What people should know of the witnesses."""

    @property
    def is_disputed(self) -> bool:
        """Whether PostHog's own witnesses disagree."""
        return bool(self.doubt or self.remark)

    def known_until(self, state: Mapping[str, Any]) -> int:
        """The latest time, by this clock, of which the run that wrote `state` can have known (microseconds UTC).

        A server's clock that was ahead then and is right now has gone back since, against this machine's.
        """
        server, machine = state.get(_STATE) or (self.now, self.ours)
        gone_back = (int(server) - int(machine)) - (self.now - self.ours)
        if gone_back <= TOLERANCE:
            return self.now
        return min(self.now, int(server) - gone_back)

    def note(self, state: dict[str, Any]) -> None:
        """Writes into the state of a table when it was read, for `known_until`."""
        state[_STATE] = [self.now, self.ours]

    def note_begun(self, state: dict[str, Any]) -> None:
        """Writes it before the first page, for a run that ends before all of a table is read.

        What such a run notes is by this clock, and the rest of `state` by the one before: the one further ahead counts.
        """
        noted = state.get(_STATE)
        if noted is None or self.now - self.ours > int(noted[0]) - int(noted[1]):
            self.note(state)


_STATE = "clock"


def reckon(asked: int | None, told: int | None, ours: int) -> Clock:
    """The clock to go by, of three witnesses: PostHog's database, its web server and this machine. Microseconds UTC.

    Args:
        asked: what PostHog's database answers to `now()`; None: it was not asked.
        told: the `Date` of PostHog's answers; None: they have none.
        ours: this machine's clock. Alone it is no reason to doubt PostHog's, but it says which of two is right.
    """
    if asked is None:
        return Clock(ours if told is None else told, ours)
    if told is None:
        if _agree(asked, ours):
            return Clock(asked, ours)
        doubt = f"PostHog says that it is {_text(asked)} UTC, {_apart(asked, ours)} this machine's clock"
        return Clock(min(asked, ours), ours, doubt)
    if _agree(asked, told):
        return Clock(min(asked, told), ours)
    remark = (
        f"PostHog's database says that it is {_text(asked)} UTC, {_apart(asked, told)} the Date of its answers "
        f"({_text(told)})"
    )
    right = next((each for each in (told, asked) if _agree(each, ours)), None)
    if right is None:
        doubt = f"{remark}, and this machine's clock ({_text(ours)}) agrees with neither"
        return Clock(min(asked, told), ours, doubt)
    name = "the Date" if right == told else "the database"
    return Clock(right, ours, remark=f"{remark}: {name} was believed, as this machine's clock agrees")


def _agree(one: int, other: int) -> bool:
    return abs(one - other) <= TOLERANCE


def _text(micros: int) -> str:
    return to_text(micros)[:19]


def _apart(one: int, other: int) -> str:
    apart = abs(one - other)
    unit, name = (
        (DAY, "days") if apart >= 3 * DAY else (HOUR, "hours") if apart >= 3 * HOUR else (60 * SECOND, "minutes")
    )
    return f"{(apart + unit // 2) // unit:,} {name} {'ahead of' if one > other else 'behind'}"
