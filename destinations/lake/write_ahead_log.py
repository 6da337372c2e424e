"""What is noted ahead of a change that takes more than one step, for the run that comes after a kill.

    _posthog_warehouse/moves/<table>/<name>.parquet     keys with the file that they leave and the one they go to
    _posthog_warehouse/appends/<load id>/<name>.json    a file of rows without a key: it counts when its package does
    _posthog_warehouse/compactions/<name>.json          a file, and those whose rows it holds from then on

Each is written before the first step and removed after the last. `settle` ends what is left of them, forwards where
rows could be lost otherwise; it may itself be killed, and be done again.
"""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Collection
from typing import TYPE_CHECKING

import duckdb
import pyarrow.parquet as pq

from ..duckdb_sql import literal, names
from .engine import connection, scan
from .layout import SYSTEM
from .marks import order_of
from .writing import write_rows

if TYPE_CHECKING:
    from .store import File, Store

_MOVES = f"{SYSTEM}/moves"
_APPENDS = f"{SYSTEM}/appends"
_COMPACTIONS = f"{SYSTEM}/compactions"


def package_name(load_id: str) -> str:
    """The name that a package gives to files of its own."""
    return f"package-{load_id.replace('.', '-')}"


def note_append(store: Store, load_id: str, relative: str) -> None:
    """Notes that `relative` counts when the package `load_id` does."""
    store.write_json(f"{_APPENDS}/{load_id}/{relative.replace('/', '-')}.json", {"file": relative})


def note_moves(store: Store, con: duckdb.DuckDBPyConnection, table: str, moves: str) -> str:
    """Notes the keys of a query that leave the file `_from` for the file `_to`. Returns the intent's path."""
    scratch = store.scratch_file()
    con.execute(f"COPY ({moves}) TO {literal(str(scratch))} (FORMAT parquet, COMPRESSION zstd)")
    return store.put(scratch, f"{_MOVES}/{table}/{uuid.uuid4().hex}.parquet").path


def note_compaction(store: Store, into: str, files: list[str]) -> str:
    """Notes that the rows of `files` lie in `into` as soon as that is there. Returns the intent's path."""
    path = f"{_COMPACTIONS}/{uuid.uuid4().hex}.json"
    store.write_json(path, {"into": into, "files": files})
    return path


def settle(store: Store, memory_limit: str, *, but: str | None = None, without: Collection[str] = ()) -> int:
    """Ends what a killed run began; rows of the package `but`, which is about to be taken up again, are left alone, and
    so are tables of `without`: what was noted for them stays noted.

    Returns how many intents were ended.
    """
    settled = 0
    for file in store.files(_COMPACTIONS, ".json"):
        settled += _end_compaction(store, file.path, without)
    for file in store.files(_MOVES):
        if posixpath.basename(posixpath.dirname(file.path)) in without:
            continue
        _end_moves(store, file.path, memory_limit)
        settled += 1
    counted: set[str] | None = None
    for file in store.files(_APPENDS, ".json"):
        load_id = posixpath.basename(posixpath.dirname(file.path))
        if load_id == but:
            continue
        counted = counting(store) if counted is None else counted
        if load_id not in counted and (intent := store.read_json(file.path)) is not None:
            if _table_of(intent["file"]) in without:
                continue
            store.discard(intent["file"])
        store.delete(file.path)
        settled += 1
    return settled


def counting(store: Store) -> set[str]:
    """The packages that count: their state is written, which says what they cover, or the record of the load is."""
    names_of = [
        file.path.rsplit("/", 1)[1].removesuffix(".jsonl").split("__")
        for folder in ("_dlt_loads", "_dlt_pipeline_state")
        for file in store.files(folder, ".jsonl")
        if file.path not in store.fence.sealed
    ]
    return {part for parts in names_of for part in parts[1:]}


def _end_compaction(store: Store, path: str, without: Collection[str]) -> bool:
    intent = store.read_json(path)
    if intent is not None and _table_of(intent["into"]) in without:
        return False  # the file that has all rows now may be the one that is damaged
    # A file without rows has taken the name, so that it cannot come any more: see `fence`.
    if intent is not None and store.exists(intent["into"]) and _has_rows(store, intent["into"]):
        for each in intent["files"]:
            store.discard(each)
    store.delete(path)
    return True


def _has_rows(store: Store, path: str) -> bool:
    with store.local(path) as local:
        return bool(pq.read_metadata(local).num_rows)


def _table_of(path: str) -> str:
    return path.split("/", 1)[0]


def _end_moves(store: Store, path: str, memory_limit: str) -> None:
    """Removes from their old files the keys that are in their new ones."""
    table = posixpath.basename(posixpath.dirname(path))
    there = {file.path: file for file in store.files(table)}
    with connection(store, memory_limit) as con, store.local(path) as local:
        moves = scan([local])
        keys = [c for c, *_ in con.execute(f"DESCRIBE SELECT * FROM {moves}").fetchall() if c not in {"_from", "_to"}]
        pairs = con.execute(f"SELECT DISTINCT _from, _to FROM {moves} ORDER BY ALL").fetchall()
        for old, new in pairs:
            if old not in there or new not in there:
                continue
            with store.local(there[new]) as taking:
                moved = (
                    f"SELECT {names(keys)} FROM {moves} WHERE _from = {literal(old)} AND _to = {literal(new)} "
                    f"AND ({names(keys)}) IN (SELECT ({names(keys)}) FROM {scan([taking])})"
                )
                _remove(store, con, there[old], keys, moved)
            there = {file.path: file for file in store.files(table)}
    store.delete(path)


def _remove(store: Store, con: duckdb.DuckDBPyConnection, file: File, keys: list[str], moved: str) -> None:
    table = file.path.split("/", 1)[0]
    with store.local(file) as local:
        rows = scan([local])
        using = names(keys)
        found = con.execute(f"SELECT count(*) FROM {rows} SEMI JOIN ({moved}) USING ({using})").fetchone()
        if found and found[0]:
            kept = f"SELECT * FROM {rows} ANTI JOIN ({moved}) USING ({using})"
            write_rows(store, con, kept, file.path, table=table, order=order_of(local))
