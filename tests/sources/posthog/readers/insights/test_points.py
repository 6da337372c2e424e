"""Results taken apart: whatever a server answers, rows have real keys, or the insight fails with words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.errors import AnswerMalformed
from posthog_warehouse.sources.posthog.readers.insights.definitions import Definition
from posthog_warehouse.sources.posthog.readers.insights.points import gone, points
from posthog_warehouse.sources.posthog.tables import TABLES
from posthog_warehouse.sources.posthog.tables.insights import POINTS, Shape

KINDS: dict[Shape, str] = {
    "trends": "TrendsQuery",
    "funnel_steps": "FunnelsQuery",
    "retention": "RetentionQuery",
    "paths": "PathsQuery",
    "correlation": "FunnelCorrelationQuery",
}


def definition(shape: Shape) -> Definition:
    return Definition("7", "it", KINDS[shape], "saved", {}, node={"kind": KINDS[shape]})


def columns(shape: Shape) -> set[str]:
    return {column.name for column in TABLES[POINTS[shape]].columns}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)

likely = st.fixed_dictionaries(
    {},
    optional={
        "data": st.lists(st.integers(0, 5) | st.floats(0, 9) | st.none(), max_size=3) | json_values,
        "days": st.lists(st.sampled_from(["2026-11-01", "2026-11-01 10:00:00", 3]), max_size=3) | json_values,
        "labels": st.lists(st.text(max_size=3), max_size=3) | json_values,
        "action": st.fixed_dictionaries({"order": st.integers(0, 2)}) | st.none() | json_values,
        "aggregated_value": st.floats(0, 9) | json_values,
        "breakdown_value": st.sampled_from(["a", "a::b", ["a", "b"], ["a::b", ""], None, 3, [None]]) | json_values,
        "compare_label": st.sampled_from(["current", "previous"]) | json_values,
        "order": st.integers(0, 3) | json_values,
        "count": st.integers(0, 9) | json_values,
        "values": st.lists(st.fixed_dictionaries({"count": st.integers(0, 9)}), max_size=3) | json_values,
        "date": st.sampled_from(["2026-11-01T00:00:00Z", "2026-11-01", None]) | json_values,
        "source": st.sampled_from(["1_a", "2_b_c", "x"]) | json_values,
        "target": st.sampled_from(["2_a", "3_"]) | json_values,
        "value": st.integers(0, 9) | json_values,
        "event": st.fixed_dictionaries({"event": st.text(max_size=3)}) | json_values,
        "success_count": st.integers(0, 9),
        "failure_count": st.integers(0, 9),
    },
)


@settings(deadline=None)
@given(
    shape=st.sampled_from(sorted(KINDS)),
    results=st.lists(likely, max_size=4)
    | st.lists(st.lists(likely, max_size=3), max_size=3)
    | st.builds(lambda events: {"events": events, "skewed": False}, st.lists(likely, max_size=3))
    | json_values,
)
def test_rows_have_real_keys_and_known_columns_or_there_are_none(shape: Shape, results: Any) -> None:
    try:
        rows = points(definition(shape), results, "Europe/Berlin")
    except AnswerMalformed:
        return
    keys = TABLES[POINTS[shape]].keys
    assert len({tuple(row[key] for key in keys) for row in rows}) == len(rows)
    for row in rows:
        assert set(row) <= columns(shape)
        assert all(row[key] is not None for key in keys)
        json.dumps(row)


@pytest.mark.parametrize("shape", sorted(KINDS))
@pytest.mark.parametrize("results", [7, [1], [{"values": 3, "order": "x"}], {"rows": []}, None])
def test_other_results_are_told(shape: Shape, results: Any) -> None:
    with pytest.raises(AnswerMalformed, match=KINDS[shape]):
        points(definition(shape), results, "UTC")


@pytest.mark.parametrize("shape", sorted(KINDS))
def test_what_takes_an_insight_out_has_the_whole_key(shape: Shape) -> None:
    row = gone("7", shape)
    assert set(row) == {*TABLES[POINTS[shape]].keys, "is_gone"}
    assert row["is_gone"] is True


def test_an_unknown_time_zone_is_utc() -> None:
    result = {"data": [1], "days": ["2026-11-01"], "labels": ["1-Nov-2026"]}
    (row,) = points(definition("trends"), [result], "Mars/Olympus")
    assert row["starts_at"] == "2026-11-01T00:00:00+00:00"


def test_values_that_would_look_alike_are_told_apart() -> None:
    steps = [
        [{"order": 0, "count": 1, "breakdown_value": value}] for value in (["a::b", "c"], ["a", "b::c"], ["a", "b"])
    ]
    rows = points(definition("funnel_steps"), steps, "UTC")
    assert [row["breakdown"] for row in rows] == ['["a::b","c"]', '["a","b::c"]', "a::b"]
