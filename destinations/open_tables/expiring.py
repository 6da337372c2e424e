"""What of an Iceberg table is of no use any more: old snapshots, and files that no snapshot names.

A snapshot is of use to whoever began to read while it was the table: its age counts from when another took its place. A
file goes when it is as old as that, and neither a snapshot that is left nor the newest metadata file names it. So the
files of snapshots that are gone go, and those that a killed run left; and what is not done when the program dies is
found by the next one in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from itertools import pairwise

from pyiceberg.table import Table
from pyiceberg.table.metadata import TableMetadata

AGE = "history.expire.max-snapshot-age-ms"
"""The property of a table that says how old its snapshots become."""

DEFAULT_AGE = timedelta(days=7)
"""As Delta tables have it."""


def cutoff_of(metadata: TableMetadata, now: datetime | None = None) -> datetime:
    """What ended before that is of no use any more."""
    given = metadata.properties.get(AGE)
    age = DEFAULT_AGE if given is None else timedelta(milliseconds=int(given))
    return (now or datetime.now(timezone.utc)) - age


def expired(metadata: TableMetadata, cutoff: datetime) -> list[int]:
    """The snapshots that others had taken the place of at `cutoff`; those that a branch or a tag names stay."""
    bound = cutoff.timestamp() * 1000
    ended = {each.snapshot_id: after.timestamp_ms for each, after in pairwise(metadata.snapshot_log)}
    kept = {ref.snapshot_id for ref in metadata.refs.values()} | {metadata.current_snapshot_id}
    return [
        each.snapshot_id
        for each in metadata.snapshots
        if each.snapshot_id not in kept and ended.get(each.snapshot_id, each.timestamp_ms) < bound
    ]


def unneeded(found: Table, written: Mapping[str, datetime | None], cutoff: datetime) -> list[str]:
    """Files of `written` (by their paths below the table, with when they were) that are of no use any more.

    None are where the metadata names files in a way that cannot be told apart from other files.
    """
    old = {path for path, at in written.items() if at is not None and at < cutoff}
    if not old:
        return []
    location = found.metadata.location.rstrip("/") + "/"
    rows, others = set(_named(found)), {log.metadata_file for log in found.metadata.metadata_log}
    others |= {each.statistics_path for each in (*found.metadata.statistics, *found.metadata.partition_statistics)}
    others.add(found.metadata_location)
    needed = {name.removeprefix(location) for name in rows}
    if not all(name.startswith(location) for name in rows | others) or not needed <= written.keys():
        return []
    return sorted(old - needed - {name.removeprefix(location) for name in others})


def _named(found: Table) -> Iterator[str]:
    """The files that the snapshots need."""
    manifests = {}
    for snapshot in found.metadata.snapshots:
        yield snapshot.manifest_list
        manifests.update({manifest.manifest_path: manifest for manifest in snapshot.manifests(found.io)})
    for path, manifest in manifests.items():
        yield path
        for entry in manifest.fetch_manifest_entry(found.io):
            yield entry.data_file.file_path
