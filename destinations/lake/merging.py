"""Merging the rows of a load package into the Parquet files of a table.

Every key has one home: the file that holds its row. Rows that arrive for a key that is there are written into its home,
and rows of new keys into one more file of their partition (or into its smallest, while that is small). Then each file
that changes is replaced by one rename, or one upload, with nothing else to go with it: whenever the program dies, and
whenever somebody reads, each key is there once, with its old row or with its new one. A home whose rows would stay as
they are is not written at all, so what an overlap asks for again costs no write.

One change takes two files: a row whose time moves to another day, and with it to another partition. It is written to
its new home first and removed from the old one then, so it may be seen twice for a moment and is never missing; what is
to be removed is noted ahead of it (`write_ahead_log`), and a run that begins finishes what a killed one left.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from ..duckdb_sql import identifier, literal, names
from . import write_ahead_log
from .engine import connection, scan
from .keys import Keys
from .layout import NO_DATE, PARTITION, SMALL_BYTES
from .spec import Spec
from .store import File, Store, new_file, new_name
from .writing import write_rows

logger = logging.getLogger(__name__)


def replace(store: Store, spec: Spec, arriving: Sequence[Path], memory_limit: str) -> None:
    """Puts the rows of `arriving` in the place of all there are: one file in the place of one file."""
    with connection(store, memory_limit) as con:
        relative = f"{spec.name}/{spec.name}.parquet"
        written = _write(store, con, spec, typed(con, spec, arriving), relative)
        others = [file.path for file in store.files(spec.name) if file.path != written.path]
        if others:
            intent = write_ahead_log.note_compaction(store, written.path, others)
            for path in others:
                store.discard(path)
            store.delete(intent)


def append(store: Store, spec: Spec, arriving: Sequence[Path], load_id: str, memory_limit: str) -> None:
    """Adds the rows of `arriving`, which have no key: to a file of the package's own, so that it can be told apart.

    The file counts once the package does: `write_ahead_log.settle` removes it otherwise.
    """
    relative = f"{spec.name}/{write_ahead_log.package_name(load_id)}.parquet"
    with connection(store, memory_limit) as con:
        write_ahead_log.note_append(store, load_id, relative)
        _write(store, con, spec, typed(con, spec, arriving), relative)


def merge(store: Store, keys: Keys, spec: Spec, arriving: Sequence[Path], memory_limit: str) -> None:
    """Puts the rows of `arriving` in the place of those that `spec.match` says they replace."""
    with connection(store, memory_limit, spec.name) as con:
        _Merge(store, keys, spec, con).run(arriving)


class _Merge:
    def __init__(self, store: Store, keys: Keys, spec: Spec, con: duckdb.DuckDBPyConnection) -> None:
        self._store = store
        self._keys = keys
        self._spec = spec
        self._con = con
        self._numbered = ""
        self._files = {file.path: file for file in store.files(spec.name)}

    def run(self, arriving: Sequence[Path]) -> None:
        spec, con = self._spec, self._con
        self._numbered = take(con, spec, arriving)
        self._find_homes()
        targets = self._place()
        if not targets and not self._count("SELECT count(*) FROM homes"):
            return
        intent = self._note_moves()
        self._rewrite_all(targets)
        if intent is not None:
            self._store.delete(intent)

    def _rewrite_all(self, targets: Sequence[str]) -> None:
        homes, moves = (
            self._paths(f"SELECT DISTINCT {c} FROM {t}") for c, t in (("_home", "homes"), ("_from", "moves"))
        )
        written = [path for path in dict.fromkeys([*targets, *homes]) if not self._is_unchanged(path)]
        noted = [self._files.get(path) or new_file(path) for path in dict.fromkeys([*written, *moves])]
        with self._store.writing(noted, self._schema):
            for path in written:
                self._rewrite(path)
            # What moves leaves its old file when it is in its new one: nothing is missing in between.
            for path in moves:
                self._remove_moved(path)

    def _schema(self) -> pa.Schema:
        nothing = typed(self._con, self._spec, [])
        return self._con.execute(f"SELECT * FROM ({nothing}) LIMIT 0").to_arrow_table().schema

    def _find_homes(self) -> None:
        """Table `homes`: of each arriving key that is there, the files that hold it, and their partitions."""
        con = self._con
        self._keys.find(con, self._spec, list(self._files.values()))
        con.execute("CREATE TEMP TABLE places (_home VARCHAR, _of VARCHAR)")
        if self._files:
            con.executemany("INSERT INTO places VALUES (?, ?)", [[f.path, f.partition] for f in self._files.values()])

    def _place(self) -> list[str]:
        """Table `placed`: in which file each arriving row is to be. Returns those files."""
        spec, con = self._spec, self._con
        same = " AND ".join(f"best.{identifier(c)} = arriving.{identifier(c)}" for c in spec.match)
        con.execute(
            "CREATE TEMP TABLE placed AS WITH best AS ("
            f"SELECT {names(spec.match)}, _of, min(_home) AS _home FROM homes JOIN places USING (_home) "
            f"GROUP BY {names(spec.match)}, _of) "
            "SELECT _file, _row, _day, _home FROM arriving LEFT JOIN best "
            f"ON {same} AND best._of IS NOT DISTINCT FROM arriving._day WHERE NOT _gone"
        )
        for (day,) in con.execute("SELECT DISTINCT _day FROM placed WHERE _home IS NULL ORDER BY 1").fetchall():
            con.execute(
                "UPDATE placed SET _home = ? WHERE _home IS NULL AND _day IS NOT DISTINCT FROM ?",
                [self._home_of_new_keys(day), day],
            )
        return self._paths("SELECT DISTINCT _home FROM placed")

    def _home_of_new_keys(self, day: str | None) -> str:
        beside = [file for file in self._files.values() if file.partition == day]
        smallest = min(beside, key=lambda file: (file.size, file.path), default=None)
        if smallest is not None and smallest.size < SMALL_BYTES:
            return smallest.path
        folder = self._spec.name if day is None else f"{self._spec.name}/{PARTITION}={day}"
        return f"{folder}/{new_name()}"

    def _rows_of(self, path: str) -> str:
        """A query of the arriving rows that are to be in a file."""
        spec = self._spec
        day = self._con.execute(f"SELECT any_value(_day) FROM placed WHERE _home = {literal(path)}").fetchone()
        within = ""
        if spec.dated_by is not None and day is not None and day[0] not in {None, NO_DATE}:
            # What other days have is not even read: a package holds the rows of a day side by side.
            at, start = identifier(spec.dated_by), f"CAST({literal(day[0])} AS DATE)"
            within = f" WHERE {at} >= CAST({start} AS TIMESTAMPTZ) AND {at} < CAST({start} + 1 AS TIMESTAMPTZ)"
        places = f"SELECT _file, _row FROM placed WHERE _home = {literal(path)}"
        return (
            f"SELECT {names(spec.columns)} FROM (SELECT * FROM ({self._numbered}){within}) "
            f"SEMI JOIN ({places}) USING (_file, _row)"
        )

    def _note_moves(self) -> str | None:
        """Table `moves`: keys that will be in a new home and still in an old one; noted for who comes after a kill."""
        spec, con = self._spec, self._con
        using = names(spec.match)
        con.execute(
            f"CREATE TEMP TABLE moves AS SELECT DISTINCT {using}, homes._home AS _from, placed._home AS _to FROM homes "
            f"JOIN (SELECT {using}, _file, _row FROM arriving) USING ({using}) "
            "JOIN (SELECT _file, _row, _home FROM placed) AS placed USING (_file, _row) "
            "WHERE homes._home <> placed._home"
        )
        if not self._count("SELECT count(*) FROM moves"):
            return None
        return write_ahead_log.note_moves(self._store, con, spec.name, "SELECT * FROM moves")

    def _replaced_in(self, path: str) -> str:
        """Keys whose rows in a file give way to what arrives for the same file, or to nothing."""
        using, here = names(self._spec.match), literal(path)
        return (
            f"SELECT {using} FROM homes WHERE _home = {here} "
            f"AND ({using}) NOT IN (SELECT ({using}) FROM moves WHERE _from = {here})"
        )

    def _is_unchanged(self, path: str) -> bool:
        """Whether a file holds just what arrives for it already."""
        spec, con = self._spec, self._con
        if path not in self._files:
            return False
        arrive = self._count(f"SELECT count(*) FROM placed WHERE _home = {literal(path)}")
        replaced = self._count(f"SELECT count(*) FROM ({self._replaced_in(path)})")
        if not arrive and not replaced:
            return True
        if spec.match != spec.unique or arrive != replaced:
            return False
        # Rows are compared by key and a hash of 64 bits: whole rows of a package would have to be held in memory.
        told = names(c for c in spec.columns if not c.startswith("_dlt_"))
        hashed = f"SELECT {names(spec.unique)}, hash({told}) AS _hash FROM"
        with self._store.local(self._files[path]) as local:
            old = f"{hashed} ({typed(con, spec, [local])})"
            new = f"{hashed} ({self._rows_of(path)})"
            same = f"SELECT count(*) FROM ({old}) JOIN ({new}) USING ({names(spec.unique)}, _hash)"
            return arrive == self._count(same)

    def _rewrite(self, path: str) -> None:
        spec, con = self._spec, self._con
        rows = self._rows_of(path)
        if path not in self._files:
            self._files[path] = _write(self._store, con, spec, rows, path)
            return
        with self._store.local(self._files[path]) as local:
            old = _without(typed(con, spec, [local]), self._replaced_in(path), spec.match)
            self._files[path] = _write(self._store, con, spec, f"{old} UNION ALL BY NAME {rows}", path)

    def _remove_moved(self, path: str) -> None:
        spec, con = self._spec, self._con
        moved = f"SELECT {names(spec.match)} FROM moves WHERE _from = {literal(path)}"
        with self._store.local(self._files[path]) as local:
            kept = _without(typed(con, spec, [local]), moved, spec.match)
            self._files[path] = _write(self._store, con, spec, kept, path)

    def _paths(self, sql: str) -> list[str]:
        return sorted(path for (path,) in self._con.execute(sql).fetchall())

    def _count(self, sql: str) -> int:
        row = self._con.execute(sql).fetchone()
        return int(row[0]) if row else 0


def take(con: duckdb.DuckDBPyConnection, spec: Spec, files: Sequence[Path]) -> str:
    """Table `arriving`: the keys of the rows of `files` that count, where each is, and what is to become of it.

    Returns a query of all rows, numbered as there.
    """
    columns = dict.fromkeys((*spec.match, *spec.unique))
    newest = ""
    if spec.unique and not spec.has_no_copies:
        order = "" if spec.newest_by is None else f" ORDER BY {identifier(spec.newest_by[0])} {spec.newest_by[1]}"
        order += " NULLS LAST" if order else ""
        newest = f" QUALIFY row_number() OVER (PARTITION BY {names(spec.unique)}{order}) = 1"
    numbered = typed(con, spec, files, ", file_row_number AS _row, filename AS _file")
    con.execute(
        f"CREATE TEMP TABLE arriving AS SELECT {names(columns)}, _file, _row, {spec.day} AS _day, "
        f"{spec.gone or 'false'} AS _gone FROM ({numbered}){newest}"
    )
    return numbered


def _without(rows: str, keys: str, match: Sequence[str]) -> str:
    return f"SELECT * FROM ({rows}) ANTI JOIN ({keys}) USING ({names(match)})"


def _write(store: Store, con: duckdb.DuckDBPyConnection, spec: Spec, rows: str, relative: str) -> File:
    return write_rows(store, con, rows, relative, table=spec.name, order=spec.sorted_by)


def typed(con: duckdb.DuckDBPyConnection, spec: Spec, paths: Sequence[Path | str], more: str = "") -> str:
    """A query of the rows of some files, with all columns of `spec` in its types; NULL where they have none.

    Rows of the lake may be of other types than `spec` where making columns anew was cut off: what does not fit is NULL
    until that is done again. Columns that only the files have are kept where they are read to be written again, and
    where they are numbered not.
    """
    if not paths:
        nothing = (f"CAST(NULL AS {kind}) AS {identifier(c)}" for c, kind in spec.columns.items())
        return f"SELECT {', '.join(nothing)} LIMIT 0"
    options = ", file_row_number = true, filename = true" if more else ""
    source = scan(paths, options)
    cast = "CAST" if more else "TRY_CAST"
    there = {name for name, *_ in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    cells = [
        f"{cast}({identifier(c) if c in there else 'NULL'} AS {kind}) AS {identifier(c)}"
        for c, kind in spec.columns.items()
    ]
    if not more:
        cells += [identifier(c) for c in sorted(there - spec.columns.keys())]
    return f"SELECT {', '.join(cells)}{more} FROM {source}"
