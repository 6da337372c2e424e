"""PostHog's own grammar, loaded without PostHog."""

from __future__ import annotations

import sys

import pytest

from posthog_warehouse.sandbox.hogql import HogQLError
from posthog_warehouse.sandbox.hogql.parser import parse_select


def test_the_tree_is_the_grammars() -> None:
    tree = parse_select("select event from events where event = 'a'")
    assert tree["node"] == "SelectQuery"
    assert tree["where"]["op"] == "=="
    assert tree["select"][0]["chain"] == ["event"]


def test_no_part_of_posthog_is_left_behind() -> None:
    parse_select("select 1")
    assert not [name for name in sys.modules if name == "posthog" or name.startswith("posthog.")]


def test_errors_say_where() -> None:
    with pytest.raises(HogQLError) as refused:
        parse_select("select 1 from (")
    assert refused.value.code == "hogql_syntax_error"
    assert refused.value.start is not None


@pytest.mark.parametrize("text", ["select 1 settings max_threads = 1", "select 0o17"])
def test_what_the_grammar_knows_and_posthog_refuses(text: str) -> None:
    with pytest.raises(HogQLError):
        parse_select(text)
