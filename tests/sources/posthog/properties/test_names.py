"""Names of columns: readable, unique, and the same whichever key came first."""

from __future__ import annotations

import itertools

import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.properties.names import MAX_LENGTH, Names, bare_name, path_key
from tests.sources.posthog.properties.documents import KEYS

TAKEN = ("uuid", "event", "properties")
ANY_KEYS = st.lists(st.one_of(st.sampled_from(KEYS), st.text(max_size=6)), unique=True, max_size=8)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("$browser", "_browser"),
        ("plan", "plan"),
        ("select", "select"),
        ("a_b", "a_b"),
    ],
)
def test_owners_have_their_bare_names(key: str, name: str) -> None:
    assert Names(TAKEN, {}).name(key) == name


@pytest.mark.parametrize("key", ["Plan", "a.b", "a__b", "_browser", "uuid", "_dlt_id", "", "😀", "12", "x" * 300])
def test_others_have_a_hash_of_the_key(key: str) -> None:
    names = Names(TAKEN, {})
    name = names.name(key)
    assert name != bare_name(key)
    assert name == Names(TAKEN, {}).name(key) == names.name(key)
    assert not name.startswith("_dlt")


def test_listed_keys_are_settled_together() -> None:
    names = Names(TAKEN, {}, ["Plan", "a.b", "a_b", "_kx", "First Name"])
    assert [names.name(key) for key in ("Plan", "a_b", "_kx", "First Name")] == ["plan", "a_b", "_kx", "first_name"]
    assert names.name("a.b").startswith("a_b_x")
    assert names.name("plan").startswith("plan_x")


def test_keys_inside_of_objects_are_named_as_dlt_names_them() -> None:
    names = Names(TAKEN, {})
    assert names.name(path_key(["address", "city"])) == "address__city"
    assert names.name(path_key(["$set", "email"])) == "_set__email"
    assert names.name(path_key(["$set", "E mail"])).startswith("_set__e_mail_x")
    for parts in (["address", "city"], ["$set", "email"], ["a", "$b"], ["x" * 40, "y" * 40], ["a b", "c"], ["", "😀"]):
        name = names.name(path_key(parts))
        assert name == NamingConvention().normalize_path(name)
        assert len(name) <= MAX_LENGTH


def test_a_recorded_name_stays() -> None:
    names = Names(TAKEN, {"Plan": "plan", "old": "older"}, ["plan", "Plan"])
    assert names.name("Plan") == "plan"
    assert names.name("plan").startswith("plan_x")
    assert names.name("old") == "older"


@settings(max_examples=200)
@given(ANY_KEYS, ANY_KEYS)
def test_names_are_unique_and_what_dlt_would_make_of_them(keys: list[str], listed: list[str]) -> None:
    names = Names(TAKEN, {}, listed)
    found = [names.name(key) for key in keys]
    assert len({*found, *TAKEN}) == len(found) + len(TAKEN)
    for name in found:
        assert name == NamingConvention().normalize_identifier(name)
        assert 0 < len(name) <= MAX_LENGTH
        assert not name.startswith("_dlt")


@settings(max_examples=100)
@given(st.lists(st.sampled_from(KEYS), unique=True, max_size=4), ANY_KEYS)
def test_order_does_not_matter(keys: list[str], listed: list[str]) -> None:
    outcomes: set[tuple[str, ...]] = set()
    for order in itertools.permutations(keys):
        names = Names(TAKEN, {}, reversed(listed) if outcomes else listed)
        found = {key: names.name(key) for key in order}
        outcomes.add(tuple(found[key] for key in keys))
    assert len(outcomes) == 1
