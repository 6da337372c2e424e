"""Tables with a log as a dlt destination: dlt's filesystem destination, which knows their formats, with a job of ours.

dlt's own job merges by primary key alone, takes the columns of the first file of a package for those of all, and (for
Iceberg) commits every thousand rows. Ours replaces rows by whatever says which they are, and brings a table's rows of a
package in at most two commits. Where the tables lie, their credentials, dlt's state and schemas are as dlt has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import dlt
from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.typing import PreparedTableSchema

from ..dlt_internals.filesystem import FilesystemClient
from ..dlt_internals.tables import TTableFormat
from ..lake.opening import Opening
from ..lake.pipeline import LakeClient, lake
from ..lake.spec import spec_of
from ..lake.store import Store
from . import merging
from .opening import TableOpening
from .store import TableStore


class OpenTablesClient(LakeClient):
    """dlt's client of a bucket, except for the rows of tables."""

    table_format: ClassVar[TTableFormat]
    store: TableStore

    def new_store(self) -> Store:
        """The folder of the dataset."""
        return TableStore(self.config, self.dataset_name, self.table_format)

    def new_opening(self) -> Opening:
        """The right to write there, not taken yet."""
        return TableOpening(self.store, str(self.config.bucket_url), self.memory_limit, self.table_format)

    def prepare_load_table(self, table_name: str) -> PreparedTableSchema:
        """A table as dlt loads it, in our format: who declares it knows nothing of destinations."""
        table = super().prepare_load_table(table_name)
        if not self.is_dlt_table(table_name):
            table["table_format"] = self.table_format
        return table

    def load(self, table: str, files: Sequence[Path], load_id: str) -> None:
        """Brings the rows of `files` into a table."""
        spec = spec_of(self.prepare_load_table(table))
        merging.load(self.store, self.keys, spec, files, load_id=load_id, memory_limit=self.memory_limit)


class _DeltaClient(OpenTablesClient):
    table_format = "delta"


class _IcebergClient(OpenTablesClient):
    table_format = "iceberg"


_CLIENTS: dict[str, type[OpenTablesClient]] = {each.table_format: each for each in (_DeltaClient, _IcebergClient)}


class open_tables(lake):  # noqa: N801 - dlt names destinations like this
    """`dlt.destinations.filesystem`, with the same settings, whose tables are all Delta or all Iceberg tables."""

    __orig_base__ = dlt.destinations.filesystem  # where dlt looks for the defaults of arguments

    def __init__(self, bucket_url: Any = None, *, table_format: str = "delta", **settings: Any) -> None:
        self._table_format = table_format
        super().__init__(bucket_url, **settings)

    @property
    def client_class(self) -> type[FilesystemClient]:
        """Who runs the jobs."""
        return _CLIENTS[self._table_format]

    def changed(self, capabilities: DestinationCapabilitiesContext) -> DestinationCapabilitiesContext:
        """What a lake can do, and the formats of its tables."""
        capabilities = super().changed(capabilities)
        capabilities.supported_table_formats = ["delta", "iceberg"]
        return capabilities
