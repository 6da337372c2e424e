"""The time an insight covers: PostHog's dates in the project's time zone, cut into intervals.

Source: posthog/hogql_queries/utils/query_date_range.py and query_previous_period_date_range.py, autumn 2026.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from posthog_warehouse.sandbox.api.envelope import invalid

INTERVALS = ("hour", "day", "week", "month")

#: What is looked at without a date: the last week, today included.
DEFAULT_DAYS = 7

_RELATIVE = re.compile(r"^-?(?P<number>\d+)?(?P<unit>[hdwmqy])(?P<edge>Start|End)?$")


@dataclass(frozen=True)
class Period:
    """From the first to the last moment, both inclusive, in the project's time zone.

    Attributes:
        interval: hour, day, week (from Sunday, as new projects have it) or month.
        trimmed_week: the start was given as whole weeks back (``-7d``), without an end: such a period has a day more
            than its name says, and the one before it is shifted by that day.
    """

    since: datetime
    until: datetime
    interval: str
    trimmed_week: bool = False

    def starts(self) -> list[datetime]:
        """The start of each interval."""
        starts = [self.start_of(self.since)]
        while (after := self.add(starts[-1], 1)) <= self.until:
            starts.append(after)
        return starts

    def start_of(self, moment: datetime) -> datetime:
        """The start of the interval that holds a moment."""
        if self.interval == "hour":
            return moment.replace(minute=0, second=0, microsecond=0)
        day = day_start(moment)
        if self.interval == "week":
            return day - timedelta(days=day.isoweekday() % 7)
        return day.replace(day=1) if self.interval == "month" else day

    def add(self, moment: datetime, count: int) -> datetime:
        """A moment some intervals later."""
        if self.interval == "month":
            return add_months(moment, count)
        return (
            moment
            + {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}[self.interval] * count
        )

    def day(self, start: datetime) -> str:
        """An interval's start as answers write it: ``2026-11-19``, with the time for hours."""
        return start.strftime("%Y-%m-%d %H:%M:%S" if self.interval == "hour" else "%Y-%m-%d")

    def label(self, start: datetime) -> str:
        """An interval's start for people: ``9-Nov-2026``, with the time for hours."""
        time = start.strftime(" %H:%M") if self.interval == "hour" else ""
        return f"{start.day}-{start.strftime('%b-%Y')}{time}"

    def bucket(self, column: str) -> str:
        """HogQL and ClickHouse SQL for the `day` of a time in the project's time zone."""
        return {
            "hour": f"formatDateTime({column}, '%Y-%m-%d %H:00:00')",
            "day": f"toString(toDate({column}))",
            "week": f"toString(toStartOfWeek({column}, 0))",
            "month": f"toString(toStartOfMonth({column}))",
        }[self.interval]

    def condition(self, column: str = "timestamp") -> str:
        """HogQL that keeps the period; its first interval is taken whole."""
        return f"({column} >= {literal(self.start_of(self.since))} AND {column} <= {literal(self.until)})"

    def previous(self) -> Period:
        """The period of the same length before this one, on whole days (hours for hours)."""
        length = self.until - self.since
        since = self.since - length
        if self.interval == "hour":
            since = since.replace(minute=0, second=0, microsecond=0)
            return replace(self, since=since, until=(since + length).replace(minute=59, second=59, microsecond=999_999))
        since = day_start(since)
        if self.trimmed_week:
            since += timedelta(days=1)
        return replace(self, since=since, until=day_end(since + length))

    def shifted(self, by: str) -> Period:
        """The same period some time earlier: ``-1w``.

        Raises:
            ApiError: 400, it is no relative date.
        """
        match = _RELATIVE.match(by)
        if match is None or match["number"] is None:
            raise invalid(f"Invalid compare_to: {by}")
        back = int(match["number"])
        return replace(self, since=_back(self.since, match["unit"], back), until=_back(self.until, match["unit"], back))


def parse(
    dates: Mapping[str, Any] | None,
    interval: str | None,
    now: datetime,
    timezone: str,
    earliest: Callable[[], datetime | None],
) -> Period:
    """The period of a ``dateRange``.

    Args:
        dates: ``date_from`` and ``date_to``: ISO, relative (``-7d``, ``mStart``), or ``all`` for the first.
        interval: the interval's name, a day if not given.
        now: the server's time.
        timezone: the project's.
        earliest: finds the time of the first event, for ``all``.

    Raises:
        ApiError: 400, a date or an interval that is none.
    """
    interval = interval or "day"
    if interval not in INTERVALS:
        raise invalid(f"This local PostHog does not know the interval {interval!r}.")
    zone = ZoneInfo(timezone)
    local = now.astimezone(zone)
    first, last = (dates or {}).get("date_from"), (dates or {}).get("date_to")
    until, is_relative, _ = (local, True, False) if not last else _moment(str(last), local, zone)
    if interval != "hour":
        until = day_end(until)
    elif is_relative:
        until = until.replace(minute=59, second=59, microsecond=999_999)
    whole_weeks = first is None
    if first is None:
        since = day_start(local - timedelta(days=DEFAULT_DAYS))
    elif first == "all":
        since = (earliest() or local).astimezone(zone)
    else:
        since, _, whole_weeks = _moment(str(first), local, zone)
    return Period(since, until, interval, trimmed_week=whole_weeks and not last)


def _moment(text: str, now: datetime, zone: tzinfo) -> tuple[datetime, bool, bool]:
    """The moment, whether it is relative to now, and whether it is whole weeks back in days."""
    match = _RELATIVE.match(text)
    if match is None:
        return _absolute(text, zone), False, False
    unit, number, edge = match["unit"], int(match["number"] or 0), match["edge"]
    moment = _back(now, unit, number)
    if unit == "h":
        if edge:
            moment = moment.replace(minute=0, second=0, microsecond=0)
        return moment, True, False
    moment = day_start(moment)
    if edge:
        moment = _edge(moment, unit, edge)
    return moment, True, unit == "d" and bool(number) and number % 7 == 0 and not edge


def _edge(moment: datetime, unit: str, edge: str) -> datetime:
    """The first or the last day of the week, month, quarter or year; the end of a day."""
    if unit == "w":
        moment -= timedelta(days=moment.isoweekday() % 7)
    elif unit in "mqy":
        month = {"m": moment.month, "q": (moment.month - 1) // 3 * 3 + 1, "y": 1}[unit]
        moment = moment.replace(month=month, day=1)
    if edge == "Start":
        return moment
    if unit == "d":
        return day_end(moment)
    after = moment + timedelta(weeks=1) if unit == "w" else add_months(moment, {"m": 1, "q": 3, "y": 12}[unit])
    return after - timedelta(microseconds=1)


def _absolute(text: str, zone: tzinfo) -> datetime:
    # Python 3.10 knows neither Z nor fractions of other than 3 or 6 digits.
    text = re.sub(r"[zZ]$", "+00:00", text.strip())
    text = re.sub(r"\.(\d{1,6})\d*", lambda match: "." + match[1].ljust(6, "0"), text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"Invalid date: {text}") from None
    return moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)


def _back(moment: datetime, unit: str, number: int) -> datetime:
    if unit in "mqy":
        return add_months(moment, -number * {"m": 1, "q": 3, "y": 12}[unit])
    return moment - {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}[unit] * number


def day_start(moment: datetime) -> datetime:
    """The first moment of its day."""
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def day_end(moment: datetime) -> datetime:
    """The last moment of its day."""
    return moment.replace(hour=23, minute=59, second=59, microsecond=999_999)


def add_months(moment: datetime, months: int) -> datetime:
    """The same day some months later, or the last day of a month that is too short for it."""
    years, month = divmod(moment.month - 1 + months, 12)
    first = moment.replace(year=moment.year + years, month=month + 1, day=1)
    next_month = (first + timedelta(days=32)).replace(day=1)
    return first.replace(day=min(moment.day, (next_month - timedelta(days=1)).day))


def literal(moment: datetime) -> str:
    """A moment in HogQL and in ClickHouse SQL."""
    text = moment.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%d %H:%M:%S.%f")
    return f"toDateTime64('{text}', 6, 'UTC')"
