"""How much memory DuckDB may take, in its own way to write sizes."""

from __future__ import annotations

import duckdb
import pytest

from destinations.duckdb_memory import at_least, make_room_for


@pytest.mark.parametrize("limit", ["800MB", "1GB", "0.9 GB", "1 GiB", "80%", "a lot"])
def test_what_is_enough_or_no_size_stays(limit: str) -> None:
    assert at_least(limit, 800_000_000) == limit


@pytest.mark.parametrize("limit", ["300MB", "0.5GB", "500 MiB", "1KB"])
def test_less_than_the_least_becomes_the_least(limit: str) -> None:
    made = at_least(limit, 800_000_000)
    with duckdb.connect(config={"memory_limit": made}) as connection:
        assert connection.sql("SELECT current_setting('memory_limit')").fetchall() == [("762.9 MiB",)]


def test_room_is_made_for_wide_tables_alone() -> None:
    with duckdb.connect(config={"memory_limit": "300MB"}) as connection:
        setting = "SELECT current_setting('memory_limit')"
        make_room_for(connection, 100)
        assert connection.sql(setting).fetchall() == [("286.1 MiB",)]
        make_room_for(connection, 1_000)
        assert connection.sql(setting).fetchall() == [("953.6 MiB",)]
