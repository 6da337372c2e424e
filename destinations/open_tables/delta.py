"""Delta tables, by `deltalake`.

A change of some rows is one entry of the log: the files that hold such rows go, and files with all their other rows and
the new ones come. (The library's own MERGE holds all that changes, and whole files, in memory.)
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import dlt
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from ..dlt_internals.delta import deltalake_storage_options, evolve_delta_table_schema
from ..dlt_internals.filesystem import FilesystemConfiguration
from ..errors import DestinationForeign
from ..lake.layout import ROW_GROUP_ROWS
from ..lake.store import File
from .formats import LARGE_BYTES, Change, Fewer, RowsOf

if TYPE_CHECKING:
    from .store import TableStore

_UNREAD = {"deletionVectors", "columnMapping"}
"""Features of tables whose rows are not simply those of their files."""
_WRITER = WriterProperties(compression="ZSTD", compression_level=3, max_row_group_size=ROW_GROUP_ROWS)
_FILE_BYTES = 16 * 1024 * 1024
"""Of a file as written: some 50,000 events, all of which are written anew where one of them changes."""
_COMPACTED_BYTES = 64 * 1024 * 1024
# An entry that does not follow the last one any more is refused, not prepared anew: another run has the lake by then.
_COMMIT = CommitProperties(custom_metadata={"engine": "posthog-warehouse"}, max_commit_retries=0)


class Delta:
    """The Delta tables of one dataset."""

    def __init__(self, configuration: FilesystemConfiguration, store: TableStore) -> None:
        self._store = store
        given = dlt.secrets.get("destination.filesystem.deltalake_storage_options", dict)
        credentials: Any = configuration.credentials
        self._options = deltalake_storage_options(credentials, given)

    def files(self, table: str) -> list[File]:
        """The data files of a table as it is now."""
        found = self._table(table)
        if found is None:
            return []
        protocol = found.protocol()
        features = set(protocol.reader_features or ()) & _UNREAD
        if features:
            raise DestinationForeign(
                f"The Delta table {table} in {self._store.address} was changed by another program, "
                f"with {', '.join(features)}.",
                "Undo that there (for deletion vectors: REORG TABLE ... APPLY (PURGE), and the table property off), or "
                "load into another --dataset; nothing was changed.",
            )
        actions = pa.table(found.get_add_actions(flatten=True)).select(["path", "size_bytes"]).to_pylist()
        return [File(f"{table}/{unquote(each['path'])}", int(each["size_bytes"]), each["path"]) for each in actions]

    def schema(self, table: str) -> pa.Schema | None:
        """The columns of a table."""
        found = self._table(table)
        return None if found is None else pa.schema(found.schema().to_arrow())

    def append(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Adds rows; makes the table, and columns that it does not have."""
        self._commit(table, rows, mode="append", schema_mode="merge")

    def replace(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Puts rows in the place of all there are; columns become what they are in these."""
        self._commit(table, rows, mode="overwrite", schema_mode="overwrite")

    def fence(self, table: str, schema: pa.Schema | None) -> None:
        """One entry that changes nothing; a table without rows where there is none."""
        found = self._table(table)
        if found is None and schema is not None:
            try:
                self._write(self._place(table), pa.RecordBatchReader.from_batches(schema, []), self._options)
            except (CommitFailedError, DeltaError):
                found = self._table(table)
                if found is None:
                    raise
        while found is not None and not self._put_empty_entry(found):
            found = self._table(table)  # the other one was quicker: its entry is there

    @staticmethod
    def _put_empty_entry(found: DeltaTable) -> bool:
        """Puts an entry without changes behind the last one that `found` knows; False: another one is there already."""
        try:
            found.create_write_transaction([], "append", found.schema(), commit_properties=_COMMIT)
        except CommitFailedError:
            return False
        return True

    def _commit(self, table: str, rows: pa.RecordBatchReader, **how: Any) -> None:
        found = self._table(table)  # before the lease is asked for: see `fence`
        with self._store.committing(table, rows.schema):
            if found is None:
                self._write(self._place(table), rows, self._options)
            else:
                self._write(found, rows, self._options, **how)

    def change(self, table: str, change: Change) -> None:
        """Puts rows in the place of some: files that hold such rows go, and files with all their other rows come."""
        found = self._table(table)
        assert found is not None  # noqa: S101 - rows of it are to be changed
        rows = change.rewritten()
        evolve_delta_table_schema(found, rows.schema)
        come = self._written(table, found.schema(), rows)
        at = round(time.time() * 1000)
        go = [
            RemoveAction(file.version, data_change=True, deletion_timestamp=at, size=file.size) for file in change.files
        ]
        with self._store.committing(table):
            found.create_write_transaction([*come, *go], "append", found.schema(), commit_properties=_COMMIT)

    def _written(self, table: str, schema: Schema, rows: pa.RecordBatchReader) -> list[AddAction]:
        """Files with these rows, which no entry names yet."""
        scratch = self._store.scratch_file()
        try:
            # The library writes files, and says what is in them, for a table only: one that lasts as long as this.
            DeltaTable.create(str(scratch), schema)
            self._write(str(scratch), rows, {}, mode="append", schema_mode="merge")
            entries = [entry.read_text() for entry in (scratch / "_delta_log").glob("*.json")]
            told = [json.loads(line).get("add") for entry in entries for line in entry.splitlines()]
            return [self._brought(scratch, table, add) for add in told if add]
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _brought(self, scratch: Path, table: str, add: dict[str, Any]) -> AddAction:
        name = unquote(add["path"])
        self._store.put(scratch / name, f"{table}/{name}")
        return AddAction(add["path"], add["size"], {}, add["modificationTime"], data_change=True, stats=add["stats"])

    def version(self, table: str) -> int | None:
        """The number of the last commit; None: there is no table."""
        found = self._table(table)
        return None if found is None else found.version()

    def take_back(self, table: str, version: int | None) -> None:
        """Makes the table what it was at that version; none of its rows are left where there was none."""
        found = self._table(table)
        if found is None or found.version() == version:
            return
        with self._store.committing(table):
            if version is None:
                found.delete(commit_properties=_COMMIT)
            else:
                found.restore(version, commit_properties=_COMMIT)

    def mend(self, table: str) -> None:
        """Nothing: an entry of the log is there as a whole, or not at all."""

    def compact(self, table: str, rows_of: RowsOf, large_bytes: int = LARGE_BYTES) -> Iterator[Fewer]:
        """Makes few files of the small ones. Those go that have been out of the table for a week, or what it says."""
        del rows_of  # the library reads them itself
        found = self._table(table)
        if found is None:
            return
        before = self.files(table)
        with self._store.committing(table):
            size = min(large_bytes, _COMPACTED_BYTES)
            found.optimize.compact(target_size=size, writer_properties=_WRITER, commit_properties=_COMMIT)
        self._store.fence.verify()
        # `full`: also those that a killed run left, which no entry names.
        removed = found.vacuum(dry_run=False, full=True)
        after = self.files(table)
        if removed or len(after) < len(before):
            yield Fewer(len(before), len(after), sum(f.size for f in before), sum(f.size for f in after), len(removed))

    def _write(self, place: str | DeltaTable, rows: pa.RecordBatchReader, options: dict[str, str], **how: Any) -> None:
        write_deltalake(
            place,
            rows,
            storage_options=options,
            writer_properties=_WRITER,
            commit_properties=_COMMIT,
            target_file_size=_FILE_BYTES,
            **how,
        )

    def _table(self, table: str) -> DeltaTable | None:
        try:
            return DeltaTable(self._place(table), storage_options=self._options)
        except TableNotFoundError:
            return None

    def _place(self, table: str) -> str:
        return self._store.url(table)
