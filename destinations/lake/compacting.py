"""Makes few large files of many small ones, folder by folder; the rows stay what they are.

On a local disk a folder with the new files (and links to those that stay) is made beside the tables, and swaps names
with the old one: a reader finds the old files or the new ones. An object store has no such step, and neither have some
disks: there the new file is put beside the old ones, which are removed then. Until they are, a reader finds their rows
twice, and never misses one; an intent that is noted before makes sure that the next run ends what was cut off.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from . import write_ahead_log
from .atomic_swap import exchange
from .engine import connection, scan
from .marks import order_of
from .store import File, Store, new_name, sync
from .writing import write_scratch

LARGE_BYTES = 128 * 1024 * 1024
"""A file of this size stays as it is."""

TARGET_BYTES = 256 * 1024 * 1024
"""So much of the files that are merged goes into one."""


@dataclass(frozen=True)
class Compacted:
    """A folder that has fewer files now."""

    folder: str
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int
    removed: int = 0
    """Files besides, which were no part of the table any more (of tables with a log)."""


def compact(store: Store, table: str, memory_limit: str, large_bytes: int = LARGE_BYTES) -> Iterator[Compacted]:
    """Compacts the folders of a table, one after the other."""
    folders: dict[str, list[File]] = {}
    for file in store.files(table):
        folders.setdefault(file.path.rsplit("/", 1)[0], []).append(file)
    for folder, files in folders.items():
        groups = list(_groups([file for file in files if file.path not in store.fence.sealed], large_bytes))
        if not groups:
            continue
        after = None
        if store.is_local and (folder != table or len(folders) == 1):
            after = _swap(store, folder, files, groups, memory_limit)
        if after is None:
            after = [_merge(store, folder, group, memory_limit) for group in groups]
        merged = [file for group in groups for file in group]
        sizes = sum(file.size for file in files), sum(file.size for file in merged)
        yield Compacted(
            folder,
            len(files),
            len(files) - len(merged) + len(groups),
            sizes[0],
            sizes[0] - sizes[1] + sum(after),
        )


def _groups(files: Sequence[File], large_bytes: int) -> Iterator[list[File]]:
    """What is to become one file each."""
    group: list[File] = []
    for file in sorted((file for file in files if file.size < large_bytes), key=lambda file: file.path):
        if group and sum(each.size for each in group) + file.size > TARGET_BYTES:
            if len(group) > 1:
                yield group
            group = []
        group.append(file)
    if len(group) > 1:
        yield group


def _one_of(store: Store, group: Sequence[File], memory_limit: str) -> Path:
    """A file of this machine with the rows of `group`."""
    scratch, table = store.scratch_file(), group[0].path.split("/", 1)[0]
    copies: list[Path] = []
    try:
        for file in group:
            with store.local(file) as local:
                if store.is_local:
                    copies.append(local)
                else:
                    copies.append(local.rename(store.scratch_file()))
        with connection(store, memory_limit) as con:
            write_scratch(con, f"SELECT * FROM {scan(copies)}", scratch, table=table, order=order_of(copies[-1]))
        rows = sum(pq.read_metadata(copy).num_rows for copy in copies)
        assert pq.read_metadata(scratch).num_rows == rows, "rows were lost"  # noqa: S101 - nothing may go on then
        return scratch
    finally:
        if not store.is_local:
            for copy in copies:
                copy.unlink(missing_ok=True)


def _swap(
    store: Store, folder: str, files: Sequence[File], groups: Sequence[Sequence[File]], memory_limit: str
) -> list[int] | None:
    """The sizes of the new files; None: this disk cannot do it, and nothing was changed."""
    there, fresh = Path(store.path(folder)), store.scratch_file()
    fresh.mkdir()
    merged = {file.path for group in groups for file in group}
    try:
        for file in files:
            if file.path not in merged:
                os.link(store.path(file.path), fresh / Path(file.path).name)
    except OSError:
        shutil.rmtree(fresh)
        return None
    sizes = []
    for group in groups:
        made = _one_of(store, group, memory_limit)
        sync(made)
        sizes.append(made.stat().st_size)
        made.rename(fresh / new_name())
    sync(fresh)
    done = exchange(fresh, there)
    sync(there.parent)
    # What has that name now is of no use to anybody; a kill in between leaves it to `Store.sweep`.
    shutil.rmtree(fresh)
    return sizes if done else None


def _merge(store: Store, folder: str, group: Sequence[File], memory_limit: str) -> int:
    into = f"{folder}/{new_name()}"
    made = _one_of(store, group, memory_limit)
    intent = write_ahead_log.note_compaction(store, into, [file.path for file in group])
    size = store.put(made, into).size
    for file in group:
        store.delete(file.path)
    store.delete(intent)
    return size
