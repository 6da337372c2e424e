"""Delta tables, by `deltalake`.

A change of some rows is one MERGE: what `Change.marked` says of old rows deletes them, the other rows are inserted. The
library reads the files that may hold such rows, and writes those anew that do.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import dlt
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import TableNotFoundError
from dlt.common.libs.deltalake import deltalake_storage_options, evolve_delta_table_schema
from dlt.common.storages import FilesystemConfiguration

from destinations.duckdb_sql import identifier
from destinations.errors import DestinationForeign
from destinations.lake.layout import ROW_GROUP_ROWS
from destinations.lake.store import File

from .formats import LARGE_BYTES, Change, Fewer, RowsOf

_MARK = "_posthog_warehouse_old"
_UNREAD = {"deletionVectors", "columnMapping"}
"""Features of tables whose rows are not simply those of their files."""
_WRITER = WriterProperties(compression="ZSTD", compression_level=3, max_row_group_size=ROW_GROUP_ROWS)
_FILE_BYTES = 16 * 1024 * 1024
"""Of a file as written: some 50,000 events, which a MERGE has to hold, uncompressed."""
_COMPACTED_BYTES = 64 * 1024 * 1024
_COMMIT = CommitProperties(custom_metadata={"engine": "posthog-warehouse"})


class Delta:
    """The Delta tables of one dataset."""

    at_once: int | None = 20_000
    """MERGE holds the rows that change in memory, and those of a file until it knows whether one of them does."""

    def __init__(self, configuration: FilesystemConfiguration, root: str, *, is_local: bool) -> None:
        self._url = root if is_local else f"{configuration.protocol}://{root}"
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
                f"The Delta table {table} in {self._url} was changed by another program, with {', '.join(features)}.",
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
        self._write(table, rows, mode="append", schema_mode="merge")

    def replace(self, table: str, rows: pa.RecordBatchReader) -> None:
        """Puts rows in the place of all there are; columns become what they are in these."""
        self._write(table, rows, mode="overwrite", schema_mode="overwrite")

    def change(self, table: str, change: Change) -> None:
        """Puts rows in the place of some."""
        found = self._table(table)
        assert found is not None  # noqa: S101 - rows of it are to be changed
        rows = change.marked(_MARK)
        schema = rows.schema
        evolve_delta_table_schema(found, schema.remove(schema.get_field_index(_MARK)))
        same = [f"target.{identifier(c)} = source.{identifier(c)}" for c in change.match]
        if change.between is not None:
            # What no such row can be in is not even read.
            column, first, last = change.between
            same += [f"target.{identifier(column)} >= TIMESTAMP '{first}'"]
            same += [f"target.{identifier(column)} <= TIMESTAMP '{last}'"]
        (
            found.merge(
                rows,
                " AND ".join([f"source.{_MARK}", *same]),
                source_alias="source",
                target_alias="target",
                writer_properties=_WRITER,
                commit_properties=_COMMIT,
            )
            .when_matched_delete()
            .when_not_matched_insert_all(predicate=f"NOT source.{_MARK}", except_cols=[_MARK])
            .execute()
        )

    def version(self, table: str) -> int | None:
        """The number of the last commit; None: there is no table."""
        found = self._table(table)
        return None if found is None else found.version()

    def take_back(self, table: str, version: int | None) -> None:
        """Makes the table what it was at that version; none of its rows are left where there was none."""
        found = self._table(table)
        if found is None or found.version() == version:
            return
        if version is None:
            found.delete()
        else:
            found.restore(version)

    def mend(self, table: str) -> None:
        """Nothing: an entry of the log is there as a whole, or not at all."""

    def compact(self, table: str, rows_of: RowsOf, large_bytes: int = LARGE_BYTES) -> Iterator[Fewer]:
        """Makes few files of the small ones; the old ones go when they are older than the table's retention, a week."""
        del rows_of  # the library reads them itself
        found = self._table(table)
        if found is None:
            return
        before = self.files(table)
        found.optimize.compact(target_size=min(large_bytes, _COMPACTED_BYTES), writer_properties=_WRITER)
        found.vacuum(dry_run=False)
        after = self.files(table)
        if len(after) < len(before):
            yield Fewer(len(before), len(after), sum(f.size for f in before), sum(f.size for f in after))

    def _write(self, table: str, rows: pa.RecordBatchReader, **how: Any) -> None:
        write_deltalake(
            posixpath.join(self._url, table),
            rows,
            storage_options=self._options,
            writer_properties=_WRITER,
            commit_properties=_COMMIT,
            target_file_size=_FILE_BYTES,
            **how,
        )

    def _table(self, table: str) -> DeltaTable | None:
        try:
            return DeltaTable(posixpath.join(self._url, table), storage_options=self._options)
        except TableNotFoundError:
            return None
