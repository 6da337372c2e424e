"""Whatever text stands in a query, it stays text: nothing of it becomes SQL."""

from __future__ import annotations

from itertools import count

import orjson
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from posthog_warehouse.sandbox.hogql.literals import identifier, string
from posthog_warehouse.sandbox.store import Store
from tests.sandbox.hogql.conftest import Run

NUMBERS = count()

# NUL cannot stand in HogQL text: its grammar ends there. Values of placeholders may hold it.
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
ODD = st.text(st.sampled_from("'\"`\\%{}()-;/*\n\t\r\b\f\a\vnt0x$? é你"), max_size=20)
ANY_TEXT = TEXTS | ODD

# Names leave out the asterisk, which the grammar does not tell from `*` even in quotes; aliases also leave out "%",
# which PostHog refuses in names.
quick = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _quoted(text: str, quote: str) -> str:
    return quote + text.replace("\\", "\\\\").replace(quote, quote * 2) + quote


@quick
@given(text=ANY_TEXT)
@example(text="'); DROP TABLE events; --")
@example(text="\\")
@example(text="\\'")
def test_a_string_literal_comes_back_as_it_was(run: Run, text: str) -> None:
    assert run(f"select {_quoted(text, chr(39))}") == [[text]]


@quick
@given(text=ANY_TEXT | st.just("\0"))
def test_a_value_comes_back_as_it_was(run: Run, text: str) -> None:
    assert run("select {value}, {value} = {value}", values={"value": text}) == [[text, 1]]


@quick
@given(name=ANY_TEXT.filter(lambda text: text not in ("", "*")))
@example(name="a' OR 1=1 --")
@example(name="x`) FROM person --")
def test_any_property_name_finds_its_property(run: Run, project: Store, name: str) -> None:
    distinct_id = f"property-{next(NUMBERS)}"
    body = orjson.dumps({name: "found"}).decode()
    project.execute(
        f"INSERT INTO events (team_id, distinct_id, properties) VALUES (73, '{distinct_id}', {string(body)})"
    )
    dotted, bracketed = _quoted(name, "`"), _quoted(name, "'")
    query = f"select properties.{dotted}, properties[{bracketed}] from events where distinct_id = '{distinct_id}'"
    assert run(query, team_id=73) == [["found", "found"]]


@quick
@given(alias=ANY_TEXT.filter(lambda text: text not in ("", "*") and "%" not in text))
def test_any_alias_is_only_a_name(run: Run, alias: str) -> None:
    quoted = _quoted(alias, "`")
    assert run(f"select 1 as {quoted}, {quoted} + 1") == [[1, 2]]


@quick
@given(text=ANY_TEXT | st.just("\0"))
def test_literals_of_clickhouse(clickhouse: Store, text: str) -> None:
    assert clickhouse.rows(f"SELECT {string(text)}") == [[text]]
    if text and "%" not in text:
        assert clickhouse.rows(f"SELECT 1 AS {identifier(text)}") == [[1]]
