"""Persons and distinct_ids: tables that change in place and have no time of change.

What PostHog does have is a version for each key (schema/persons.py, autumn 2026). The server folds the newest versions
into one checksum per bucket of keys; a bucket whose checksum is the one of the last run holds nothing new, and only the
others are looked into. A server without hash functions is read whole, in order of the key.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import AnswerMalformed, Narrow
from ..http.answers import QueryAnswer
from ..http.client import PostHogClient
from ..pages.arrow import COUNT, HASH, TEXT, Kind, cells, declared_table, empty_table
from ..planning.row_limit import RowCap
from ..planning.worker_pool import Job, Split, run_jobs
from ..settings import Settings
from ..sql.dialect import Dialect, text_literal, value_literal
from ..sql.select import select
from ..tables import Column, Table
from ..tables.core import Versioned
from .base import Noted, State, TableReading, note
from .run import Progress, Run
from .version_manifest import (
    FEWEST_BUCKETS,
    MOST_BUCKETS,
    KnownVersions,
    Manifest,
    buckets_for,
    changed_keys,
)

logger = logging.getLogger(__name__)

_SAMPLES_A_LEAF = 100
_KEYS_A_QUERY = 2_000
_QUERY = "posthog-warehouse "


@dataclass(frozen=True)
class Selection:
    """Which rows of the table to read, besides a range of keys, and what of them."""

    conditions: list[str]
    columns: Sequence[Column]
    with_deleted: bool


@dataclass(frozen=True)
class KeyedPage:
    """Rows, and what is to be noted in the state once they are in a load package."""

    table: pa.Table
    state: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    """The rows with keys after `after` up to and with `upto` (None: no bound)."""

    after: str | None
    upto: str | None
    table: pa.Table


class KeyedReader:
    """Reads one keyed table: all of it the first time, then what changed."""

    def __init__(
        self,
        client: PostHogClient,
        dialect: Dialect,
        settings: Settings,
        table: Table,
        progress: Progress | None = None,
    ) -> None:
        self._client = client
        self._dialect = dialect
        self._settings = settings
        if not isinstance(table.reads, Versioned):
            raise TypeError(f"{table.name} has no versions")
        self._table = table
        self._from = table.reads.table
        self._key = next(column for column in table.columns if column.name == table.key)
        self._progress = progress or Progress()
        self._cap = RowCap(dialect)
        self.held: int | None = None
        """Keys that PostHog held, deleted ones left out, when the manifest was read; None where there is none."""

    def pages(self, state: dict[str, Any], known: KnownVersions | None = None) -> Iterator[KeyedPage]:
        """What is new since the run that left `state` behind; each page says what to note there.

        `known`, where given, spares asking for keys that did not change themselves but share a bucket with one that
        did. State: `done`, the manifest of the last finished run; `started` and `after`, of a first read under way.
        """
        manifest = self._manifest(state.get("done", {}).get("buckets", 0)) if self._dialect.has_hashes else None
        self.held = manifest.live if manifest else None
        now = manifest.to_state() if manifest else {"buckets": 0}
        if not state.get("done"):
            # What changes during a first read, however long it takes, differs from the manifest of its start.
            now = state.get("started") or now
            yield KeyedPage(empty_table(self._table), {"started": now})
            total = manifest.total if manifest else 0
            for table, after in self._ranges(total, state.get("after")):
                yield KeyedPage(table, {"after": after})
        else:
            for table in self._changes(manifest, state["done"], known):
                yield KeyedPage(table)
        yield KeyedPage(empty_table(self._table), {"done": now, "started": None, "after": None})

    def live_count(self) -> int:
        """How many keys PostHog holds now, deleted ones left out."""
        key = self._key.hogql
        live = f"SELECT {key} AS k FROM {self._from} GROUP BY {key} HAVING argMax(is_deleted, version) = 0"
        sql = f"SELECT count() AS live_count FROM ({live}) LIMIT 1"
        [(count,)] = self._ask(sql, COUNT, is_one=True)
        return int(count)

    def _manifest(self, buckets: int) -> Manifest:
        """The server's manifest, in as many buckets as last time if they still suit."""
        manifest = self._read_manifest(buckets or FEWEST_BUCKETS)
        return manifest if manifest.fits else self._read_manifest(buckets_for(manifest.total))

    def _read_manifest(self, buckets: int) -> Manifest:
        key = self._key.hogql
        latest = (
            f"SELECT {key} AS k, max(version) AS v, argMax(is_deleted, version) AS d FROM {self._from} GROUP BY {key}"
        )
        # HogQL's cityHash64 takes one argument (hogql/functions/mapping.py, autumn 2026).
        newest = "cityHash64(concat(toString(k), ' ', toString(v), ' ', toString(d)))"
        rows: list[tuple[Any, ...]] = []
        more = True
        while more:
            beyond = f" WHERE bucket > {rows[-1][0]}" if rows else ""
            answered = self._ask(
                "SELECT bucket, groupBitXor(checksum), count(), countIf(d = 0) FROM "
                f"(SELECT cityHash64(k) % {buckets} AS bucket, {newest} AS checksum, d FROM ({latest})){beyond} "
                f"GROUP BY bucket ORDER BY bucket LIMIT {MOST_BUCKETS}",
                COUNT,
                HASH,
                COUNT,
                COUNT,
            )
            rows += answered
            # An answer that ends early was cut, or its last buckets are empty.
            more = rows[-1][0] < buckets - 1 if rows and not self._cap.is_whole(len(answered)) else False
        if any(bucket >= buckets for bucket, *_ in rows):
            raise AnswerMalformed(f"PostHog answered the bucket {rows[-1][0]:,} of {buckets:,}")
        return Manifest(
            buckets,
            {bucket: checksum for bucket, checksum, _, _ in rows},
            {bucket: keys for bucket, _, keys, _ in rows},
            sum(live for _, _, _, live in rows),
        )

    # Everything, in order of the key

    def _ranges(self, total: int, after: str | None) -> Iterator[tuple[pa.Table, str | None]]:
        """All rows behind the key `after`, and with each page the key up to which none is missing any more."""
        selection = Selection([], self._table.columns, with_deleted=False)
        self._progress.expect(self._table.name, total)
        bounds = [after, *self._boundaries(total, after), None]
        done: dict[str | None, str | None] = {}
        reached = after
        for piece in self._run(partial(self._fetch_range, selection, low, high) for low, high in pairwise(bounds)):
            done[piece.after] = piece.upto
            while (upto := done.pop(reached, None)) is not None:
                reached = upto
            yield piece.table, reached

    def _boundaries(self, total: int, after: str | None) -> list[str]:
        """Keys that cut the table into leaves, taken from a sample of them."""
        leaf_rows = min(self._settings.leaf_rows, self._cap.most * 8 // 10)
        if not self._dialect.has_hashes or total <= leaf_rows:
            return []
        nth = max(leaf_rows // _SAMPLES_A_LEAF, math.ceil(total / (self._cap.most * 8 // 10)), 1)
        sample = self._keys([f"cityHash64({self._key.hogql}) % {nth} = 0", *self._between(after, None)])
        a_leaf = max(1, leaf_rows * 9 // 10 // nth)
        return sample[a_leaf::a_leaf]

    def _fetch_range(self, selection: Selection, after: str | None, upto: str | None) -> Piece | Split[Piece]:
        """The rows of a range, or smaller ranges. Runs on a worker thread."""
        conditions = [*selection.conditions, *self._between(after, upto)]
        again = partial(self._fetch_range, selection)
        try:
            table = self._fetch(conditions, selection)
        except Narrow as fault:
            logger.info("Halving a range of %s: %s", self._table.name, fault.message)
            keys = self._keys(conditions)
            if len(keys) > 1:
                middle = keys[(len(keys) - 1) // 2]
                return Split([partial(again, after, middle), partial(again, middle, upto)])
            table = self._fetch(conditions, selection, long=True)
        if self._cap.is_whole(table.num_rows):
            return Piece(after, upto, table)
        # Rows are in order of the key: behind the last one is where more would be, were this answer cut short.
        last = table.column(self._key.name)[-1].as_py()
        return Split([lambda: Piece(after, last, table), partial(again, last, upto)])

    # What changed

    def _changes(
        self, manifest: Manifest | None, done: dict[str, Any], known: KnownVersions | None
    ) -> Iterator[pa.Table]:
        """Rows of the keys that changed; without `known`, of all keys in the buckets that did."""
        if manifest is None:
            selections: list[list[str]] = [[]]
            expected = 0
        else:
            changed = manifest.changed_since(done)
            expected = sum(manifest.rows.get(bucket, 0) for bucket in changed)
            selections = [self._in_buckets(manifest, chunk) for chunk in self._chunks(manifest, changed)]
        if known and self._table.hard_delete is None:
            remote = (piece.table for piece in self._in_order(selections, self._version_columns))
            keys = changed_keys(self._table, remote, known)
            expected = len(keys)
            chunks = [keys[start : start + _KEYS_A_QUERY] for start in range(0, len(keys), _KEYS_A_QUERY)]
            selections = [[f"{self._key.hogql} IN ({', '.join(map(text_literal, chunk))})"] for chunk in chunks]
        self._progress.expect(self._table.name, expected)
        for piece in self._in_order(selections, self._table.columns):
            yield piece.table

    def _chunks(self, manifest: Manifest, changed: Sequence[int]) -> Iterator[list[int]]:
        """Changed buckets, as many together as fill a request."""
        chunk: list[int] = []
        rows = 0
        for bucket in changed:
            size = manifest.rows.get(bucket, 0)
            if chunk and rows + size > self._settings.leaf_rows:
                yield chunk
                chunk, rows = [], 0
            chunk.append(bucket)
            rows += size
        if chunk:
            yield chunk

    def _in_buckets(self, manifest: Manifest, buckets: Sequence[int]) -> list[str]:
        if len(buckets) == manifest.buckets:
            return []
        return [f"cityHash64({self._key.hogql}) % {manifest.buckets} IN ({', '.join(map(str, buckets))})"]

    @property
    def _version_columns(self) -> tuple[Column, ...]:
        return tuple(c for c in self._table.columns if c.name in {self._key.name, "version", "is_deleted"})

    def _in_order(self, selections: Iterable[list[str]], columns: Sequence[Column]) -> Iterator[Piece]:
        """Rows of each selection, deleted ones too, paged by the key where an answer was full."""
        return self._run(
            partial(self._fetch_range, Selection(each, columns, with_deleted=True), None, None) for each in selections
        )

    # Requests

    def _run(self, jobs: Iterable[Job[Piece]]) -> Iterator[Piece]:
        threads, ahead = self._settings.queries_in_flight, self._settings.pages_ahead
        for piece in run_jobs(jobs, threads=threads, ahead=ahead):
            if piece.table.num_columns == len(self._table.columns):
                self._progress.fetched(self._table.name, piece.table.num_rows)
            yield piece

    def _fetch(self, conditions: list[str], selection: Selection, *, long: bool = False) -> pa.Table:
        """The newest version of each key that meets `conditions`, in order of the key, one answer's worth."""
        sql = select(
            [self._newest(column) for column in selection.columns],
            self._from,
            conditions,
            group_by=self._key.hogql,
            having="" if selection.with_deleted else "argMax(is_deleted, version) = 0",
            order_by=self._key.hogql,
            limit=self._cap.most,
        )
        read = partial(_read_page, columns=selection.columns)
        name = _QUERY + self._table.name
        return self._client.query(sql, modifiers=self._dialect.modifiers, name=name, long=long, read=read)

    def _newest(self, column: Column) -> str:
        if column is self._key:
            return self._dialect.cell(column, column.hogql)
        if column.name == "version":
            return "max(version)"
        return self._dialect.cell(column, f"argMax({column.hogql}, version)")

    def _keys(self, conditions: list[str]) -> list[str]:
        """Keys that meet `conditions`, in their order, one answer's worth."""
        key = self._key.hogql
        sql = select(
            [self._dialect.cell(self._key, key)],
            self._from,
            conditions,
            group_by=key,
            order_by=key,
            limit=self._cap.most,
        )
        return [key for (key,) in self._ask(sql, TEXT)]

    def _between(self, after: str | None, upto: str | None) -> list[str]:
        """Compared on the server only: its order of UUIDs is not the order of their text."""
        conditions = []
        if after is not None:
            conditions.append(f"{self._key.hogql} > {value_literal(self._key, after)}")
        if upto is not None:
            conditions.append(f"{self._key.hogql} <= {value_literal(self._key, upto)}")
        return conditions

    def _ask(self, sql: str, *kinds: Kind, is_one: bool = False) -> list[tuple[Any, ...]]:
        """A query over all keys, by the kinds of its columns: asked again as a long one if it takes too long.

        `is_one`: its answer has one row whatever there is.
        """
        name, read = _QUERY + self._table.name, partial(cells, kinds=kinds, is_one=is_one)
        return self._client.query(sql, modifiers=self._dialect.modifiers, name=name, long=Narrow, read=read)


def _read_page(answer: QueryAnswer, columns: Sequence[Column]) -> pa.Table:
    table = declared_table(answer.types, answer.rows, columns, answer.path)
    if not table.num_rows or not pc.any(table.column("is_deleted")).as_py():
        return table
    # Nothing personal stays of the deleted: only what says that they are gone.
    kept = {columns[0].name, "person_id", "version", "is_deleted"}
    for index, column in enumerate(columns):
        if column.name not in kept:
            values = table.column(index)
            hidden = pc.if_else(table.column("is_deleted"), pa.scalar(None, values.type), values)
            table = table.set_column(index, table.schema.field(index), hidden)
    return table


def read_versioned(run: Run, reading: TableReading, state: State) -> Iterator[Noted]:
    """Rows of a keyed table whose version is another than the manifest in `state` has."""
    reader = KeyedReader(run.client, run.dialect, run.settings, reading.table, run.progress)
    reading.evidence.recount = reader.live_count
    for page in reader.pages(state, run.known):
        reading.evidence.held = reader.held
        yield page.table, partial(note, page.state)
