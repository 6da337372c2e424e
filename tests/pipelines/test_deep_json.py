"""A value nested deeper than JSON is read or written anywhere is there as text, and everything else as always."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog import CORE, TABLES
from posthog_warehouse.sources.posthog.http.json_values import READABLE
from tests.pipelines.elsewhere import Elsewhere
from tests.pipelines.test_sync import Warehouse, keys_of, warehouse  # noqa: F401 - the fixture
from tests.sandboxes import started

_LEVELS = (10, 254, 255, 1_000, 1_023, 4_010, 100_000)
_LIST = "[" * 5_000 + "]" * 5_000
_TABLES = (*CORE.values(), TABLES["feature_flags"])


def _nested(levels: int) -> str:
    """Objects and lists in each other, with what a reader could stumble over inside: brackets and quotes in a text."""
    return '{"a": [' * (levels // 2) + r'"]} \" \\"' + "]}" * (levels // 2)


def _flag(number: int, filters: str) -> str:
    return f'{{"id": {number}, "key": "flag-{number}", "name": "", "active": true, "filters": {filters}}}'


@pytest.fixture(scope="module")
def deep() -> Iterator[Sandbox]:
    """Feature flags and events of which some values are nested too deeply, the first of each among them."""
    with started(events=40, persons=5, seed=1, days=2) as posthog:
        rows = [_flag(10 * levels, _nested(levels)) for levels in reversed(_LEVELS)]
        rows += [_flag(1, '{"groups": [{"rollout_percentage": 50}]}')]
        body = f'{{"count": {len(rows)}, "next": null, "previous": null, "results": [{", ".join(rows)}]}}'
        posthog.add_fault(
            "status", status=200, body=body, content_type="application/json", path="/feature_flags/", always=True
        )
        for levels in _LEVELS:
            properties = f'{{"depth": {levels}, "deep": {_nested(levels)}, "rest": "text"}}'
            posthog.add_events(1, timestamp=posthog.now(), event=f"deep {levels}", properties=properties)
        posthog.add_events(1, timestamp=posthog.now(), event="deep list", properties=_LIST)
        posthog.advance_clock(3_600)
        yield posthog


@pytest.mark.parametrize("elsewhere", ["parquet", "postgres"], indirect=True)
def test_a_value_that_is_nested_too_deeply_costs_nothing_but_itself(elsewhere: Elsewhere, deep: Sandbox) -> None:
    _sync_and_compare(elsewhere, deep)


def test_a_value_that_is_nested_too_deeply_costs_nothing_but_itself_in_duckdb(
    warehouse: Warehouse,  # noqa: F811 - the fixture
    deep: Sandbox,
) -> None:
    _sync_and_compare(warehouse, deep)
    found = warehouse.rows("SELECT json_structure(filters::JSON), json_pretty(filters::JSON) FROM feature_flags")
    assert len(found) == len(_LEVELS) + 1
    assert len(warehouse.rows("SELECT json_structure(properties::JSON), json_pretty(properties::JSON) FROM events")) > 8


def _sync_and_compare(destination: Warehouse, posthog: Sandbox) -> None:
    result = destination.sync(posthog, tables=_TABLES)
    assert {check.table: check.status for check in result.checks} == {table.name: "complete" for table in _TABLES}
    assert not result.notes
    assert destination.keys("events") == keys_of(posthog, "events")

    flags = "feature_flags" if destination.path.exists() else "{feature_flags}"
    texts = dict(destination.rows(f"SELECT id, CAST(filters AS VARCHAR) FROM {flags}"))
    assert json.loads(texts.pop(1)) == {"groups": [{"rollout_percentage": 50}]}
    for levels in _LEVELS:
        value = json.loads(texts.pop(10 * levels))
        assert (value == _nested(levels)) if levels > 250 else (value == json.loads(_nested(levels)))
    assert not texts

    events = "events" if destination.path.exists() else "{events}"
    sql = f"SELECT depth, rest, CAST(properties AS VARCHAR) FROM {events} WHERE event LIKE 'deep %'"
    for depth, rest, text in destination.rows(sql):
        if depth is None:
            assert json.loads(text) == _LIST
            continue
        assert rest == "text"
        if depth < READABLE:
            assert text.replace(" ", "") == _properties(depth).replace(" ", "")
        else:
            assert json.loads(text) == {"depth": depth, "deep": _nested(depth), "rest": "text"}


def _properties(levels: int) -> str:
    return f'{{"depth": {levels}, "deep": {_nested(levels)}, "rest": "text"}}'
