"""The folder of a dataset whose tables have a log: their files are those that the log names, not all that lie there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import pyarrow as pa

from ..dlt_internals.filesystem import FilesystemConfiguration
from ..lake.store import File, Store
from .formats import TableFormat, format_of


class TableStore(Store):
    """As any store, but for what the files of a table are."""

    def __init__(self, configuration: FilesystemConfiguration, dataset: str, table_format: str) -> None:
        """`configuration` is dlt's, resolved. `table_format`: delta or iceberg."""
        super().__init__(configuration, dataset)
        self._format_name = table_format

    @cached_property
    def format(self) -> TableFormat:
        """Who reads and writes the log. Raises DestinationUnready where its package is missing."""
        return format_of(self._format_name, self._configuration, self)

    def files(self, folder: str, suffix: str = ".parquet") -> list[File]:
        """The files of a table as it is now; of other folders, those below."""
        if folder.startswith("_") or suffix != ".parquet":
            return super().files(folder, suffix)
        return self.format.files(folder)

    def _is_read_by_name(self, relative: str) -> bool:
        """Never: what an entry of the log does not name is nobody's."""
        del relative
        return False

    @contextmanager
    def committing(self, table: str, schema: pa.Schema | None = None) -> Iterator[None]:
        """Within, the log of a table may get its next entry: see `Fence.committing`."""
        with self.fence.committing(table, schema):
            yield

    def lying(self, table: str) -> list[File]:
        """The Parquet files that lie in a table's folder, whether the log names them or not."""
        return super().files(table)
