"""Which file holds a key: the key columns of all files of a table, as DuckDB reads them.

A key may lie in any file, in whatever partition its row was before, so all are looked through: of each file the columns
of the key only. On a local disk that is some 20 million keys a second. What lies in an object store is fetched once for
each version of a file and run, and kept on this machine until the run ends.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from ..duckdb_sql import identifier, literal, names
from .engine import scan, scan_files
from .spec import Spec
from .store import File, Store

_AT_ONCE = 1_000
"""Files of one query."""


class Keys:
    """The keys of a lake's tables; for one run."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def find(self, con: duckdb.DuckDBPyConnection, spec: Spec, files: Sequence[File]) -> None:
        """Table `homes`: of each key of the table `arriving` that is in `files`, the files that hold it."""
        match = names(spec.match)
        con.execute(f"CREATE TEMP TABLE homes AS SELECT {match}, CAST(NULL AS VARCHAR) AS _home FROM arriving LIMIT 0")
        cast = ", ".join(f"CAST({identifier(c)} AS {spec.columns[c]}) AS {identifier(c)}" for c in spec.match)
        for source, path_of in self.sources(con, spec, files):
            con.execute(
                f"INSERT INTO homes SELECT DISTINCT {match}, {path_of} FROM (SELECT {cast}, filename "
                f"FROM {source}) SEMI JOIN (SELECT {match} FROM arriving) USING ({match})"
            )

    def sources(self, con: duckdb.DuckDBPyConnection, spec: Spec, files: Sequence[File]) -> Iterator[tuple[str, str]]:
        """What to select the keys of `files` from, and SQL that makes the file's path of the column `filename`."""
        for start in range(0, len(files), _AT_ONCE):
            some = files[start : start + _AT_ONCE]
            if self._store.is_local:
                source = scan_files(self._store, some, ", filename = true")
                yield source, f"substr(filename, {len(self._store.path('')) + 1})"
                continue
            copies = {self._copy(con, spec, file).name: file.path for file in some}
            con.execute("CREATE OR REPLACE TEMP TABLE key_files (name VARCHAR, path VARCHAR)")
            con.executemany("INSERT INTO key_files VALUES (?, ?)", [list(each) for each in copies.items()])
            source = scan([self._folder / name for name in copies], ", filename = true")
            yield source, "(SELECT path FROM key_files WHERE ends_with(filename, name))"

    @property
    def _folder(self) -> Path:
        folder = self._store.scratch / "keys"
        folder.mkdir(exist_ok=True)
        return folder

    def _copy(self, con: duckdb.DuckDBPyConnection, spec: Spec, file: File) -> Path:
        digest = hashlib.sha256(repr((file.path, file.version, spec.match)).encode()).hexdigest()
        copy = self._folder / digest
        if not copy.exists():
            scratch = self._store.scratch_file()
            columns = names(spec.match)
            con.execute(
                f"COPY (SELECT {columns} FROM {scan_files(self._store, [file])}) TO {literal(str(scratch))} "
                "(FORMAT parquet, COMPRESSION snappy)"
            )
            scratch.replace(copy)
        return copy
