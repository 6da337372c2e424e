"""Dates in query strings: ISO times and PostHog's relative dates, always taken as UTC."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_RELATIVE = re.compile(r"^-(\d+)([hdwmy])$")
_DAYS = {"d": 1, "w": 7, "m": 30, "y": 365}


def parse(text: str, now: datetime) -> datetime | None:
    """A time from ISO text (UTC if it names no zone), ``-7d`` and the like, or None if it is neither."""
    relative = _RELATIVE.match(text)
    if relative:
        count, unit = int(relative[1]), relative[2]
        return now - (timedelta(hours=count) if unit == "h" else timedelta(days=count * _DAYS[unit]))
    # Python 3.10 knows neither Z nor fractions of other than 3 or 6 digits.
    text = text.strip().replace(" ", "+") if re.search(r"\d \d\d:\d\d$", text) else text.strip()
    text = re.sub(r"[zZ]$", "+00:00", text)
    text = re.sub(r"\.(\d{1,6})\d*", lambda match: "." + match[1].ljust(6, "0"), text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment.astimezone(timezone.utc)


def literal(moment: datetime) -> str:
    """The moment as a ClickHouse DateTime64(6, 'UTC')."""
    text = moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
    return f"toDateTime64('{text}', 6, 'UTC')"
