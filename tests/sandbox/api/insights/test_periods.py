"""PostHog's dates, as moments of the project's time zone."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from posthog_warehouse.sandbox.api.envelope import ApiError
from posthog_warehouse.sandbox.api.insights import periods

#: A Friday; in Berlin it is one o'clock in the afternoon.
NOW = datetime(2026, 11, 20, 12, 30, tzinfo=timezone.utc)


def period(first: str | None, last: str | None = None, interval: str | None = None) -> periods.Period:
    dates = {"date_from": first, "date_to": last}
    return periods.parse(dates, interval, NOW, "Europe/Berlin", lambda: datetime(2026, 9, 3, 22, tzinfo=timezone.utc))


@pytest.mark.parametrize(
    ("text", "since"),
    [
        (None, "2026-11-13T00:00:00+01:00"),
        ("-3d", "2026-11-17T00:00:00+01:00"),
        ("-2h", "2026-11-20T11:30:00+01:00"),
        ("-1w", "2026-11-13T00:00:00+01:00"),
        ("-1m", "2026-10-20T00:00:00+02:00"),
        ("-1q", "2026-08-20T00:00:00+02:00"),
        ("-1y", "2025-11-20T00:00:00+01:00"),
        ("dStart", "2026-11-20T00:00:00+01:00"),
        ("-1dStart", "2026-11-19T00:00:00+01:00"),
        ("wStart", "2026-11-15T00:00:00+01:00"),
        ("mStart", "2026-11-01T00:00:00+01:00"),
        ("-1mStart", "2026-10-01T00:00:00+02:00"),
        ("qStart", "2026-10-01T00:00:00+02:00"),
        ("yStart", "2026-01-01T00:00:00+01:00"),
        ("all", "2026-09-04T00:00:00+02:00"),
        ("2026-11-01", "2026-11-01T00:00:00+01:00"),
        ("2026-11-01T10:00:00Z", "2026-11-01T11:00:00+01:00"),
    ],
)
def test_where_a_period_begins(text: str | None, since: str) -> None:
    found = period(text)
    assert found.since.isoformat() == since
    assert found.until.isoformat() == "2026-11-20T23:59:59.999999+01:00"


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("-1d", "2026-11-19T23:59:59.999999+01:00"),
        ("-1dEnd", "2026-11-19T23:59:59.999999+01:00"),
        ("-1mEnd", "2026-10-31T23:59:59.999999+01:00"),
        ("2026-11-18", "2026-11-18T23:59:59.999999+01:00"),
    ],
)
def test_where_a_period_ends(text: str, until: str) -> None:
    assert period("-30d", text).until.isoformat() == until


def test_hours_end_with_this_hour() -> None:
    hours = period("-2h", interval="hour")
    assert hours.until.isoformat() == "2026-11-20T13:59:59.999999+01:00"
    assert [hours.day(start) for start in hours.starts()] == [f"2026-11-20 {hour}:00:00" for hour in (11, 12, 13)]


def test_weeks_begin_on_sunday_and_months_on_the_first() -> None:
    assert [period("-9d", interval="week").day(start) for start in period("-9d", interval="week").starts()] == [
        "2026-11-08",
        "2026-11-15",
    ]
    months = period("2026-01-31", interval="month")
    assert [months.day(start) for start in months.starts()] == [f"2026-{month:02}-01" for month in range(1, 12)]


def test_the_period_before_has_the_same_length() -> None:
    days = period("2026-11-10", "2026-11-12")
    assert [days.previous().day(start) for start in days.previous().starts()] == [
        "2026-11-07",
        "2026-11-08",
        "2026-11-09",
    ]
    # "The last seven days" are eight, so the ones before them begin a day later.
    week = period("-7d").previous()
    assert (week.day(week.starts()[0]), week.day(week.starts()[-1])) == ("2026-11-06", "2026-11-13")


@pytest.mark.parametrize(("first", "interval"), [("soon", None), ("-7x", None), ("-7d", "fortnight")])
def test_what_is_no_date_is_refused(first: str, interval: str | None) -> None:
    with pytest.raises(ApiError):
        period(first, interval=interval)
