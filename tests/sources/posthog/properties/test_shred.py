"""Whatever a page holds, each typed value is what Python's json module finds, or NULL and counted."""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.properties import Catalogue, ColumnRules, Shredded, Shredder
from posthog_warehouse.sources.posthog.properties.names import path_key
from posthog_warehouse.sources.posthog.properties.pairs import Parser
from tests.sources.posthog.properties.documents import fits, is_exactly, pages, parsed

PARSER = Parser()
BASE = ("uuid", "event", "properties")


def shredder(**options: Any) -> Shredder:
    piece = options.pop("piece_bytes", 100)
    return Shredder(Catalogue("events", taken=BASE, **options), piece_bytes=piece, parser=PARSER)


def texts_of(page: Sequence[str | None]) -> pa.Array:
    return pa.array(page, pa.string())


def flattened(values: dict[str, Any], depth: int, within: tuple[str, ...] = ()) -> dict[str, Any]:
    """All properties, those of objects too, by the keys on the way."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        found[path_key((*within, name)) if within else name] = value
        if depth > 1 and isinstance(value, dict):
            found |= flattened(value, depth - 1, (*within, name))
    return found


def compare(page: Sequence[str | None], result: Shredded, catalogue: Catalogue) -> None:
    """Every (row, key) pair: exact, or counted."""
    columns = {known.key: (known, result.columns.get(known.name)) for known in catalogue.properties}
    conflicts: Counter[str] = Counter()
    for row, text in enumerate(page):
        values = flattened(parsed(text), catalogue.depth)
        for key, (known, column) in columns.items():
            typed = column[row].as_py() if column is not None else None
            value = values.get(key)
            if value is None:
                assert typed is None, key
            elif typed is None:
                assert not fits(known.type, value), (known, value)
                conflicts[key] += 1
            else:
                assert is_exactly(typed, value), (known, value, typed)
        assert {key for key, value in values.items() if value is not None} <= columns.keys()
    assert dict(conflicts) == result.conflicts
    found = [(flattened(parsed(page[row]), catalogue.depth), key) for row, key in result.examples]
    assert all(values[key] is not None for values, key in found)


@settings(max_examples=40, deadline=None)
@given(st.lists(pages(), min_size=1, max_size=2), st.integers(2, 3))
def test_so_is_every_value_inside_of_objects(batches: list[list[str | None]], depth: int) -> None:
    shred = shredder(rules=ColumnRules(depth=depth, max_columns=1_000))
    for page in batches:
        compare(page, shred(texts_of(page)), shred.catalogue)


def test_objects_are_taken_apart_as_deep_as_is_wanted() -> None:
    page = [
        '{"address":{"city":"Paris","geo":{"lat":48.85}},"address.city":1,"[\\"a\\",\\"b\\"]":2}',
        '{"address":5}',
        None,
    ]
    shred = shredder(rules=ColumnRules(depth=2, exclude=("address.geo",)))
    result = shred(texts_of(page))
    assert {name: column.to_pylist() for name, column in result.columns.items()} == {
        "address": ['{"city":"Paris","geo":{"lat":48.85}}', "5", None],
        "address__city": ["Paris", None, None],
        next(name for name in result.columns if name.startswith("address_city_x")): [1, None, None],
    }
    assert {known.key for known in shred.catalogue.properties} == {"address", '["address","city"]', "address.city"}
    assert result.missed == {'["address","geo"]': 1}


@settings(max_examples=40, deadline=None)
@given(st.lists(pages(), min_size=1, max_size=3))
def test_every_value_is_exact_or_counted(batches: list[list[str | None]]) -> None:
    shred, counted = shredder(), Counter[str]()
    for page in batches:
        result = shred(texts_of(page))
        compare(page, result, shred.catalogue)
        counted.update(result.conflicts)
    assert {known.key: known.conflicts for known in shred.catalogue.properties if known.conflicts} == counted


def outcome(batches: list[list[str | None]], definitions: dict[str, str | None]) -> dict[str, tuple[str, str]]:
    shred = shredder(definitions=definitions)
    for page in batches:
        shred(texts_of(page))
    return {known.key: (known.name, known.wanted) for known in shred.catalogue.properties}


@settings(max_examples=20, deadline=None)
@given(
    batches=st.lists(pages(max_rows=3), min_size=2, max_size=3),
    is_listed=st.booleans(),
    random=st.randoms(use_true_random=False),
)
def test_columns_do_not_depend_on_the_order_of_pages(*, batches: list[Any], is_listed: bool, random: Any) -> None:
    keys = sorted({key for page in batches for text in page for key in parsed(text)})
    definitions: dict[str, str | None] = {
        key: random.choice([None, "String", "Numeric", "Boolean", "DateTime", "Duration", "New"])
        for key in keys
        if is_listed and random.random() < 0.7
    }
    first = outcome(batches, definitions)
    assert all(outcome(list(order), definitions) == first for order in itertools.permutations(batches))
    assert outcome([[text for page in batches for text in page]], definitions) == first


@pytest.mark.parametrize(
    ("values", "kind", "typed"),
    [
        pytest.param(["1", "2"], "bigint", [1, 2], id="integers"),
        pytest.param(["9223372036854775807", "-9223372036854775808"], "bigint", [2**63 - 1, -(2**63)], id="64 bits"),
        pytest.param(["1", "1.5"], "double", [1.0, 1.5], id="a fraction"),
        pytest.param(["1", "18446744073709551615"], "decimal", [1, 2**64 - 1], id="beyond 64 bits"),
        pytest.param(["9007199254740993", "1.5"], "text", ["9007199254740993", "1.5"], id="digits a double loses"),
        pytest.param(["true", "false"], "bool", [True, False], id="booleans"),
        pytest.param(['"true"', '"1e5"'], "text", ["true", "1e5"], id="texts that look otherwise"),
        pytest.param(['"1.10"', '""'], "text", ["1.10", ""], id="spelling and empty"),
        pytest.param(["true", "1"], "text", ["true", "1"], id="a boolean and a number"),
        pytest.param(["1e400", "1"], "text", ["1e400", "1"], id="no double holds it"),
        pytest.param(['{"a" : 1}', "[1]"], "json", ['{"a":1}', "[1]"], id="nested"),
        pytest.param(["null", "null"], None, None, id="nothing but null"),
    ],
)
def test_types_by_the_values(values: list[str], kind: str | None, typed: list[object]) -> None:
    shred = shredder(piece_bytes=10_000)
    result = shred(texts_of([f'{{"key":{value}}}' for value in values]))
    assert [known.type for known in shred.catalogue.properties] == ([kind] if kind else [])
    assert [column.to_pylist() for column in result.columns.values()] == ([typed] if kind else [])
    assert not result.conflicts


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        pytest.param(['"2026-11-20"', '"2024-02-29"'], "date", id="days"),
        pytest.param(['"2026-11-20"', '"2026-11-20T10:11:12.5Z"'], "timestamp", id="days and times"),
        pytest.param(['"2026-11-20T10:11:12+02:00"', '"2026-11-20 10:11:12.123456Z"'], "timestamp", id="offsets"),
        pytest.param(['"2026-02-30"'], "text", id="no such day"),
        pytest.param(['"2026-02-30T10:00:00Z"'], "text", id="no such day, with a time"),
        pytest.param(['"2026-11-20T10:11:12"'], "text", id="whose ten o'clock"),
        pytest.param(['"2026-11-20T10:11:12.1234567Z"'], "text", id="finer than microseconds"),
        pytest.param(['"2026-11-20"', '"soon"'], "text", id="days and words"),
    ],
)
def test_moments_by_the_values(values: list[str], kind: str) -> None:
    shred = shredder(piece_bytes=10_000)
    page = [f'{{"key":{value}}}' for value in values]
    result = shred(texts_of(page))
    assert [known.type for known in shred.catalogue.properties] == [kind]
    assert not result.conflicts
    if kind == "date":
        assert [json.dumps(value.isoformat()) for value in result.columns["key"].to_pylist()] == values


@pytest.mark.parametrize(
    ("declared", "values", "kind", "typed"),
    [
        pytest.param("Numeric", ["1", '"2"', '"x"', "true"], "bigint", [1, 2, None, None], id="numbers in texts"),
        pytest.param("Numeric", ["1", '"2.5"', '"1e5"'], "double", [1.0, 2.5, 1e5], id="fractions in texts"),
        pytest.param("Numeric", ["1.5", "9007199254740993"], "double", [1.5, None], id="no digit is lost"),
        pytest.param("Duration", ["61.5"], "double", [61.5], id="durations are numbers"),
        pytest.param("Boolean", ["true", '"false"', "1", '"True"'], "bool", [True, False, None, None], id="booleans"),
        pytest.param("String", ["1", '"x"', "true"], "text", ["1", "x", "true"], id="texts"),
        pytest.param("Numeric", ['"x"'], "bigint", [None], id="no number"),
        pytest.param("Boolean", ['"x"', "1"], "bool", [None, None], id="neither true nor false"),
        pytest.param("DateTime", ['"a"', '"b"'], "timestamp", [None, None], id="no moment"),
    ],
)
def test_what_posthog_declares_goes_first(declared: str, values: list[str], kind: str, typed: list[object]) -> None:
    shred = shredder(piece_bytes=10_000, definitions={"key": declared})
    result = shred(texts_of([f'{{"key":{value}}}' for value in values]))
    assert [known.type for known in shred.catalogue.properties] == [kind]
    assert result.columns["key"].to_pylist() == typed
    assert result.conflicts == ({"key": typed.count(None)} if None in typed else {})


def test_moments_as_posthog_reads_them() -> None:
    moments = {
        '"2026-11-20T10:11:12Z"': "2026-11-20T10:11:12+00:00",
        '"2026-11-20 10:11:12"': "2026-11-20T10:11:12+00:00",
        '"2026-11-20"': "2026-11-20T00:00:00+00:00",
        "1700000000": "2023-11-14T22:13:20+00:00",
        "170000000": "1975-05-22T14:13:20+00:00",
        '"1700000000.123"': "2023-11-14T22:13:20.123000+00:00",
        "1700000000123": "2023-11-14T22:13:20.123000+00:00",
        "1700000000123456": "2023-11-14T22:13:20.123456+00:00",
        "12345": None,
        '"2026-02-30"': None,
        "true": None,
    }
    shred = shredder(piece_bytes=10_000, definitions={"key": "DateTime"})
    result = shred(texts_of([f'{{"key":{value}}}' for value in moments]))
    found = [moment and moment.isoformat() for moment in result.columns["key"].to_pylist()]
    assert found == list(moments.values())
    assert result.conflicts == {"key": 3}


def test_a_later_page_does_not_change_what_a_column_is() -> None:
    shred = shredder()
    shred(texts_of(['{"key":1}']))
    result = shred(texts_of(['{"key":1.5}', '{"key":2}', '{"key":"x"}', "{}"]))
    assert result.columns["key"].to_pylist() == [None, 2, None, None]
    assert result.conflicts == {"key": 2}
    assert result.examples == [(0, "key"), (2, "key")]
    (known,) = shred.catalogue.properties
    assert (known.type, known.wanted, known.conflicts, known.rows) == ("bigint", "text", 2, 4)


def test_five_thousand_keys() -> None:
    keys = [f"key {number}" for number in range(5_000)]
    page = [json.dumps(dict.fromkeys(keys[number::10], number)) for number in range(10)]
    shred = shredder(piece_bytes=20_000, rules=ColumnRules(max_columns=10_000))
    result = shred(texts_of(page))
    assert len(result.columns) == 5_000
    compare(page, result, shred.catalogue)


def test_room_goes_to_the_keys_of_most_rows() -> None:
    page = ['{"rare":1,"often":1,"wanted":1,"secret":1}', '{"often":2,"secret":1,"usual":1}', '{"often":3,"usual":2}']
    rules = ColumnRules(max_columns=2, include=("want*",), exclude=("secret",))
    shred = shredder(piece_bytes=10_000, rules=rules)
    result = shred(texts_of(page))
    assert {known.key for known in shred.catalogue.properties} == {"often", "usual", "wanted"}
    assert result.missed == {"rare": 1, "secret": 2}


def test_threads_share_one_catalogue() -> None:
    shred = shredder(piece_bytes=1_000)
    found: list[Shredded] = []
    page = [json.dumps({f"k{i}": i for i in range(n % 7 + 1)}) for n in range(300)]

    def work() -> None:
        found.extend(shred(texts_of(page)) for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 15
    assert len({tuple(name for name in result.columns) for result in found}) == 1
    assert {known.key: known.rows for known in shred.catalogue.properties}["k0"] == 300 * 15
    for result in found:
        compare(page, result, shred.catalogue)


def test_bytes_behind_a_null_are_nothing() -> None:
    sound = texts_of(['{"key":1}', '{"key":2}'])
    null = pa.Array.from_buffers(pa.string(), 2, [pa.py_buffer(b"\x02"), *sound.buffers()[1:]])
    assert null.to_pylist() == [None, '{"key":2}']
    assert [column.to_pylist() for column in shredder()(null).columns.values()] == [[None, 2]]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_any_array_of_texts(kind: pa.DataType) -> None:
    page = pa.chunked_array(
        [pa.array(["[]", '{"key":"x"}'], kind).slice(1), pa.array([], kind), pa.array(["{}"], kind)]
    )
    assert shredder()(page).columns["key"].to_pylist() == ["x", None]


@pytest.mark.parametrize("number", ["1.10", "1E5", "-0.0", "1e400", "123456789012345678901234567890.0"])
def test_numbers_keep_their_spelling_in_texts(number: str) -> None:
    result = shredder(piece_bytes=10_000)(texts_of([f'{{"key":{number}}}', '{"key":"word"}', '{"key": [1.50]}']))
    assert result.columns["key"].to_pylist()[:2] == [number, "word"]


@pytest.mark.parametrize("spaces", [" ", "\t\r\n "])
def test_numbers_keep_their_spelling_between_spaces(spaces: str) -> None:
    tokens = ("{", '"key"', ":", "9007199254740993.0", ",", '"list"', ":", "[", "1.10", ",", '" , \\" : "', "]", "}")
    result = shredder(piece_bytes=10_000)(texts_of([spaces.join(tokens), '{"key":"word"}']))
    assert result.columns["key"].to_pylist() == ["9007199254740993.0", "word"]
    assert result.columns["list"].to_pylist() == ['[1.10," , \\" : "]', None]


def test_text_that_is_no_json_has_no_properties_and_hurts_no_other() -> None:
    page = ['{"key":1}', "{broken", "", '{"key":"\\ud83d"}']
    shred = shredder(piece_bytes=10_000)
    result = shred(texts_of(page))
    assert [column.to_pylist() for column in result.columns.values()] == [["1", None, None, "\ufffd"]]
