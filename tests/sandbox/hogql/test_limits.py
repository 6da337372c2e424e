"""How many rows a query gives: 100 without LIMIT, never more than the server's cap."""

from __future__ import annotations

import pytest

from posthog_warehouse.sandbox.behaviour import PROFILES, Behaviour
from posthog_warehouse.sandbox.hogql import compile_query
from tests.sandbox.hogql.conftest import Run, context

SMALL = Behaviour(default_rows=3, max_rows=5)


def test_without_limit_one_row_more_than_the_default_is_read() -> None:
    compiled = compile_query("select event from events", context())
    assert compiled.sql.endswith("LIMIT 101")
    assert (compiled.limit, compiled.offset, compiled.default_limit_applied) == (100, 0, True)


def test_with_limit_nothing_is_reported() -> None:
    compiled = compile_query("select event from events limit 7", context())
    assert compiled.sql.endswith("LIMIT 7")
    assert (compiled.limit, compiled.offset, compiled.default_limit_applied) == (None, None, False)
    assert compiled.has_own_limit


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("select number from numbers(20)", 4),
        ("select number from numbers(20) limit 2", 2),
        ("select number from numbers(20) limit 10", 5),
        ("select number from numbers(20) limit 5 + 5", 5),
        ("select number from (select number from numbers(20) limit 10) limit 100", 5),
        ("select count() from (select number from numbers(20) limit 10)", 1),
        ("select number from numbers(20) union all select number from numbers(20)", 6),
        ("select number from numbers(20) limit 4 union all select number from numbers(20) limit 100", 9),
        ("(select number from numbers(20) union all select number from numbers(20)) limit 2", 2),
    ],
)
def test_rows(run: Run, text: str, rows: int) -> None:
    assert len(run(text, behaviour=SMALL)) == rows


def test_subqueries_are_not_limited(run: Run) -> None:
    assert run("select count() from (select number from numbers(20))", behaviour=SMALL) == [[20]]
    assert run("select count() from (select number from numbers(20) limit 10)", behaviour=SMALL) == [[10]]


def test_the_cap_of_an_older_server_is_lower() -> None:
    text = "select event from events limit 50000"
    assert compile_query(text, context()).sql.endswith("LIMIT 50000")
    assert compile_query(text, context(behaviour=PROFILES["selfhosted-2023"])).sql.endswith("LIMIT 10000")
