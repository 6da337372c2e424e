"""Columns that are made anew say what they still do not hold."""

from __future__ import annotations

import pyarrow as pa

from posthog_warehouse.sources.posthog.properties import Catalogue, ColumnRules, Shredder
from posthog_warehouse.sources.posthog.properties.retyping import Retyping
from posthog_warehouse.sources.posthog.tables import EVENTS

FIRST = ['{"price": 1, "n": 1}']
LATER = ['{"price": 1.5, "n": 1.5}', '{"price": "much", "n": 2}', '{"price": "more"}']


def test_values_that_what_posthog_declares_rules_out_stay_conflicts() -> None:
    catalogue = Catalogue(EVENTS.name, definitions={"price": "Numeric"})
    for page in (FIRST, LATER):
        Shredder(catalogue)(pa.array(page))
    assert {known.key: known.conflicts for known in catalogue.properties} == {"price": 3, "n": 1}

    retyping = Retyping(EVENTS, ColumnRules(), state=catalogue.state(), held={"price": "bigint", "n": "bigint"})
    types = retyping.widened()
    assert types == {"price": "double", "n": "double"}
    (made,) = retyping.pages([pa.table({"uuid": ["a", "b", "c", "d"], "properties": FIRST + LATER})], types)
    assert made.column("price").to_pylist() == [1.0, 1.5, None]
    assert {known.key: known.conflicts for known in retyping.catalogue.properties} == {"price": 2, "n": 0}
