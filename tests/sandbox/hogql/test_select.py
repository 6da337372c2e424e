"""What HogQL queries answer, on real ClickHouse."""

from __future__ import annotations

from typing import Any

import pytest

from posthog_warehouse.sandbox.hogql import HogQLError, compile_query
from tests.sandbox.hogql.conftest import Run, context, event

Rows = list[list[Any]]

CLAUSES: dict[str, tuple[str, Rows]] = {
    "group, order, limit": (
        "select event, count() as c from events group by event order by event desc limit 2",
        [["purchase", 4], ["$pageview", 4]],
    ),
    "another team is never read": ("select count() from events", [[12]]),
    "alias in where, group and having": (
        "select event as e, count() as c from events where e != 'x' group by e having c > 3 order by e limit 1",
        [["$autocapture", 4]],
    ),
    "group by all": ("select event, count() from events group by all order by event limit 1", [["$autocapture", 4]]),
    "group by rollup": (
        "select event, count() as c from events group by rollup(event) order by c desc, event limit 1",
        [["", 12]],
    ),
    "grouping sets": (
        "select count() from events group by grouping sets ((event), (distinct_id)) limit 1",
        [[4]],
    ),
    "distinct": ("select distinct distinct_id from events order by distinct_id", [["d1"], ["d2"], ["d3"]]),
    "prewhere": ("select count() from events prewhere event = 'purchase' where distinct_id = 'd3'", [[4]]),
    "limit by": ("select event from events order by event, timestamp limit 1 by event limit 1", [["$autocapture"]]),
    "limit by offset": (
        "select toString(uuid) from events where event = 'purchase' order by timestamp limit 1 offset 1 by event",
        [[event(5)]],
    ),
    "offset": ("select number from numbers(5) limit 2 offset 1", [[1], [2]]),
    "with ties": ("select intDiv(number, 2) as n from numbers(6) order by n limit 1 with ties", [[0], [0]]),
    "with fill": ("select number from numbers(2) order by number with fill from 0 to 4", [[0], [1], [2], [3]]),
    "subquery in from": (
        "select e, c from (select event as e, count() as c from events group by e) where e = 'purchase'",
        [["purchase", 4]],
    ),
    "columns of a subquery without aliases": ("select * from (select count() from events)", [[12]]),
    "column aliases": ("select b from (select 1, 2) as x (a, b)", [[2]]),
    "with a query": ("with x as (select event, count() as c from events group by event) select sum(c) from x", [[12]]),
    "with an expression": ("with 5 as five select five + 1", [[6]]),
    "with columns": ("with x(a) as (select 7) select a from x", [[7]]),
    "with over a table of that name": (
        "with events as (select * from events where event = 'purchase') select count() from events",
        [[4]],
    ),
    "with reaches later branches": (
        "select a from (with x as (select 1 as a) select a from x union all select a + 1 from x) order by a",
        [[1], [2]],
    ),
    "union all": ("select n from (select 1 as n union all select 2) order by n", [[1], [2]]),
    "intersect and except": ("select 1 intersect select 1 except select 2", [[1]]),
    "scalar subquery": ("select (select count() from events) + 1", [[13]]),
    "in a subquery": (
        "select count() from events where distinct_id in"
        " (select distinct_id from person_distinct_ids where distinct_id < 'd3')",
        [[8]],
    ),
    "join": (
        "select e.event, p.properties.v from events e join persons p on e.person_id = p.id"
        " where e.distinct_id = 'd1' order by e.timestamp limit 1",
        [["$pageview", "2"]],
    ),
    "join using": ("select count() from raw_persons join persons using (id)", [[3]]),
    "cross join": ("select count() from events e, numbers(2) n", [[24]]),
    "right join keeps the other team out": (
        "select count() from persons p right join events e on e.person_id = p.id",
        [[12]],
    ),
    "array join": (
        "select event, z from events array join [1, 2] as z order by timestamp, z limit 2",
        [["$pageview", 1], ["$pageview", 2]],
    ),
    "window": (
        "select row_number() over (partition by event order by timestamp) as r from events order by timestamp limit 4",
        [[1], [1], [1], [2]],
    ),
    "named window": (
        "select sum(1) over w from events window w as (partition by event) order by timestamp limit 1",
        [[4]],
    ),
    "window frame": (
        "select sum(number) over (order by number rows between 1 preceding and current row) from numbers(3)",
        [[0], [1], [3]],
    ),
    "lag and lead": (
        "select lag(number) over (order by number), lead(number) over (order by number) from numbers(2)",
        [[None, 1], [0, None]],
    ),
    "columns by pattern": (
        "select columns('^(event|uuid)$') from events order by timestamp limit 1",
        [[event(0), "$pageview"]],
    ),
    "comments and a semicolon": ("select 1 /* a */ -- b\n;", [[1]]),
}

EXPRESSIONS: dict[str, tuple[str, Any]] = {
    "arithmetic": ("1 + 2 * 3 - 4 / 2 % 3", 5),
    "64 bits": ("18446744073709551615", 18446744073709551615),
    "the smallest": ("-9223372036854775808", -9223372036854775808),
    "float": ("1.5e3", 1500),
    "hexadecimal": ("0x1F", 31),
    "null": ("null", None),
    "true": ("true", True),
    "array": ("[1, 2][2]", 2),
    "tuple": ("(1, 'a').2", "a"),
    "map": ("map('a', 1)['a']", 1),
    "slice": ("[1, 2, 3, 4][2:3]", [2, 3]),
    "lambda": ("arrayMap(x -> x * 2, arrayFilter((y) -> y > 1, [1, 2, 3]))", [4, 6]),
    "lambda of two": ("arrayMap((x, y) -> x + y, [1, 2], [10, 20])", [11, 22]),
    "case": ("case when 1 = 2 then 'a' when 1 = 1 then 'b' else 'c' end", "b"),
    "case of a value": ("case 2 when 1 then 'a' when 2 then 'b' end", "b"),
    "ternary": ("1 > 2 ? 'a' : 'b'", "b"),
    "nullish": ("null ?? 3", 3),
    "template text": ("f'a{1 + 1}b'", "a2b"),
    "between": ("2 between 1 and 3", 1),
    "not between": ("2 not between 1 and 3", 0),
    "in": ("'a' in ('a', 'b')", 1),
    "in one": ("'a' in ('a')", 1),
    "not in": ("'a' not in ['a', 'b']", 0),
    "is null": ("null is null", 1),
    "like": ("'Abc' like 'A%'", 1),
    "ilike": ("'Abc' ilike 'a%'", 1),
    "regexp": ("'abc' =~ 'b'", 1),
    "not regexp, any case": ("'ABC' !~* 'b'", 0),
    "is distinct from": ("1 is distinct from null", 1),
    "cast": ("'5'::Int64 + cast('1.5' as float)", 6.5),
    "try_cast": ("try_cast('x' as int)", None),
    "concat": ("concat('a', 1, null)", "a1"),
    "operators as functions": ("plus(1, 2) = 3 and not equals(1, 2)", 1),
    "any case": ("LOWER('A') || Upper('b')", "aB"),
    "toInt of text": ("toInt('12') + 1", 13),
    "toInt of nonsense": ("toInt('x')", None),
    "toUUID of nonsense": ("toUUID('x')", None),
    "md5": ("md5('a')", "0CC175B9C0F1B6A831C399E269772661"),
    "hash": ("cityHash64('a')", 2603192927274642682),
    "hex": ("hex(unhex('00ff'))", "00FF"),
    "bits of a uuid": (
        "reinterpretAsUInt64(reverse(unhex(substring("
        "replaceAll('00000000-0000-0001-0000-000000000000', '-', ''), 1, 16))))",
        1,
    ),
    "reduce": ("arrayReduce('sum', [1, 2, 3])", 6),
    "url": ("domain('https://example.com/a?b=1')", "example.com"),
    "json": ("JSONExtractInt('{\"a\":{\"b\":7}}', 'a', 'b')", 7),
    "split": ("splitByString(', ', 'a, b')", ["a", "b"]),
    "date difference": ("dateDiff('day', toDate('2026-01-01'), toDate('2026-01-03'))", 2),
    "interval": ("toString(toDate('2026-01-31') + interval 1 month)", "2026-02-28"),
}

AGGREGATES: dict[str, tuple[str, Any]] = {
    "countIf": ("countIf(event = 'purchase')", 4),
    "count filter": ("count() filter (where event = 'purchase')", 4),
    "count distinct": ("count(distinct event)", 3),
    "countDistinctIf": ("countDistinctIf(distinct_id, event = 'purchase')", 1),
    "uniqExact": ("uniqExact(distinct_id)", 3),
    "argMax": ("argMax(event, timestamp)", "purchase"),
    "argMinIf": ("argMinIf(event, timestamp, event != '$pageview')", "$autocapture"),
    "quantile": ("quantile(0.5)(toInt(properties.n))", 5.5),
    "groupUniqArray": ("arraySort(groupUniqArray(event))", ["$autocapture", "$pageview", "purchase"]),
    "sumIf": ("sumIf(toInt(properties.n), event = 'purchase')", 26),
    "groupBitXor": ("groupBitXor(toInt(properties.n))", 0),
    "topK": ("length(topK(2)(event))", 2),
    "minForEach": ("minForEach([toInt(properties.n), 5])", [0, 5]),
    "string_agg": ("length(string_agg(event, ','))", 127),
}

PROPERTIES: dict[str, tuple[str, Any]] = {
    "number": ("properties.n", "0"),
    "text keeps its escapes": ("properties.text", 'say \\"hi\\"'),
    "empty text": ("properties.empty", ""),
    "null": ("properties.nothing", None),
    "missing": ("properties.nowhere", None),
    "boolean": ("properties.yes", "true"),
    "nested": ("properties.deep.list", '[10,"two"]'),
    "element of an array, from 1": ("properties.deep.list.2", "two"),
    "the same in brackets": ("properties['deep']['list'][1]", "10"),
    "odd names": ("properties.deep.`a b`.c", "1.5"),
    "dollar": ("properties.$browser", "Chrome"),
    "quote in a name": ("properties['it\\'s']", "odd"),
    "qualified": ("events.properties.n", "0"),
    "compared with text is 0 or 1": ("properties.nothing = 'x'", 0),
    "different from NULL is 1": ("properties.nothing != 'x'", 1),
}


@pytest.mark.parametrize(("text", "rows"), CLAUSES.values(), ids=CLAUSES)
def test_clauses(run: Run, text: str, rows: Rows) -> None:
    assert run(text) == rows


@pytest.mark.parametrize(("text", "value"), EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_expressions(run: Run, text: str, value: object) -> None:
    assert run(f"select {text}") == [[value]]


@pytest.mark.parametrize(("text", "value"), AGGREGATES.values(), ids=AGGREGATES)
def test_aggregations(run: Run, text: str, value: object) -> None:
    assert run(f"select {text} from events") == [[value]]


@pytest.mark.parametrize(("text", "value"), PROPERTIES.values(), ids=PROPERTIES)
def test_properties_are_nullable_text(run: Run, text: str, value: object) -> None:
    assert run(f"select {text} from events order by timestamp limit 1") == [[value]]


def test_properties_of_a_subquery(run: Run) -> None:
    text = (
        "select x.p.n, properties.n from"
        " (select properties as p, properties from events order by timestamp limit 1) as x"
    )
    assert run(text) == [["0", "0"]]


NAMES: dict[str, list[str]] = {
    "select event, events.event from events": ["event", "event"],
    "select event as e, count(*) , count() from events group by e": ["e", "count(*)", "count()"],
    "select properties.$browser, properties.a.b, properties['x'] from events": ["$browser", "a__b", "x"],
    "select toString(timestamp, 'UTC') from events": ["toString(timestamp, 'UTC')"],
    "select 1 + 1, 1 = 2, 'a', null": ["plus(1, 1)", "equals(1, 2)", "'a'", "NULL"],
    "select max(version), argMax(is_deleted, version) from raw_persons": [
        "max(version)",
        "argMax(is_deleted, version)",
    ],
    "select arrayMap(x -> x + 1, [1])": ["arrayMap(x -> plus(x, 1), [1])"],
    "select person.properties.email, person_id from events": ["email", "person_id"],
}


@pytest.mark.parametrize(("text", "names"), NAMES.items())
def test_names_of_columns(text: str, names: list[str]) -> None:
    assert list(compile_query(text, context()).columns) == names


def test_asterisk_shows_plain_columns_only() -> None:
    assert compile_query("select * from events", context()).columns == (
        "uuid", "event", "properties", "timestamp", "distinct_id", "elements_chain", "created_at",
        "$session_id", "$window_id", "$group_0", "$group_1", "$group_2", "$group_3", "$group_4", "person_mode",
    )  # fmt: skip
    assert compile_query("select * from person_distinct_ids", context()).columns == ("distinct_id", "person_id")


def test_asterisk_without_one_column(run: Run) -> None:
    compiled = compile_query("select * exclude (properties) from persons", context())
    assert compiled.columns == ("id", "created_at", "is_identified", "last_seen_at")


def test_placeholders(run: Run) -> None:
    assert run("select {a}, {b}, {c.d}", values={"a": "it's", "b": [1, 2], "c": {"d": None}}) == [
        ["it's", [1, 2], None]
    ]
    assert run("select {variables.x} + 1", variables={"x": 2}) == [[3]]
    assert run("select count() from events where {filters}") == [[12]]
    dates = {"dateRange": {"date_from": "2026-01-01T02:00:00Z", "date_to": "2026-01-01T06:00:00Z"}}
    assert run("select count() from events where {filters}", filters=dates) == [[2]]
    assert run("select count() from events where {filters}", filters={"dateRange": {"date_from": "-1d"}}) == [[0]]


def test_a_filter_that_cannot_be_applied_is_refused_rather_than_ignored(run: Run) -> None:
    with pytest.raises(HogQLError, match="properties"):
        run("select 1 from events where {filters}", filters={"properties": [{"key": "a"}]})
