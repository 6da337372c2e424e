"""Iceberg tables, by `pyiceberg`, without a catalog of their own: a table is what its newest metadata file says.

The newest is the one to which the file `version-hint.text` points, or one that was made of that since: by a run that
was killed before it could say so, or by another program, which says nothing. The pointer is what a commit changes at
last, in an object store on the condition that nobody has changed it since the table was looked at. Who takes the lake
over makes a commit of its own: a late metadata file of another run was not made from it, and does not count.

A change of some rows is one commit: the files that hold such rows go, and files with all their other rows and the new
ones come. The catalog that pyiceberg needs for a commit is dlt's, in memory, and lasts as long as the commit.
"""

from __future__ import annotations

import json
import posixpath
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.io import FileIO
from pyiceberg.io.pyarrow import bin_pack_record_batches, pyarrow_to_schema, write_file
from pyiceberg.manifest import DataFile
from pyiceberg.table import StaticTable, Table, WriteTask
from pyiceberg.table.metadata import TableMetadata

from ..dlt_internals.filesystem import FilesystemConfiguration, fsspec_from_config
from ..dlt_internals.iceberg import (
    WithPyicebergConfig,
    ensure_iceberg_compatible_arrow_schema,
    get_sql_catalog,
)
from ..errors import DestinationForeign, DestinationUnusable
from ..lake.conditional import ABSENT, ConditionFailed
from ..lake.layout import ROW_GROUP_ROWS
from ..lake.store import File
from .expiring import AGE, DEFAULT_AGE, cutoff_of, expired, unneeded
from .formats import LARGE_BYTES, Change, Fewer, RowsOf, is_same

if TYPE_CHECKING:
    from .store import TableStore

_FILE_BYTES = 128 * 1024 * 1024
"""Of a file, in memory: as Parquet it has a fifth of that, or less."""
_PROPERTIES = {
    "write.target-file-size-bytes": str(_FILE_BYTES),
    "write.parquet.row-group-limit": str(ROW_GROUP_ROWS),
    # Each commit writes a metadata file and a manifest: of the first the last ones are kept, the others are merged.
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    AGE: str(int(DEFAULT_AGE.total_seconds()) * 1000),
}
_SUFFIX = ".metadata.json"
_HINT = "version-hint.text"


@dataclass(frozen=True)
class _Pointer:
    """What `version-hint.text` says."""

    version: str | None
    """The name of a metadata file, without its ending; None: there is no `version-hint.text`."""
    tag: str | None
    """The version of the object that says it; None: there are no conditions."""


class Iceberg:
    """The Iceberg tables of one dataset."""

    def __init__(self, configuration: FilesystemConfiguration, store: TableStore) -> None:
        self._store = store
        self._root = store.root
        self._credentials: Any = configuration.credentials
        # A path without `file://`: DuckDB reads the names of files out of the metadata, and knows no such thing.
        self._url = store.address
        self._fs, _ = fsspec_from_config(configuration)

    def files(self, table: str) -> list[File]:
        """The data files of a table as it is now."""
        return [self._file(table, each) for each in self._data_files(table, self._read(table))]

    def schema(self, table: str) -> pa.Schema | None:
        """The columns of a table."""
        found = self._read(table)
        return None if found is None else found.schema().as_arrow()

    def append(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Adds rows; makes the table, and columns that it does not have."""
        self._commit(table, rows)

    def replace(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Puts rows in the place of all there are; columns become what they are in these."""
        self._commit(table, rows, self._data_files(table, self._read(table)), is_whole=True)

    def change(self, table: str, change: Change) -> None:
        """Puts rows in the place of some."""
        gone = {file.path for file in change.files}
        there = self._data_files(table, self._read(table))
        self._commit(table, change.rewritten(), [each for each in there if self._file(table, each).path in gone])

    def version(self, table: str) -> int | None:
        """The id of the current snapshot; None: there is none."""
        found = self._read(table)
        snapshot = None if found is None else found.current_snapshot()
        return None if snapshot is None else snapshot.snapshot_id

    def take_back(self, table: str, version: int | None) -> None:
        """Makes the table what it was at that version; none of its rows are left where there was none."""
        if self.version(table) == version:
            return
        with self._changing(table) as (found, pointer):
            if found is None:
                return
            if version is None:
                found.delete()
            else:
                found.manage_snapshots().rollback_to_snapshot(version).commit()
            self._point(table, found.metadata_location, pointer)

    def mend(self, table: str) -> None:
        """Says which metadata file is the newest, and removes those that look newer and are not."""
        pointer = self._pointer(table)
        newest = self._newest(table)
        for path in self._metadata_files(table):
            if newest is not None and _version(path) == _version(newest):
                if pointer.version != _version(newest):
                    self._point(table, newest, pointer)
                return
            self._store.fence.verify()
            self._fs.rm_file(path)

    def fence(self, table: str, schema: pa.Schema | None) -> None:
        """One commit that changes nothing; a table without rows where there is none."""
        while True:
            pointer = self._pointer(table)
            found = self._open(table)
            if found is None:
                if schema is None:
                    return
                found = self._create(table, schema)
            with found.transaction() as transaction:
                transaction.set_properties({"posthog-warehouse.fence": uuid.uuid4().hex})
            try:
                self._point(table, found.metadata_location, pointer)
            except ConditionFailed:
                continue  # the other one was quicker: its commit is there
            return

    def compact(self, table: str, rows_of: RowsOf, large_bytes: int = LARGE_BYTES) -> Iterator[Fewer]:
        """Makes few files of the small ones. Snapshots that are too old go, and files that none names any more."""
        before = after = self._data_files(table, self._read(table))
        small = [each for each in before if each.file_size_in_bytes < large_bytes]
        if len(small) > 1:
            self._commit(table, rows_of([self._file(table, each) for each in small]), small)
            after = self._data_files(table, self._read(table))
        removed = self._expire(table)
        if removed or len(after) < len(before):
            was, size = (sum(each.file_size_in_bytes for each in some) for some in (before, after))
            yield Fewer(len(before), len(after), was, size, removed)

    def _expire(self, table: str) -> int:
        """Returns how many files were removed."""
        found = self._open(table)
        if found is None:
            return 0
        cutoff = cutoff_of(found.metadata)
        if gone := expired(found.metadata, cutoff):
            with self._changing(table) as (there, pointer):
                assert there is not None  # noqa: S101 - it was found
                there.maintenance.expire_snapshots().by_ids(gone).commit()
                found = there.refresh()
                self._point(table, found.metadata_location, pointer)
        written = self._store.written(table)
        written.pop(f"metadata/{_HINT}", None)
        files = unneeded(found, written, cutoff)
        for path in files:
            self._store.delete(f"{table}/{path}")
        return len(files)

    def _commit(
        self, table: str, rows: pa.RecordBatchReader, gone: Sequence[DataFile] = (), *, is_whole: bool = False
    ) -> None:
        """One commit of a table: columns that it does not have, files that go, and rows that come.

        `is_whole`: no row stays, so that columns may be of other types from now on.
        """
        with self._changing(table, rows.schema) as (before, pointer):
            found = before or self._create(table, rows.schema)
            with found.transaction() as transaction:
                there, wanted = found.schema().as_arrow(), ensure_iceberg_compatible_arrow_schema(rows.schema)
                known = set(there.names) & set(wanted.names)
                others = [name for name in known if not is_same(there.field(name).type, wanted.field(name).type)]
                if others and is_whole:
                    # A column of another type is another column to Iceberg.
                    with transaction.update_schema(allow_incompatible_changes=True) as update:
                        for name in others:
                            update.delete_column(name)
                if set(wanted.names) - known or (others and is_whole):
                    with transaction.update_schema() as update:
                        update.union_by_name(wanted)
                if gone:
                    with transaction.update_snapshot().overwrite() as overwriting:
                        for each in gone:
                            overwriting.delete_data_file(each)
                # A step of its own: an append merges manifests, and an overwrite leaves each one there is.
                with transaction.update_snapshot().merge_append() as appending:
                    for each in _written(rows, transaction.table_metadata, found.io):
                        appending.append_data_file(each)
            self._point(table, found.metadata_location, pointer)

    @contextmanager
    def _changing(self, table: str, schema: pa.Schema | None = None) -> Iterator[tuple[Table | None, _Pointer]]:
        """Within, one commit may be made of the table as it is now. Raises LeaseLost."""
        pointer, found = self._pointer(table), self._open(table)  # before the lease is asked for: see `fence`
        with self._store.committing(table, schema):
            yield found, pointer

    def _point(self, table: str, newest: str, before: _Pointer) -> None:
        """Says which metadata file is the newest, to us and to readers that are given the folder: DuckDB, pyiceberg,
        Polars.

        They read the one before until then, which is whole as well. Raises ConditionFailed where somebody else has said
        something since.
        """
        path, text = f"{table}/metadata/{_HINT}", _version(newest)
        if before.tag is None:
            self._store.write_text(path, text)
            return
        try:
            self._store.objects.put(self._store.path(path), text.encode(), before.tag)
        except ConditionFailed:
            if self._pointer(table).version != text:  # else a client asked again, and was answered
                raise

    def _pointer(self, table: str) -> _Pointer:
        """What counts now."""
        path = self._store.path(f"{table}/metadata/{_HINT}")
        if self._store.is_local:
            there = Path(path)
            return _Pointer(there.read_text(encoding="utf-8") if there.exists() else None, None)
        found = self._store.objects.read(path)
        lease = self._store.fence.lease
        has_conditions = lease is not None and lease.has_conditions
        if found is None:
            return _Pointer(None, ABSENT if has_conditions else None)
        return _Pointer(found.content.decode(), found.tag if has_conditions else None)

    def _create(self, table: str, schema: pa.Schema) -> Table:
        return self._catalog().create_table(
            f"tables.{table}",
            ensure_iceberg_compatible_arrow_schema(schema),
            location=posixpath.join(self._url, table),
            properties=_PROPERTIES,
        )

    def _open(self, table: str) -> Table | None:
        """The table, to be changed."""
        path = self._newest(table)
        return None if path is None else self._catalog().register_table(f"tables.{table}", path)

    def _read(self, table: str) -> StaticTable | None:
        path = self._newest(table)
        return None if path is None else StaticTable.from_metadata(path, self._reading)

    @property
    def _reading(self) -> dict[str, Any]:
        """What pyiceberg needs to read where the tables lie. Not kept: some stores' tokens end within the hour."""
        is_told = isinstance(self._credentials, WithPyicebergConfig)
        return self._credentials.to_pyiceberg_fileio_config() if is_told else {}

    def _catalog(self) -> Catalog:
        catalog = get_sql_catalog("posthog_warehouse", "sqlite:///:memory:", self._credentials)
        catalog.create_namespace("tables")
        return catalog

    def _newest(self, table: str) -> str | None:
        """The newest metadata file; None: there is none."""
        pointed = self._pointer(table).version
        paths = self._metadata_files(table)
        if pointed not in {*map(_version, paths)}:
            pointed = None
        for path in paths:
            if _version(path) == pointed or self._is_made_of(path, pointed):
                return posixpath.join(self._url, table, "metadata", posixpath.basename(path))
        if paths and _number(paths[0]) > 0:
            # More than what a kill can leave of a table that was being made.
            raise DestinationUnusable(
                f"No metadata file of the Iceberg table {table} in {self._url} can be read.",
                "Bring one back from a copy, or load into another --dataset; nothing was changed.",
            )
        return None

    def _metadata_files(self, table: str) -> list[str]:
        """The metadata files, the newest first."""
        folder = posixpath.join(self._root, table, "metadata")
        self._fs.invalidate_cache(folder)
        try:
            found = [path for path in self._fs.ls(folder, detail=False) if path.endswith(_SUFFIX)]
        except FileNotFoundError:
            return []
        return sorted(found, key=lambda path: (_number(path), path), reverse=True)

    def _is_made_of(self, path: str, version: str | None) -> bool:
        """Whether a metadata file is whole, and was made from the one of `version`, by one commit or several.

        `version` None: any whole one.
        """
        try:
            content = json.loads(self._fs.cat_file(path))
        except ValueError:
            return False
        before = [each["metadata-file"] for each in content.get("metadata-log", ())]
        if version is None or version in map(_version, before):
            return True
        # The log in a metadata file lists the latest ones before it only: all of them may be newer than that version.
        return bool(before) and min(map(_number, before)) > _number(version)

    def _data_files(self, table: str, found: Table | None) -> list[DataFile]:
        if found is None:
            return []
        if not self._is_at(found.location(), table):
            raise DestinationForeign(
                f"The Iceberg table {table} in {self._url} says that it lies in {found.location()}: it was moved.",
                "Its files are named by their full addresses: move it back, or load into another --dataset. "
                "Nothing was changed.",
            )
        tasks = list(found.scan().plan_files())
        if any(task.delete_files for task in tasks):
            raise DestinationForeign(
                f"The Iceberg table {table} in {self._url} was changed by another program, with delete files.",
                "Let that program rewrite its data files, or load into another --dataset; nothing was changed.",
            )
        return [task.file for task in tasks]

    def _is_at(self, location: str, table: str) -> bool:
        here, there = posixpath.join(self._root, table), location.rstrip("/").partition("://")[2] or location
        return here == there or (self._store.is_local and Path(here).resolve() == Path(there).resolve())

    def _file(self, table: str, data_file: DataFile) -> File:
        path = data_file.file_path
        return File(path[path.index(f"/{table}/data/") + 1 :], data_file.file_size_in_bytes, path)


def _written(rows: pa.RecordBatchReader, metadata: TableMetadata, io: FileIO) -> Iterator[DataFile]:
    """Writes files, one after the other: pyiceberg's `append` reads all rows ahead of what it has written."""
    schema = pyarrow_to_schema(rows.schema, name_mapping=metadata.schema().name_mapping)
    commit = uuid.uuid4()
    for number, batches in enumerate(bin_pack_record_batches(rows, _FILE_BYTES)):
        yield from write_file(io, metadata, iter([WriteTask(commit, number, schema, batches)]))


def _number(path: str) -> int:
    """Counts up with each commit: `00012-<uuid>.metadata.json`."""
    number = posixpath.basename(path).split("-", 1)[0]
    return int(number) if number.isdigit() else -1


def _version(path: str) -> str:
    """What readers call a metadata file: its name, without what all have."""
    return posixpath.basename(path).removesuffix(_SUFFIX)
