"""Every row of a query comes once, whatever its key is like and however the server caps its answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import Run
from posthog_warehouse.sources.posthog.errors import OwnQueryRefused
from posthog_warehouse.sources.posthog.readers.own_query.ordering import growing, order_of
from posthog_warehouse.sources.posthog.readers.own_query.paging import Pager
from posthog_warehouse.sources.posthog.sql.dialect import text_literal
from tests.conftest import StartSandbox
from tests.faults.syncing import LONG
from tests.sources.posthog.readers.own_query.asking import a_run, described, pages_of, rows_of

# 180,000 rows of which nine share a key, with three kinds of text, number, time and nested value.
LARGE = (
    "SELECT intDiv(number, 9) AS k, number AS n, number % 7 = 0 AS f, number / 8 AS x, "
    "concat('é', toString(number)) AS s, "
    "toDateTime('2026-01-01 00:00:00.000001') + toIntervalSecond(number) AS t, "
    "if(number % 5 = 0, NULL, number) AS m, [number, k] AS a FROM numbers(180000)"
)
LARGE_IN_CLICKHOUSE = (
    "SELECT intDiv(number, 9) AS k, number AS n, number % 7 = 0 AS f, number / 8 AS x, "
    "concat('é', toString(number)) AS s, "
    "toString(toDateTime64('2026-01-01 00:00:00.000001', 6, 'UTC') + toIntervalSecond(number)) AS t, "
    "if(number % 5 = 0, NULL, number) AS m, toJSONString([number, k]) AS a FROM numbers(180000) ORDER BY n"
)
TIED = "SELECT intDiv(number, 10) % 4 AS k, number AS n FROM numbers(200)"
SAME = "SELECT number % 2 AS k, 'x' AS s FROM numbers(90)"


@pytest.fixture(scope="module")
def small_pages(sandbox_cloud: Sandbox) -> Iterator[Run]:
    """Seven rows a page."""
    with a_run(sandbox_cloud, leaf_rows=7) as run:
        yield run


@pytest.fixture(scope="module")
def asked(sandbox_cloud: Sandbox) -> Iterator[Run]:
    with a_run(sandbox_cloud) as run:
        yield run


@pytest.mark.parametrize("profile", ["cloud", "selfhosted-2023"] if LONG else ["selfhosted-2023"])
def test_180_000_rows_with_ties_are_what_clickhouse_has(start_sandbox: StartSandbox, profile: str) -> None:
    sandbox = start_sandbox(events=50, persons=5, profile=profile)
    with a_run(sandbox) as run:
        pages = pages_of(run, LARGE, key="k")
    assert len(pages) > 4
    table = pa.concat_tables(pages)
    table = table.take(pc.sort_indices(table, [("n", "ascending")]))
    wanted = list(zip(*sandbox.sql(LARGE_IN_CLICKHOUSE), strict=True))
    for name, values in zip(table.column_names, wanted, strict=True):
        column = table.column(name)
        if name == "t":
            column = pc.strftime(column, format="%Y-%m-%d %H:%M:%S")
        elif name in {"k", "n", "m"}:
            column = column.cast(pa.int64())
        assert column.to_pylist() == list(values), name


def test_without_a_key_more_than_one_answer_is_refused_with_advice(asked: Run) -> None:
    with pytest.raises(OwnQueryRefused, match=r"180,000 rows, and PostHog answers 50,000") as refused:
        pages_of(asked, LARGE)
    assert 'key = "..."' in refused.value.advice


def test_without_a_key_one_answer_is_enough_for_what_fits_into_it(asked: Run) -> None:
    assert len(rows_of(asked, "SELECT number FROM numbers(50000)")) == 50_000


def test_without_a_key_a_server_that_allows_offset_is_paged(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=50, persons=5, behaviour={"refuse_offset": False, "max_rows": 1_000})
    with a_run(sandbox, leaf_rows=700) as run:
        found = rows_of(run, "SELECT number % 10 AS a, toString(number) AS b FROM numbers(2500)")
    assert Counter(found) == Counter((number % 10, str(number)) for number in range(2500))


def test_a_hidden_limit_cuts_nothing(asked: Run, sandbox_cloud: Sandbox) -> None:
    [[events]] = sandbox_cloud.sql("SELECT count() FROM events")
    sql = "SELECT event FROM events"
    assert len(asked.client.query(sql).rows) == 100
    assert len(asked.client.query(f"{sql} UNION ALL {sql}").rows) == 200
    assert len(rows_of(asked, sql)) == events
    assert len(rows_of(asked, f"{sql} UNION ALL {sql}")) == 2 * events
    assert len(rows_of(asked, f"WITH some AS ({sql}) SELECT * FROM some")) == events


def test_a_limit_of_the_users_own_is_kept(asked: Run) -> None:
    assert rows_of(asked, "SELECT number FROM numbers(9000) ORDER BY number DESC LIMIT 3", key="number") == [
        (8_997,),
        (8_998,),
        (8_999,),
    ]
    assert len(rows_of(asked, "SELECT event FROM events LIMIT 150 -- not all")) == 150


@pytest.mark.parametrize("sql", [TIED, SAME, "SELECT 1 AS k, number AS n FROM numbers(60)"])
def test_keys_that_fill_pages_lose_and_double_nothing(small_pages: Run, sandbox_cloud: Sandbox, sql: str) -> None:
    assert Counter(rows_of(small_pages, sql, key="k")) == Counter(map(tuple, sandbox_cloud.sql(sql)))


def test_a_server_without_hashes_tells_tied_rows_apart_by_their_columns(start_sandbox: StartSandbox) -> None:
    old = start_sandbox(events=50, persons=5, profile="selfhosted-2023")
    with a_run(old, leaf_rows=7) as run:
        assert not run.dialect.has_hashes
        for sql in (TIED, SAME):
            assert Counter(rows_of(run, sql, key="k")) == Counter(map(tuple, old.sql(sql)))


def test_a_page_never_holds_more_rows_than_are_asked_for(small_pages: Run) -> None:
    assert {page.num_rows <= 7 for page in pages_of(small_pages, SAME, key="k")} == {True}


def test_the_latest_row_of_each_key_comes_once(small_pages: Run) -> None:
    about = described(small_pages, TIED, key="k", cursor="n")
    pager = Pager(small_pages, about)
    order, newest = order_of(small_pages.dialect, about.key), order_of(small_pages.dialect, [about.column("n")])
    rows = [row for page in pager.latest(order, newest) for row in page.table.to_pylist()]
    assert rows == [{"k": 0, "n": 169}, {"k": 1, "n": 179}, {"k": 2, "n": 189}, {"k": 3, "n": 199}]


keys = st.one_of(
    st.none(),
    st.text(st.characters(codec="utf-8"), max_size=3),
    st.sampled_from(["", "a", "'", "\\", "é", "`", "\x00"]),
)
numbers = st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-2, 2))


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return text_literal(value) if isinstance(value, str) else str(value)


@settings(max_examples=12, deadline=None)
@given(
    rows=st.lists(st.tuples(keys, numbers), min_size=1, max_size=20),
    key=st.sampled_from([["a"], ["b"], ["a", "b"], ["b", "a"]]),
)
def test_wild_keys_lose_and_double_nothing(small_pages: Run, rows: list[tuple[Any, Any]], key: list[str]) -> None:
    sql = " UNION ALL ".join(
        f"SELECT toNullable({_literal(a)}) AS a, toNullable(toInt({_literal(str(b) if b is not None else b)})) AS b, "
        f"{place} AS n"
        for place, (a, b) in enumerate(rows)
    )
    found = rows_of(small_pages, sql, key=key)
    assert Counter(found) == Counter((a, b, place) for place, (a, b) in enumerate(rows))


@pytest.mark.parametrize(
    "key",
    [
        "toUUID(concat('00000000-0000-0000-', leftPad(toString(n), 4, '0'), '-000000000000'))",
        "toDateTime64('2026-01-01 00:00:00.000001', 6, 'UTC') + toIntervalSecond(n)",
        "toDateTime(n, 'Asia/Kolkata')",
        "toDate(toDateTime(n * 86400, 'UTC'))",
        "n / 3",
        "toDecimal(toString(n), 3)",
        "toString(n)",
        "tuple(n % 3, toString(n))",
        "[n]",
        "if(n % 3 = 0, NULL, n)",
        "n % 2 = 0",
        "if(n % 4 = 0, 0 / 0, n / 7)",
    ],
)
def test_keys_of_each_type_page_to_the_end(small_pages: Run, key: str) -> None:
    sql = f"SELECT {key} AS k, n FROM (SELECT number AS n FROM numbers(30))"
    pages = pages_of(small_pages, sql, key="k")
    assert sorted(n for page in pages for n in page.column("n").to_pylist()) == list(range(30))
    assert len(pages) >= 4


def test_text_that_is_no_utf_8_is_paged_by_its_bytes(small_pages: Run) -> None:
    # Answers cannot hold these, and all would look the same.
    sql = "SELECT unhex(concat('ff', hex(_toInt8(number)))) AS k, number AS n FROM numbers(40)"
    assert sorted(n for _, n in rows_of(small_pages, sql, key="k")) == list(range(40))


def test_a_query_that_takes_too_long_is_asked_in_the_background_from_then_on(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=50, persons=5)
    with a_run(sandbox, leaf_rows=20) as run:
        pager = Pager(run, described(run, "SELECT number FROM numbers(50)", key="number"))
        sandbox.reset_counters()
        sandbox.add_fault("status", status=504, path=r"/query/$", at=[1])
        order = order_of(run.dialect, pager.described.key)
        rows = [row for page in pager.keyed(order) for row in page.table.column("number").to_pylist()]
    assert rows == list(range(50))
    asked = [entry for entry in sandbox.requests() if entry["method"] == "POST"]
    assert [entry["status"] for entry in asked] == [504, 202, 202, 202]


def test_wide_rows_come_in_smaller_pages_where_posthog_cannot_answer_larger_ones(start_sandbox: StartSandbox) -> None:
    sandbox = start_sandbox(events=50, persons=5)
    with a_run(sandbox, leaf_rows=4_000) as run:
        pager = Pager(run, described(run, "SELECT number FROM numbers(5000)", key="number"))
        sandbox.add_fault("status", status=513, path=r"/query/$", at=[1])
        order = order_of(run.dialect, pager.described.key)
        pages = [page.table.column("number").to_pylist() for page in pager.keyed(order)]
    assert [number for page in pages for number in page] == list(range(5_000))
    assert max(map(len, pages)) <= 1_000


@pytest.mark.parametrize(
    ("values", "greatest"),
    [
        (["9", "10", "8"], 10),
        (["toNullable(9)", "NULL", "10"], 10),
        (["toDate('1999-12-31')", "toDate('2000-01-01')", "NULL"], "2000-01-01"),
        (["toDateTime64('2026-01-01 09:00:00', 6, 'Asia/Kolkata')", "toDateTime64('2026-01-01 08:00:00', 6, 'UTC')"],
         "2026-01-01 08:00:00.000000"),
        (["toNullable('b')", "'a'", "NULL"], b"b".hex()),
    ],
)  # fmt: skip
def test_the_greatest_value_is_so_by_value_and_never_null(asked: Run, values: list[str], greatest: object) -> None:
    sql = " UNION ALL ".join(f"SELECT {value} AS c" for value in values)
    about = described(asked, sql, cursor="c")
    column = about.column("c")
    is_there = [f"NOT isNull({column.ref})"] if column.kind.is_nullable else []
    found = Pager(asked, about).greatest(growing(asked.dialect, column), is_there)
    assert found is not None
    assert found[-1] == greatest
