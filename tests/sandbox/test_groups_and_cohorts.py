"""Groups and cohorts of generated data, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from posthog_warehouse.sandbox import changes, cohorts, groups
from posthog_warehouse.sandbox.clock import Clock
from posthog_warehouse.sandbox.generator import Dataset, generate
from posthog_warehouse.sandbox.store import Store
from tests.sandbox.conftest import NOW


@pytest.fixture(scope="module")
def store(clickhouse: Store) -> Iterator[Store]:
    """A store of one's own with a small project."""
    del clickhouse  # started first: one process has one ClickHouse
    made = Store(Clock(NOW))
    generate(made, Dataset(events=2_000, persons=400, seed=11, until=NOW, days=10))
    yield made
    made.close()


def test_groups_are_those_that_events_name(store: Store) -> None:
    assert (
        store.scalar(
            "SELECT count() FROM events WHERE `$group_0` != '' AND `$group_0` NOT IN "
            "(SELECT group_key FROM groups WHERE group_type_index = 0)"
        )
        == 0
    )
    assert changes.counts(store)["groups"] == sum(groups.COUNTS)
    ties = store.scalar("SELECT max(c) FROM (SELECT count() AS c FROM groups GROUP BY _timestamp)")
    assert int(ties or 0) > 50


def test_groups_change_and_come(store: Store) -> None:
    clock = Clock(NOW + timedelta(hours=1))
    before = changes.counts(store)["groups"]
    touched = groups.update_groups(store, clock, 20)
    assert len(touched) == 22
    assert changes.counts(store)["groups"] == before + 2
    rows = store.rows(
        "SELECT DISTINCT concat(toString(group_type_index), '/', group_key) FROM groups "
        f"WHERE _timestamp >= toDateTime('{NOW + timedelta(minutes=59):%Y-%m-%d %H:%M:%S}', 'UTC')"
    )
    assert {row[0] for row in rows} == set(touched)


def test_members_are_live_persons_and_follow_them(store: Store) -> None:
    counts = cohorts.members(store)
    assert counts[104] == 0
    assert all(count for cohort, count in counts.items() if cohort != 104)
    assert sum(counts.values()) == changes.counts(store)["cohort_people"]
    changes.delete_persons(store, Clock(NOW), 100)
    assert cohorts.members(store) == counts
    again = cohorts.recalculate_cohorts(store, Clock(NOW), 9)
    assert again == [cohort.id for cohort in cohorts.COHORTS if not cohort.is_static]
    after = cohorts.members(store)
    assert after[102] < counts[102]
    assert after[105] == counts[105]
