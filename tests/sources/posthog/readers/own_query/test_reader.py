"""Run after run, a query's table has what it should have: no row missing, none twice, none asked for without need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import posthog
from tests.conftest import StartSandbox
from tests.sandboxes import started
from tests.sources.posthog.readers.own_query.asking import Warehouse

EVENTS = "SELECT uuid, created_at, event FROM events"


@pytest.fixture(scope="module")
def changing() -> Iterator[Sandbox]:
    """A PostHog that these tests add events to; each asks for its own."""
    with started(events=300, persons=20, seed=3) as sandbox:
        yield sandbox


def _numbers(rows: str, **settings: Any) -> dict[str, dict[str, Any]]:
    """A query whose rows are given: `(1, 'a'), (2, 'b')`."""
    listed = " UNION ALL ".join(f"SELECT {row} " for row in rows.split(";"))
    return {"t": {"sql": listed, **settings}}


def test_merged_rows_are_asked_for_from_the_last_cursor_on(changing: Sandbox) -> None:
    warehouse = Warehouse(changing)
    queries = {"e": {"sql": EVENTS, "key": "uuid", "cursor": "created_at"}}
    warehouse.load(queries)
    [[held]] = changing.sql("SELECT uniqExact(uuid) FROM events")
    assert warehouse.rows("SELECT count(*), count(DISTINCT uuid) FROM mine.e") == [(held, held)]
    added = changing.add_events(7, seed=11)
    changing.reset_counters()
    warehouse.load(queries)
    assert warehouse.rows("SELECT count(*), count(DISTINCT uuid) FROM mine.e") == [(held + 7, held + 7)]
    found = warehouse.rows(f"SELECT count(*) FROM mine.e WHERE uuid IN ({', '.join(map(repr, added))})")
    assert found == [(7,)]
    # What is new, what has the last cursor value, and single numbers.
    assert changing.counters()["rows"] < 50 + 50_000


def test_of_one_key_the_latest_row_by_the_cursor_stays(sandbox_cloud: Sandbox) -> None:
    warehouse = Warehouse(sandbox_cloud)
    settings = {"key": "k", "cursor": "c"}
    warehouse.load(_numbers("1 AS k, 5 AS c, 'new' AS v; 1, 3, 'old'; 2, 1, 'only'", **settings))
    assert sorted(warehouse.rows("SELECT k, v FROM mine.t")) == [(1, "new"), (2, "only")]
    warehouse.load(_numbers("1 AS k, 9 AS c, 'newer' AS v; 1, 3, 'old'; 3, 9, 'third'", **settings))
    assert sorted(warehouse.rows("SELECT k, v FROM mine.t")) == [(1, "newer"), (2, "only"), (3, "third")]


def test_rows_without_a_cursor_are_merged_by_each_run(sandbox_cloud: Sandbox) -> None:
    warehouse = Warehouse(sandbox_cloud)
    queries = _numbers("toNullable(1) AS k, toNullable(5) AS c; 2, NULL; 3, NULL", key="k", cursor="c")
    queries["t"]["sql"] = f"SELECT assumeNotNull(k) AS k, c FROM ({queries['t']['sql']})"
    for _ in range(2):
        warehouse.load(queries)
        assert sorted(warehouse.rows("SELECT k, c FROM mine.t"), key=repr) == [(1, 5), (2, None), (3, None)]


def test_a_key_that_is_null_is_refused_where_rows_are_merged(sandbox_cloud: Sandbox) -> None:
    queries = _numbers("toNullable(1) AS k, 5 AS c; NULL, 6", key="k", cursor="c")
    with pytest.raises(PipelineStepFailed, match=r"1 rows of the query t have no k(?s:.*)ifNull"):
        Warehouse(sandbox_cloud).load(queries)


def test_appended_rows_come_once_though_they_share_a_cursor(sandbox_cloud: Sandbox) -> None:
    warehouse = Warehouse(sandbox_cloud)
    warehouse.load(_numbers("1 AS c, 'a' AS v; 2, 'b'; 2, 'b'; 2, 'c'", cursor="c"))
    # Later two more rows of the greatest value, one of which is like one that is there, and one beyond.
    later = _numbers("1 AS c, 'a' AS v; 2, 'b'; 2, 'b'; 2, 'c'; 2, 'd'; 2, 'c'; 3, 'e'", cursor="c")
    for _ in range(2):
        warehouse.load(later)
        assert sorted(warehouse.rows("SELECT c, v FROM mine.t")) == [
            *((1, "a"), (2, "b"), (2, "b"), (2, "c"), (2, "c"), (2, "d"), (3, "e")),
        ]


def test_appended_rows_page_by_page_come_once(changing: Sandbox) -> None:
    warehouse = Warehouse(changing)
    queries = {"e": {"sql": EVENTS, "cursor": "created_at"}}
    for _ in range(2):
        warehouse.load(queries, leaf_rows=40)
        [there] = changing.sql("SELECT count(), uniqExact(uuid) FROM events")
        assert warehouse.rows("SELECT count(*), count(DISTINCT uuid) FROM mine.e") == [tuple(there)]
        changing.add_events(5, seed=there[0])


def test_without_a_cursor_each_run_appends_all(sandbox_cloud: Sandbox) -> None:
    warehouse = Warehouse(sandbox_cloud)
    for run in (1, 2):
        warehouse.load(_numbers("1 AS a; 2", write="append"))
        assert warehouse.rows("SELECT count(*) FROM mine.t") == [(2 * run,)]


def test_replaced_rows_are_those_of_the_last_run_though_it_found_none(sandbox_cloud: Sandbox) -> None:
    warehouse = Warehouse(sandbox_cloud)
    warehouse.load({"t": {"sql": "SELECT number AS n FROM numbers(9)", "key": "n"}}, leaf_rows=4)
    assert warehouse.rows("SELECT count(*) FROM mine.t") == [(9,)]
    warehouse.load({"t": {"sql": "SELECT number AS n FROM numbers(9) WHERE number > 99", "key": "n"}})
    assert warehouse.rows("SELECT count(*) FROM mine.t") == [(0,)]


def test_a_schedule_is_kept_by_the_servers_clock(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=50, persons=5)
    warehouse = Warehouse(sandbox)
    asked: list[int] = []

    def load(sql: str = "SELECT event FROM events") -> None:
        sandbox.reset_counters()
        warehouse.load({"t": {"sql": sql, "refresh": "1d"}})
        asked.append(sum("FROM events" in (entry["query"] or "") for entry in sandbox.requests()))
        assert warehouse.rows("SELECT count(*) > 0 FROM mine.t") == [(True,)]

    load()
    sandbox.advance_clock(23 * 3600)
    load()
    sandbox.advance_clock(3600)
    load()
    # Another query is asked at once.
    load("SELECT event, 1 AS one FROM events")
    assert [count > 0 for count in asked] == [True, False, True, True]


def test_another_query_of_the_same_name_is_read_from_the_beginning(sandbox_cloud: Sandbox) -> None:
    warehouse = Warehouse(sandbox_cloud)
    warehouse.load(_numbers("1 AS k, 5 AS c", key="k", cursor="c"))
    warehouse.load(_numbers("1 AS k, 5 AS c; 2, 1", key="k", cursor="c"))
    assert sorted(warehouse.rows("SELECT k FROM mine.t")) == [(1,), (2,)]


def test_a_merge_that_was_broken_off_goes_on_there(changing: Sandbox) -> None:
    warehouse = Warehouse(changing)
    queries = {"e": {"sql": EVENTS, "key": "uuid", "cursor": "created_at"}}
    source = posthog(changing.api_key, changing.host, str(changing.project_id), queries=queries, leaf_rows=60)
    # dlt wants the empty page and three more.
    warehouse.pipeline.run(source.with_resources("e").add_limit(4))
    [(first,)] = warehouse.rows("SELECT count(*) FROM mine.e")
    assert 0 < first < 300
    assert warehouse.state("e")["after"]
    changing.reset_counters()
    warehouse.load(queries)
    [[held]] = changing.sql("SELECT uniqExact(uuid) FROM events")
    assert warehouse.rows("SELECT count(*), count(DISTINCT uuid) FROM mine.e") == [(held, held)]
    assert "after" not in warehouse.state("e")


def test_a_dlt_script_reads_queries_from_its_configuration(
    sandbox_cloud: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__POSTHOG__QUERIES", '{"t": {"sql": "SELECT 1 AS one"}}')
    source = posthog(sandbox_cloud.api_key, sandbox_cloud.host, str(sandbox_cloud.project_id))
    assert "t" in source.resources
    assert isinstance(source.resources["t"], dlt.sources.DltResource)


def test_a_column_of_another_type_lands_beside_the_old_one(sandbox_cloud: Sandbox) -> None:
    warehouse = Warehouse(sandbox_cloud)
    settings = {"key": "k", "write": "merge"}
    warehouse.load(_numbers("5 AS v, 1 AS k", **settings))
    for _ in range(2):
        warehouse.load(_numbers("'a' AS v, 2 AS k", **settings))
    warehouse.load(_numbers("6 AS v, 3 AS k, 1 AS v_text", **settings))
    assert warehouse.types("t") == {"v": "BIGINT", "k": "BIGINT", "v_text": "VARCHAR", "v_text_bigint": "BIGINT"}
    assert sorted(warehouse.rows("SELECT k, v, v_text, v_text_bigint FROM mine.t")) == [
        *((1, 5, None, None), (2, None, "a", None), (3, 6, None, 1)),
    ]


def test_a_row_without_a_cursor_is_never_the_latest(sandbox_cloud: Sandbox) -> None:
    warehouse = Warehouse(sandbox_cloud)
    rows = _numbers(
        "1 AS k, toNullable(5) AS c, 'dated' AS v; 1, NULL, 'undated'; 2, NULL, 'alone'", key="k", cursor="c"
    )
    warehouse.load(rows)
    assert sorted(warehouse.rows("SELECT k, v FROM mine.t")) == [(1, "dated"), (2, "alone")]


@pytest.mark.parametrize("cursor", ["1.5", "toUUID('00000000-0000-0000-0000-000000000001')", "[1]"])
def test_a_cursor_that_has_no_exact_order_is_refused(sandbox_cloud: Sandbox, cursor: str) -> None:
    with pytest.raises(PipelineStepFailed, match=r"cannot be a cursor(?s:.*)toDateTime"):
        Warehouse(sandbox_cloud).load(_numbers(f"1 AS k, {cursor} AS c", key="k", cursor="c"))
