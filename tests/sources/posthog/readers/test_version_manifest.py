"""The manifest tells which keys changed, and nothing that changed is left out."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from posthog_warehouse.sources.posthog.readers.version_manifest import (
    FEWEST_BUCKETS,
    MOST_BUCKETS,
    Manifest,
    buckets_for,
    changed_keys,
)
from posthog_warehouse.sources.posthog.tables import PERSON_DISTINCT_IDS, PERSONS, Table

sums = st.dictionaries(st.integers(0, 255), st.integers(1, 2**64 - 1), max_size=40)
versions = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
    st.tuples(st.integers(0, 2**63 - 1), st.booleans()),
    max_size=12,
)


def manifest(checksums: dict[int, int], buckets: int = 256) -> Manifest:
    return Manifest(buckets, checksums, dict.fromkeys(checksums, 1), len(checksums))


@given(sums, sums)
def test_buckets_that_changed_are_named_after_a_round_through_the_state(
    then: dict[int, int], now: dict[int, int]
) -> None:
    changed = manifest(now).changed_since(manifest(then).to_state())
    assert changed == [bucket for bucket in range(256) if then.get(bucket) != now.get(bucket)]


def test_other_buckets_than_then_are_all_changed() -> None:
    saved = manifest({1: 1}, 512).to_state()
    assert manifest({3: 7, 5: 9}).changed_since(saved) == [3, 5]
    # A server without hashes had none.
    assert manifest({3: 7}).changed_since({"buckets": 0}) == [3]


@given(st.integers(0, 10**10))
def test_buckets_are_a_power_of_two_with_few_keys_each(keys: int) -> None:
    buckets = buckets_for(keys)
    assert FEWEST_BUCKETS <= buckets <= MOST_BUCKETS
    assert buckets & (buckets - 1) == 0
    assert keys / buckets <= 400 or buckets == MOST_BUCKETS


def test_growth_within_eightfold_keeps_the_buckets() -> None:
    for keys, fits in ((100, True), (256 * 200 * 7, True), (256 * 200 * 20, False)):
        assert Manifest(256, {0: 1}, {0: keys}, keys).fits is fits


def table_of(table: Table, rows: dict[str, tuple[int, bool]]) -> list[pa.Table]:
    chunks = []
    items = list(rows.items())
    for start in range(0, len(items), 5):
        part = items[start : start + 5]
        chunks.append(
            pa.table(
                {
                    table.key: pa.array([key for key, _ in part], pa.string()),
                    "version": pa.array([value[0] for _, value in part], pa.int64()),
                    "is_deleted": pa.array([value[1] for _, value in part], pa.bool_()),
                }
            )
        )
    return chunks


@settings(max_examples=40, deadline=None)
@given(versions, versions)
def test_changed_keys_are_those_whose_version_or_deletion_differs(
    remote: dict[str, tuple[int, bool]], known: dict[str, tuple[int, bool]]
) -> None:
    def ours(table: Table) -> Iterable[pa.Table]:
        return table_of(table, known)

    expected = {
        key
        for key, (version, is_deleted) in remote.items()
        # Deleted there and never here: nothing to do.
        if (known[key] != (version, is_deleted) if key in known else not is_deleted)
    }
    for table in (PERSONS, PERSON_DISTINCT_IDS):
        changed = changed_keys(table, iter(table_of(table, remote)), ours)
        assert set(changed) == expected
        assert len(changed) == len(set(changed))


def test_rows_without_a_version_are_changed_unless_they_were_never_here() -> None:
    schema = pa.schema([("person_id", pa.string()), ("version", pa.int64()), ("is_deleted", pa.bool_())])

    def rows(*rows: tuple[str, int | None, bool]) -> list[pa.Table]:
        return [pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)]

    remote = rows(("a", 1, False), ("b", 2, True), ("c", 3, True), ("d", 4, False))
    known = rows(("a", None, False), ("b", None, False), ("d", 4, False))
    assert changed_keys(PERSONS, remote, lambda _: known) == ["a", "b"]
