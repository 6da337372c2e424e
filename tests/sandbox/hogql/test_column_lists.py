"""`FROM (...) AS t (a, b)`: columns named by their place."""

from __future__ import annotations

import pytest

from posthog_warehouse.sandbox.behaviour import PROFILES
from posthog_warehouse.sandbox.hogql import HogQLError, compile_query
from tests.sandbox.hogql.conftest import Run, context


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("select b, a from (select 1 + 1, 'x') as t (a, b)", [["x", 2]]),
        ("select t.b from (select number as n, number + 1 as n2 from numbers(2)) as t (a, b) order by a", [[1], [2]]),
        ("select b from (select x.n, y.n from (select 1 as n) as x, (select 2 as n) as y) as t (a, b)", [[2]]),
        ("select a from (select 1 as n union all select 2) as t (a) order by a", [[1], [2]]),
        ("select * from (with c as (select 7 as n) select n, n from c) as t (a, b)", [[7, 7]]),
    ],
)
def test_columns_are_what_stands_in_their_place(run: Run, text: str, rows: list[list[object]]) -> None:
    assert run(text) == rows


def test_another_number_of_names_is_refused() -> None:
    with pytest.raises(HogQLError, match=r"Subquery has 2 column\(s\) but 1 column name\(s\) were provided"):
        compile_query("select a from (select 1, 2) as t (a)", context())


@pytest.mark.parametrize("text", ["select a from (select 1) as t (a)", "(select 1) limit 0"])
def test_the_server_of_2023_knows_none_of_it(text: str) -> None:
    assert compile_query(text, context()).sql
    with pytest.raises(HogQLError) as refused:
        compile_query(text, context(behaviour=PROFILES["selfhosted-2023"]))
    assert refused.value.code == "invalid_input"


def test_a_limit_behind_brackets_goes_before_the_one_inside(run: Run) -> None:
    assert run("(select number from numbers(9) limit 5) limit 0") == []
