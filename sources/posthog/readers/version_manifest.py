"""The manifest of a keyed table: the newest version of every key, folded into one checksum per bucket of keys."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ..tables import Table

KnownVersions = Callable[[Table], Iterable[pa.Table]]
"""Reads key, `version` and `is_deleted` of the rows that the warehouse holds, in chunks."""

FEWEST_BUCKETS = 256
MOST_BUCKETS = 32_768
_KEYS_A_BUCKET = 200


@dataclass(frozen=True)
class Manifest:
    """Checksums and numbers of keys by bucket; `live` counts the keys that are not deleted."""

    buckets: int
    sums: dict[int, int]
    rows: dict[int, int]
    live: int

    @property
    def total(self) -> int:
        """Keys, deleted ones included."""
        return sum(self.rows.values())

    @property
    def fits(self) -> bool:
        """Whether its buckets suit its number of keys. A factor of eight passes: new buckets cost a full read."""
        wanted = buckets_for(self.total)
        return wanted // 8 <= self.buckets <= wanted * 8

    def to_state(self) -> dict[str, Any]:
        """For dlt state: eight bytes a bucket, packed."""
        packed = np.zeros(self.buckets, dtype="<u8")
        for bucket, checksum in self.sums.items():
            packed[bucket] = checksum
        return {"buckets": self.buckets, "sums": base64.b64encode(packed.tobytes()).decode()}

    def changed_since(self, saved: dict[str, Any]) -> list[int]:
        """Buckets whose checksum is not the saved one; all of them if they were cut otherwise then."""
        if saved.get("buckets") != self.buckets:
            return sorted(self.sums)
        then = np.frombuffer(base64.b64decode(saved["sums"]), dtype="<u8")
        return [bucket for bucket in range(self.buckets) if self.sums.get(bucket, 0) != int(then[bucket])]


def buckets_for(keys: int) -> int:
    """A power of two with about 200 keys a bucket."""
    return min(MOST_BUCKETS, max(FEWEST_BUCKETS, 1 << max(0, keys // _KEYS_A_BUCKET - 1).bit_length()))


def changed_keys(table: Table, remote: Iterable[pa.Table], known: KnownVersions) -> list[str]:
    """Keys whose version, or deletion, at PostHog (`remote`: key, version, is_deleted) is not what the warehouse knows.

    Keys that PostHog has deleted and the warehouse never had are left out. Memory holds what `remote` gives, and of
    the warehouse's rows only those with the same keys.
    """
    key = table.key
    with duckdb.connect(":memory:", config={"threads": 2}) as con:
        con.execute("CREATE TABLE remote (key VARCHAR, version HUGEINT, is_deleted BOOLEAN)")
        con.execute("CREATE TABLE known (key VARCHAR, version HUGEINT, is_deleted BOOLEAN)")
        for chunk in remote:
            con.register("chunk", chunk.select([key, "version", "is_deleted"]))
            con.execute(f'INSERT INTO remote SELECT "{key}", version, is_deleted FROM chunk')
        for chunk in known(table):
            con.register("chunk", chunk.select([key, "version", "is_deleted"]))
            con.execute(
                f'INSERT INTO known SELECT "{key}"::VARCHAR, version, is_deleted FROM chunk '
                f'SEMI JOIN remote ON remote.key = chunk."{key}"::VARCHAR'
            )
        rows = con.execute(
            "SELECT key FROM remote LEFT JOIN known USING (key) WHERE CASE WHEN known.key IS NULL "
            # Rows that PostHog's lists brought have no version.
            "THEN NOT remote.is_deleted ELSE known.version IS DISTINCT FROM remote.version "
            "OR known.is_deleted <> remote.is_deleted END ORDER BY key"
        ).fetchall()
    return [row[0] for row in rows]
