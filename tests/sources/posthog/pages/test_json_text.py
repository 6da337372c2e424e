"""Whatever text stands where JSON should: DuckDB parses what comes out, and nothing is lost."""

from __future__ import annotations

import json

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.pages.json_text import parsable


def mended(text: str | None) -> str | None:
    result: str | None = parsable(pa.array([text], pa.string()))[0].as_py()
    return result


def test_sound_texts_and_null_stay_as_they_are() -> None:
    texts = pa.array(['{"a": 1e400, "b": [null], "a": 2}', None, '"\\ud83d\\ude00"', "null"], pa.string())
    assert parsable(texts).equals(texts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('{"a":"\\ud83d"}', '{"a":"\\ufffd"}', id="high surrogate alone"),
        pytest.param('{"a":"x\\udE00y"}', '{"a":"x\\ufffdy"}', id="low surrogate alone"),
        pytest.param('{"a":"\\ud83d\\ude00\\ud83d"}', '{"a":"\\ud83d\\ude00\\ufffd"}', id="a pair and a half"),
        pytest.param('{"a":"\\ud83d","b":"\\\\ud83d"}', '{"a":"\\ufffd","b":"\\\\ud83d"}', id="escaped backslash"),
        pytest.param('{"a":"one\ntwo"}', '{"a":"one\\u000atwo"}', id="bare newline"),
        pytest.param("", '""', id="empty"),
        pytest.param('{"a":1} tail', '"{\\"a\\":1} tail"', id="no JSON"),
    ],
)
def test_unsound_texts_are_mended(text: str, expected: str) -> None:
    assert mended(text) == expected


def test_only_the_unsound_rows_of_a_page_change() -> None:
    page = pa.array(['{"a":1}', '{"a":"\\ud83d"}', None, '{"a":3}'], pa.string())
    expected = ['{"a":1}', '{"a":"\\ufffd"}', None, '{"a":3}']
    assert parsable(page).to_pylist() == expected
    pieces = pa.chunked_array([page.slice(3), page, page.slice(2, 0), page.slice(1, 2)])
    assert parsable(pieces).to_pylist() == [*expected[3:], *expected, *expected[1:3]]


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_becomes_json_that_duckdb_takes(text: str) -> None:
    result = mended(text)
    assert result is not None
    assert duckdb.execute("SELECT json_valid(?)", [result]).fetchone() == (True,)
    assert result == text or json.loads(result) == text or json.loads(result) == json.loads(text, strict=False)


@given(st.dictionaries(st.text(max_size=5), st.text(st.characters(), max_size=10), max_size=4))
def test_objects_with_any_characters_keep_their_keys(value: dict[str, str]) -> None:
    text = json.dumps(value)  # escapes lone surrogates just as JavaScript does
    result = mended(text)
    assert result is not None
    assert len(json.loads(result)) <= len(value)
    if "\\ud" not in text:
        assert json.loads(result) == value
