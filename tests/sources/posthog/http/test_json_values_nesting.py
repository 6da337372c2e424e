"""What is nested deeper than JSON is read or written: found, taken out and written, in whatever place it stands."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.http.json_values import (
    READABLE,
    WRITABLE,
    NestedText,
    canonical,
    deep_values,
    is_deeper,
    json_text,
)
from posthog_warehouse.sources.posthog.http.response_body import decode, decode_rows, fields_of
from posthog_warehouse.sources.posthog.pages.json_text import parsable
from posthog_warehouse.sources.posthog.readers.rest.rows import Shape
from posthog_warehouse.sources.posthog.tables import TABLES

_TRICKY = r'"]} [{ \" \\"'


def lists(levels: int) -> str:
    return "[" * levels + _TRICKY + "]" * levels


def objects(levels: int) -> str:
    return '{"a": ' * levels + _TRICKY + "}" * levels


@pytest.mark.parametrize("nested", [lists, objects])
@pytest.mark.parametrize("levels", [255, 1_000, 1_023, 1_024, 50_000])
@pytest.mark.parametrize(
    ("document", "way"),
    [
        ('{"results": [{"value": %s, "id": 1}, {"id": 2}]}', ("results", 0, "value")),
        ('[{"value": %s, "id": 1}]', (0, "value")),
        ('{"results": [[1, %s], [2, 3]]}', ("results", 0, 1)),
        ('{"id": 1, "value": %s}', ("value",)),
    ],
)
def test_the_value_of_a_row_becomes_its_text(nested: Any, levels: int, document: str, way: tuple[Any, ...]) -> None:
    text = nested(levels)
    if way == ("value",) and nested is lists:
        text = f'{{"in": {text}}}'  # else it could be a list of rows
    found = decode((document % text).encode(), "/")
    shallow = json.loads(document % '"value"')
    for step in way:
        found, shallow = found[step], shallow[step]
    assert isinstance(found, NestedText)
    assert found == text
    whole = decode((document % text).encode(), "/")
    assert json.loads(json.dumps(whole).replace(json.dumps(text), '"value"')) == json.loads(document % '"value"')


@pytest.mark.parametrize("levels", [1, 200, WRITABLE - 3])
def test_what_can_be_written_again_stays_what_it_is(levels: int) -> None:
    document = f'{{"results": [{{"value": {lists(levels)}}}]}}'
    assert decode(document.encode(), "/") == json.loads(document)


def test_rows_are_as_deep_as_python_goes() -> None:
    document = f'{{"results": [[{lists(600)}]]}}'.encode()
    assert json_text(decode_rows(document, "/")["results"][0][0]) == lists(600)


def test_nearly_json_is_read_leniently_around_what_is_deep() -> None:
    body = f'{{"results": [{{"n": NaN, "s": "\\ud83d", "big": {2**70}, "value": {lists(600)}}}]}}'.encode()
    assert decode(body, "/") == {"results": [{"n": None, "s": "\ufffd", "big": 2**70, "value": lists(600)}]}


@pytest.mark.parametrize("text", [objects(700), objects(1_030), objects(20_000), '{"a": 1}', None])
def test_an_object_as_text_keeps_its_fields(text: str | None) -> None:
    found = fields_of(text, "/")
    assert text is None or list(found) == ["a"]


@given(st.recursive(st.none() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_levels_are_counted_and_found_alike(value: Any) -> None:
    text = json.dumps(value).encode()
    deepest = next(levels for levels in range(100) if not is_deeper(value, levels))
    for most in range(deepest + 2):
        found = list(deep_values(text, most, 0))
        assert found == ([(0, len(text))] if most < deepest else [])
    for start, stop in deep_values(text, max(1, deepest - 1), 1):
        assert json.loads(text[start:stop]) in (value.values() if isinstance(value, dict) else value)


@pytest.mark.parametrize("levels", [300, 990, 3_000, 20_000])
def test_any_depth_is_written(levels: int) -> None:
    value: Any = "x"
    for level in range(levels):
        value = [1, value, None] if level % 2 else {"b": value, "a": 2**70}
    assert json_text(value).count("{") == json_text(value).count("}") == canonical(value).count(b"}") == levels // 2
    if levels < 900:
        assert json.loads(json_text(value)) == json.loads(canonical(value)) == value
    assert canonical(value).index(b'"a"') < canonical(value).index(b'"b"')


@pytest.mark.parametrize("levels", [READABLE + 1, 30_000])
def test_a_deep_field_of_properties_is_text_and_the_others_are_as_they_were(levels: int) -> None:
    sound = ['{"a": [1]}', None, "{" + '"b": "' + "[" * 12_000 + '"}', "[" * READABLE + "]" * READABLE]
    deep = f'{{"a": {lists(levels)}, "b": 1.10, "c": {objects(5)}}}'
    found = parsable(pa.chunked_array([[*sound, deep], [deep], sound], pa.string())).to_pylist()
    assert found[:4] == found[6:] == sound
    assert json.loads(found[4]) == {"a": lists(levels), "b": 1.1, "c": json.loads(objects(5))}
    assert "1.10" in found[4]
    assert found[4] == found[5]
    assert json.loads(parsable(pa.array([lists(levels)]))[0].as_py()) == lists(levels)


def test_a_field_that_is_first_seen_as_such_a_text_holds_json() -> None:
    shape = Shape(TABLES["cohorts"], {})
    rows = decode(f'[{{"id": 1, "new": {lists(300)}}}, {{"id": 2, "new": {{"a": 1}}}}]'.encode(), "/")
    first, second = (shape.row(row, {}) for row in rows)
    assert (json.loads(json.loads(first["new"])), second["new"]) == (lists(300), {"a": 1})
    assert shape.types["new"] == "json"
    assert not shape.notes
