"""SQL for DuckDB that means what it says."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.destinations.duckdb_sql import identifier, literal, names, utc_day


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20))
def test_any_name_and_any_text_can_be_quoted(text: str) -> None:
    with duckdb.connect() as con:
        cursor = con.execute(f"SELECT {literal(text)} AS {identifier(text)}")
        assert cursor.description[0][0] == text
        assert cursor.fetchall() == [(text,)]
    assert names([text, "a"]) == f'{identifier(text)}, "a"'


@pytest.fixture(scope="module", params=["UTC", "Asia/Kolkata", "America/Los_Angeles"])
def con(request: pytest.FixtureRequest) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute(f"SET TimeZone = '{request.param}'")
    return con


@settings(deadline=None)  # the first call of a process loads what the others use
@given(moment=st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)))  # noqa: DTZ001 - bounds
def test_the_day_is_that_of_utc_whatever_the_zone_of_the_session(
    con: duckdb.DuckDBPyConnection, moment: datetime
) -> None:
    aware = moment.replace(tzinfo=timezone.utc)
    for at in (aware, aware - timedelta(microseconds=1), aware.replace(hour=0, minute=0, second=0, microsecond=0)):
        assert con.execute(f"SELECT {utc_day('?::TIMESTAMPTZ')}", [at]).fetchone() == (at.date(),)


def test_no_moment_has_no_day(con: duckdb.DuckDBPyConnection) -> None:
    assert con.execute(f"SELECT {utc_day('NULL::TIMESTAMPTZ')}").fetchone() == (None,)
