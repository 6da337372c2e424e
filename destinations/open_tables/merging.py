"""Which rows of a table a load package changes, and only those: what it brings again as it was is left alone.

Keys that are new are appended. Rows that give way to others, or to nothing, do so in one change of the table's log:
whenever the program dies, and whenever somebody reads, each key is there once, with its old row or with its new one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa

from ..duckdb_sql import names
from ..lake import repeats
from ..lake.engine import connection, scan
from ..lake.keys import Keys
from ..lake.merging import take, typed
from ..lake.spec import Spec
from ..lake.store import File
from .formats import Fewer, is_same
from .opening import note_append
from .store import TableStore

_BATCH_ROWS = 4_000
"""Of rows on their way to a format's library, which holds some such batches at once."""


def load(
    store: TableStore, keys: Keys, spec: Spec, arriving: Sequence[Path], *, load_id: str, memory_limit: str
) -> None:
    """Brings the rows of `arriving` into a table, as `spec` says."""
    if not arriving and not (spec.loads == "replace" and store.files(spec.name)):
        return
    with connection(store, memory_limit, spec.name) as con:
        if spec.loads != "replace":
            spec = _fitting(store, con, spec)
        if spec.loads == "replace":
            _replace(store, con, spec, arriving)
        elif spec.loads == "append":
            note_append(store, spec.name, load_id)
            store.format.append(spec.name, _reader(con, typed(con, spec, arriving)))
        else:
            _Merge(store, keys, spec, con).run(arriving)


def _fitting(store: TableStore, con: duckdb.DuckDBPyConnection, spec: Spec) -> Spec:
    """`spec` without columns that are of another type in the table.

    There are some where a run died between making them anew and noting that: they are NULL in what comes until that is
    done again, which makes them of the JSON of all rows.
    """
    there = store.format.schema(spec.name)
    if there is None:
        return spec
    wanted = con.execute(typed(con, spec, [])).to_arrow_table().schema
    others = {c for c in spec.columns if c in there.names and not is_same(there.field(c).type, wanted.field(c).type)}
    return replace(spec, columns={c: kind for c, kind in spec.columns.items() if c not in others})


def compact(store: TableStore, table: str, memory_limit: str) -> Iterator[Fewer]:
    """Makes few files of the small ones of a table; the rows stay what they are."""
    with connection(store, memory_limit, table) as con:
        yield from store.format.compact(
            table, lambda files: _reader(con, f"SELECT * FROM {scan(store.url(file.path) for file in files)}")
        )


def mend(store: TableStore, table: str, keys: Sequence[str], newest_by: str | None, memory_limit: str) -> None:
    """Removes rows besides the first of each key."""
    with connection(store, memory_limit, table) as con:
        holdings = repeats.find(con, store, table, keys, newest_by)
        if holdings:
            store.format.change(table, _Mended(con, holdings))


class _Mended:
    """Files with rows that go."""

    def __init__(self, con: duckdb.DuckDBPyConnection, holdings: Sequence[repeats.Holding]) -> None:
        self.files = [each.file for each in holdings]
        self._con = con
        self._holdings = holdings

    def rewritten(self) -> pa.RecordBatchReader:
        """What is to be in the place of `files`."""
        return repeats.reader_of(self._con, self._holdings)


def _replace(store: TableStore, con: duckdb.DuckDBPyConnection, spec: Spec, arriving: Sequence[Path]) -> None:
    rows = typed(con, spec, arriving)
    files = store.files(spec.name)
    if files:
        there = _of(con, store, spec, files)
        old, new = (con.execute(f"SELECT {_told(spec)} FROM ({each})").fetchone() for each in (there, rows))
        if old == new:
            return
    store.format.replace(spec.name, _reader(con, rows))


class _Merge:
    def __init__(self, store: TableStore, keys: Keys, spec: Spec, con: duckdb.DuckDBPyConnection) -> None:
        self._store = store
        self._keys = keys
        self._spec = spec
        self._con = con

    def run(self, arriving: Sequence[Path]) -> None:
        con, spec, match = self._con, self._spec, names(self._spec.match)
        numbered = take(con, spec, arriving)
        files = self._store.files(spec.name)
        self._keys.find(con, spec, files)
        is_new = f"({match}) NOT IN (SELECT ({match}) FROM homes)" if files else "true"
        fresh = _picked(spec, numbered, f"NOT _gone AND {is_new}")
        if _count(con, f"SELECT count(*) FROM arriving WHERE NOT _gone AND {is_new}"):
            self._store.format.append(spec.name, _reader(con, fresh))
        changed = self._changed(numbered, files)
        if changed is not None:
            self._store.format.change(spec.name, changed)

    def _changed(self, numbered: str, files: Sequence[File]) -> _Changed | None:
        """Table `changed`: keys whose rows here are not those that arrive; None: there are none."""
        con, spec, match = self._con, self._spec, names(self._spec.match)
        paths = {path for (path,) in con.execute("SELECT DISTINCT _home FROM homes").fetchall()}
        if not paths:
            return None
        old = _of(con, self._store, spec, [file for file in files if file.path in paths])
        new = _picked(spec, numbered, f"NOT _gone AND ({match}) IN (SELECT ({match}) FROM homes)")
        # One after the other, and what arrives through one join alone: pages are wide, and memory is bounded.
        for name, rows in (("told_old", f"({old}) SEMI JOIN homes USING ({match})"), ("told_new", f"({new})")):
            con.execute(f"CREATE TEMP TABLE {name} AS SELECT {match}, {_told(spec)} FROM {rows} GROUP BY {match}")
        con.execute(
            f"CREATE TEMP TABLE changed AS SELECT DISTINCT {match} FROM homes ANTI JOIN "
            f"(SELECT {match} FROM told_old JOIN told_new USING ({match}, _rows, _sum)) USING ({match})"
        )
        con.execute("DROP TABLE told_old; DROP TABLE told_new")
        touched = con.execute(f"SELECT DISTINCT _home FROM homes SEMI JOIN changed USING ({match})").fetchall()
        holding = {path for (path,) in touched}
        if not holding:
            return None
        new = _picked(spec, numbered, f"NOT _gone AND ({match}) IN (SELECT ({match}) FROM changed)")
        return _Changed(con, self._store, spec, new, [file for file in files if file.path in holding])


class _Changed:
    """The rows of the keys of the table `changed`, which `files` hold."""

    def __init__(
        self, con: duckdb.DuckDBPyConnection, store: TableStore, spec: Spec, new: str, files: list[File]
    ) -> None:
        self.files = files
        self._con = con
        self._new = new
        self._kept = f"SELECT * FROM ({_of(con, store, spec, files)}) ANTI JOIN changed USING ({names(spec.match)})"

    def rewritten(self) -> pa.RecordBatchReader:
        """What is to be in the place of `files`."""
        return _reader(self._con, f"{self._kept} UNION ALL BY NAME {self._new}")


def _picked(spec: Spec, numbered: str, where: str) -> str:
    """The rows of those in the table `arriving` that meet a condition."""
    return (
        f"SELECT {names(spec.columns)} FROM ({numbered}) "
        f"SEMI JOIN (SELECT _file, _row FROM arriving WHERE {where}) USING (_file, _row)"
    )


def _of(con: duckdb.DuckDBPyConnection, store: TableStore, spec: Spec, files: Sequence[File]) -> str:
    """The rows of files of the table."""
    return typed(con, spec, [store.url(file.path) for file in files])


def _told(spec: Spec) -> str:
    """What is compared of rows: how many they are, and the sum of a hash of 64 bits of each."""
    columns = names(c for c in spec.columns if not c.startswith("_dlt_"))
    return f"count(*) AS _rows, sum(hash({columns})) AS _sum"


def _reader(con: duckdb.DuckDBPyConnection, sql: str) -> pa.RecordBatchReader:
    return con.execute(sql).to_arrow_reader(_BATCH_ROWS)


def _count(con: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = con.execute(sql).fetchone()
    return int(row[0]) if row else 0
