"""How much memory DuckDB may take, in its own way to write sizes."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import duckdb
import psutil
import pytest

from posthog_warehouse.destinations.duckdb_memory import at_least, give_back, make_room_for


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


@pytest.mark.skipif(sys.platform != "linux", reason="DuckDB brings an allocator of its own there")
def test_what_other_threads_of_duckdb_have_freed_is_given_back() -> None:
    def work(cursor: duckdb.DuckDBPyConnection) -> None:
        cursor.execute("CREATE TEMP TABLE large AS SELECT hash(range) AS h, hash(-range) AS g FROM range(10_000_000)")
        cursor.execute("DROP TABLE large")

    with duckdb.connect(config={"threads": 1}) as connection:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(work, connection.cursor()).result()
        kept = psutil.Process().memory_info().rss
        give_back()
        assert kept - psutil.Process().memory_info().rss > 50_000_000
