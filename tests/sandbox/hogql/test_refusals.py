"""What PostHog refuses before ClickHouse sees it, in its words."""

from __future__ import annotations

import pytest

from posthog_warehouse.sandbox.behaviour import PROFILES, Behaviour
from posthog_warehouse.sandbox.hogql import OFFSET_REFUSED, HogQLError, compile_query
from tests.sandbox.hogql.conftest import Run, context

OLD = PROFILES["selfhosted-2023"]

SEMANTIC: dict[str, str] = {
    "select inserted_at from events": "Unable to resolve field: inserted_at",
    "select _timestamp from events": "Unable to resolve field: _timestamp",
    "select team_id from events": "Unable to resolve field: team_id",
    "select is_deleted from persons": "Unable to resolve field: is_deleted",
    "select events.inserted_at from events": "Field not found: inserted_at",
    "select e.x from events": "Unable to resolve field: e",
    "select event.x from events": 'Can not access property "x" on field "event".',
    "select 1 from nope": "Unknown table `nope`.",
    "select 1 from system.clusters": "Unknown table `system.clusters`.",
    "select 1 from url('http://x')": "Unknown table `url`.",
    "select 1 from person": "Unknown table `person`.",
    "select hamburger(1)": "Unsupported function call 'hamburger(...)'",
    "select cout()": "Unsupported function call 'cout(...)'. Perhaps you meant 'count(...)'?",
    "select sleep(3)": "Unsupported function call 'sleep(...)'",
    "select toInt64('1')": "Unsupported function call 'toInt64(...)'. Perhaps you meant 'toInt(...)'?",
    "select uniq() from events": "Aggregation 'uniq' expects at least 1 argument, found 0",
    "select count(1, 2)": "Aggregation 'count' expects at most 1 argument, found 2",
    "select cityHash64(1, 2)": "Function 'cityHash64' expects 1 argument, found 2",
    "select quantile(1) from events": "Aggregation 'quantile' requires parameters in addition to arguments",
    "select sum(count()) from events": "Aggregation 'count' cannot be nested inside another aggregation 'sum'.",
    "select arrayReduce('sleep', [1])": "Invalid parametric function in 'arrayReduce', 'sleep' is not supported.",
    "select {x}": "Unresolved placeholder: {x}",
    "select 1 as `a%b`": 'The HogQL identifier "a%b" is not permitted as it contains the "%" character',
    "select * from events e, persons p": (
        "Cannot use '*' without table name when there are multiple tables in the query"
    ),
    "select event from events e join events f on e.uuid = f.uuid": (
        "Ambiguous query. Found multiple sources for field: event"
    ),
    "select 1 from events join events on 1": 'Already have joined a table called "events". Can\'t redefine.',
    "select 1 from events where event in cohort 1": "Comparison 'in cohort' is not supported here",
}


@pytest.mark.parametrize(("text", "detail"), SEMANTIC.items())
def test_semantic_mistakes(text: str, detail: str) -> None:
    with pytest.raises(HogQLError) as refused:
        compile_query(text, context())
    assert (refused.value.code, refused.value.detail) == ("hogql_query_error", detail)


def test_a_mistake_is_pointed_at() -> None:
    with pytest.raises(HogQLError) as refused:
        compile_query("select 1, nope from events", context())
    assert (refused.value.start, refused.value.end) == (10, 14)


@pytest.mark.parametrize("text", ["", "selec 1", "select 'a", "insert into events values (1)", "select 1 format JSON"])
def test_syntax_errors(text: str) -> None:
    with pytest.raises(HogQLError) as refused:
        compile_query(text, context())
    assert refused.value.code == "hogql_syntax_error"
    assert refused.value.detail


@pytest.mark.parametrize("text", ["selec 1", "select nope(1)", "select nope from events", "select 1;"])
def test_older_servers_have_one_code_for_all(text: str) -> None:
    with pytest.raises(HogQLError) as refused:
        compile_query(text, context(behaviour=OLD))
    assert refused.value.code == "invalid_input"


@pytest.mark.parametrize(
    "text",
    [
        "select event from events limit 1 offset 1",
        "select event from events limit 2, 3",
        "select event from (select event from events limit 5 offset 1)",
        "select 1 union all (select 2 limit 1 offset 1)",
        "select event from events limit 1 offset 1 by event",
        "select 1 where 1 in (select 1 offset 1)",
        "with x as (select 1 offset 1) select * from x",
    ],
)
def test_offset_is_refused_to_personal_keys(text: str) -> None:
    with pytest.raises(HogQLError) as refused:
        compile_query(text, context(personal_api_key=True))
    assert (refused.value.code, refused.value.detail) == ("hogql_query_error", OFFSET_REFUSED)
    assert compile_query(text, context(personal_api_key=False)).sql
    assert compile_query(text, context(personal_api_key=True, behaviour=Behaviour(refuse_offset=False))).sql


def test_sample_offset_is_allowed() -> None:
    text = "select event from events sample 1/10 offset 1/2"
    assert "SAMPLE 1/10 OFFSET 1/2" in compile_query(text, context(personal_api_key=True)).sql


@pytest.mark.parametrize("name", ["cityHash64('a')", "toDateTime64('2026-01-01 00:00:00', 6, 'UTC')"])
def test_functions_that_an_older_server_lacks(run: Run, name: str) -> None:
    assert run(f"select {name}")
    with pytest.raises(HogQLError, match="Unsupported function call"):
        run(f"select {name}", behaviour=OLD)


def test_one_form_of_a_function_can_be_missing(run: Run) -> None:
    old = Behaviour(missing_functions=frozenset({"toString/2"}))
    assert run("select toString(1)", behaviour=old) == [["1"]]
    with pytest.raises(HogQLError, match="Function 'toString' expects 1 argument, found 2"):
        run("select toString(now(), 'UTC')", behaviour=old)


@pytest.mark.parametrize("table", ["sessions", "system.information_schema.tables"])
def test_tables_that_an_older_server_lacks(table: str) -> None:
    with pytest.raises(HogQLError, match=f"Unknown table `{table}`."):
        compile_query(f"select 1 from {table}", context(behaviour=OLD))


def test_one_column_can_be_missing() -> None:
    old = Behaviour(missing_tables=frozenset({"events.person_mode"}))
    assert "person_mode" not in compile_query("select * from events", context(behaviour=old)).columns
    with pytest.raises(HogQLError, match="Unable to resolve field: person_mode"):
        compile_query("select person_mode from events", context(behaviour=old))


def test_a_deeply_nested_query_is_refused_and_nothing_breaks() -> None:
    with pytest.raises(HogQLError):
        compile_query(f"select {'(' * 3000}1{')' * 3000} + x from events", context())
