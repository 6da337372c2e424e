"""Elements are what PostHog wrote into the chain; nothing of a chain is lost, however wild."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.pages.elements_chain import elements_of
from tests.sources.posthog.pages.slow_elements import EMPTY, read, written


def parsed(*chains: str | None) -> list[list[dict[str, Any]]]:
    """The elements of each chain; places and keys are looked at on the way."""
    uuids = [f"u{row}" for row in range(len(chains))]
    table = elements_of(pa.chunked_array([uuids], pa.string()), pa.chunked_array([chains], pa.string())).table
    table.validate(full=True)
    found: dict[str, list[dict[str, Any]]] = {uuid: [] for uuid in uuids}
    for row in table.to_pylist():
        elements = found[row.pop("event_uuid")]
        assert row.pop("position") == len(elements)
        row["classes"] = row["classes"] and json.loads(row["classes"])
        row["attributes"] = json.loads(row["attributes"])
        elements.append(row)
    return list(found.values())


def element(**columns: Any) -> dict[str, Any]:
    return {**EMPTY, "attributes": {}, **columns}


@pytest.mark.parametrize("chain", [None, "", ";", ";;"])
def test_no_chain_has_no_elements(chain: str | None) -> None:
    assert parsed("a:", chain, "b:") == [[element(tag="a:")], [], [element(tag="b:")]]


def test_a_chain_as_the_browser_sends_it() -> None:
    chain = (
        'a.btn.btn-primary:attr__class="btn btn-primary"attr__href="/x;y?a=b:c"attr_id="go"href="/x;y?a=b:c"'
        'nth-child="2"nth-of-type="1"text="Say \\"hi\\"; then\ngo";body:nth-child="2"nth-of-type="0"'
    )
    assert parsed(chain) == [
        [
            element(
                tag="a",
                text='Say "hi"; then\ngo',
                href="/x;y?a=b:c",
                id="go",
                classes=["btn", "btn-primary"],
                nth_child=2,
                nth_of_type=1,
                attributes={"attr__class": "btn btn-primary", "attr__href": "/x;y?a=b:c"},
            ),
            element(tag="body", nth_child=2, nth_of_type=0),
        ]
    ]


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ('.card:nth-child="1"', element(classes=["card"], nth_child=1)),
        (':text="x"', element(text="x")),
        (
            'div.md:flex.hover:x:attr__id="1"',
            element(tag="div", classes=["md:flex", "hover:x"], attributes={"attr__id": "1"}),
        ),
        (
            'a:attr__:href="u"attr__@click="go()"',
            element(tag="a", attributes={"attr__:href": "u", "attr__@click": "go()"}),
        ),
        ('a.größe.🎉:text="ü"', element(tag="a", classes=["größe", "🎉"], text="ü")),
        ('a.w-1.5:text=""', element(tag="a", classes=["w-1", "5"], text="")),
        ('a:text="C:\\\\temp\\x"', element(tag="a", text="C:\\\\temp\\x")),
        ('a:text="\\\\"x"', element(tag="a", text='\\"x')),
        (
            'a:nth-child="odd"nth-of-type="99999999999999999999"',
            element(tag="a", attributes={"nth-child": "odd", "nth-of-type": "99999999999999999999"}),
        ),
        ('a:attr__a\\"b="c\x00\t\u2028"', element(tag="a", attributes={'attr__a"b': "c\x00\t\u2028"})),
        ("div.a", element(tag="div", classes=["a"])),
    ],
)
def test_corners(chain: str, expected: dict[str, Any]) -> None:
    assert parsed('b:text="1"', chain, "") == [[element(tag="b", text="1")], [expected], []]
    assert parsed(f"{chain};{chain}") == [[expected, expected]]


@pytest.mark.parametrize(
    "chain",
    ['a:text="cut of', 'a"b"', 'a:text="x"rest', 'a:b"x"', 'a:="1"="2"', 'a:k="1"k="2"', '"', "a:key=1", 'a:(x="1"'],
)
def test_what_cannot_be_read_is_kept_and_counted(chain: str) -> None:
    whole = 'p:text="1"'
    found = elements_of(
        pa.chunked_array([["u", "v"]], pa.string()), pa.chunked_array([[f"{whole};{chain}", whole]], pa.string())
    )
    assert found.broken == 1
    raw = element(attributes={"$elements_chain": chain})
    assert parsed(f"{whole};{chain}", whole) == [[element(tag="p", text="1"), raw], [element(tag="p", text="1")]]


def test_an_array_that_is_a_part_of_another() -> None:
    uuids = pa.chunked_array([["a", "b", "c", "d"]], pa.string())
    chains = pa.chunked_array([["x:", 'y:text="\\""', 'z:text="1"', 'w:text="2"']], pa.string())
    found = elements_of(uuids.slice(1, 2), chains.slice(1, 2)).table
    assert found.column("event_uuid").to_pylist() == ["b", "c"]
    assert found.column("text").to_pylist() == ['"', "1"]


texts = st.text(st.sampled_from('ab";:.=\\\n é🎉\x01{}') | st.characters(codec="utf-8"), max_size=12)
# A value that ends with a backslash is written like one that goes on.
values = texts.filter(lambda text: not text.endswith("\\"))
names = st.text(st.sampled_from("abcXYZ-_019éü🎉:[]() /"), max_size=8)
written_elements = st.builds(
    element,
    # White space, dots, `;` or `=` in a tag or class are not told from the syntax by any reader.
    tag=st.sampled_from(["a", "button", "my-tag", "svg"]) | st.none(),
    classes=st.lists(names.filter(lambda name: ":attr__" not in name and name), min_size=1, max_size=3) | st.none(),
    text=values.filter(bool) | st.none(),
    href=values.filter(bool) | st.none(),
    id=values.filter(bool) | st.none(),
    nth_child=st.integers(0, 10**6),
    nth_of_type=st.integers(0, 10**6),
    attributes=st.dictionaries(
        st.builds("attr__{}".format, st.text(st.sampled_from('abc-:@.é"[ '), max_size=6)), values, max_size=4
    ),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.lists(written_elements, max_size=5), max_size=4))
def test_what_was_written_is_read(chains: list[list[dict[str, Any]]]) -> None:
    expected = [
        [{**each, "classes": each["classes"] and sorted(each["classes"])} for each in elements] for elements in chains
    ]
    assert parsed(*map(written, chains)) == expected


pieces = st.sampled_from(
    ['"', '\\"', "\\", ";", ":", ".", "=", '="', '":', '";', "a", "attr__", 'text="x"', "nth-child", "\n", "é", "1"]
)
wild = st.lists(pieces, max_size=14).map("".join)


@settings(max_examples=150, deadline=None)
@given(st.lists(wild | texts, min_size=1, max_size=6))
@example(["\\", '"a:text="x"'])
@example(["", 'a:="1"', 'a:="1"'])
def test_wild_texts_are_read_as_by_hand(chains: list[str]) -> None:
    expected = [read(chain) for chain in chains]
    assert parsed(*chains) == expected
    count = sum("$elements_chain" in each["attributes"] for chain in expected for each in chain)
    uuids = pa.chunked_array([[str(row) for row in range(len(chains))]], pa.string())
    assert elements_of(uuids, pa.chunked_array([chains], pa.string())).broken == count
