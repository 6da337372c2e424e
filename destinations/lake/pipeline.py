"""The lake as a dlt destination: dlt's filesystem destination, with a merge where that one appends.

dlt keeps what it keeps in any bucket (loads, state, schemas), where and as it does. The files of a load package stay on
this machine; when those of a table and its children are all there, one job merges them into the lake. A package counts
when dlt has written its state, which is one object, after all of its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import dlt
from dlt.common import json
from dlt.common.destination.capabilities import DestinationCapabilitiesContext
from dlt.common.destination.typing import PreparedTableSchema
from dlt.common.schema import TTableSchema

from ..dlt_internals.filesystem import (
    BucketClient,
    FilesystemClient,
    FilesystemDestinationClientConfiguration,
    ReferenceFollowupJob,
)
from ..dlt_internals.loading import (
    ChangesCapabilities,
    CurrentLoadPackageStateNotAvailable,
    FinalizedLoadJob,
    HasFollowupJobs,
    JobRun,
    LoadJob,
    ParquetFormatConfiguration,
    ParsedLoadJobFileName,
    ReferenceFollowupJobRequest,
    RunnableLoadJob,
)
from ..dlt_internals.loading import load_package_state as current_package
from ..dlt_internals.tables import get_root_table, is_nested_table
from ..errors import DestinationUnusable
from . import merging
from .engine import DEFAULT_MEMORY_LIMIT
from .keys import Keys
from .opening import Opening
from .spec import spec_of
from .store import Store


class ArrivedJob(RunnableLoadJob, HasFollowupJobs):
    """A file that is read where it is, when the others of its table and its children are there."""

    def run(self) -> None:
        """Nothing."""


class LakeJob(JobRun, ReferenceFollowupJob):
    """Merges the files of a table and its children into the lake."""

    def run(self) -> None:
        """Table by table; each is whole in the lake before the next one begins."""
        client: LakeClient = self.dlt_client
        files: dict[str, list[Path]] = {}
        for path in self.file_paths:
            files.setdefault(ParsedLoadJobFileName.parse(path).table_name, []).append(Path(path))
        for table in client.chain(self.load_table_name):
            client.load(table, files.get(table, []), self.package)


class LakeClient(BucketClient):
    """dlt's client of a bucket, except for the files of tables."""

    batch_table_chain: ClassVar[bool] = True

    def __init__(
        self,
        schema: dlt.Schema,
        config: FilesystemDestinationClientConfiguration,
        capabilities: DestinationCapabilitiesContext,
    ) -> None:
        super().__init__(schema, config, capabilities)
        self.store = self.new_store()
        self.keys = Keys(self.store)
        self.memory_limit = DEFAULT_MEMORY_LIMIT
        self.opening = self.new_opening()

    def new_store(self) -> Store:
        """The folder of the dataset."""
        return Store(self.config, self.dataset_name)

    def new_opening(self) -> Opening:
        """The right to write there, not taken yet."""
        return Opening(self.store, str(self.config.bucket_url), self.memory_limit)

    @staticmethod
    def get_reference_followup_job_class(table: PreparedTableSchema) -> type[ReferenceFollowupJob] | None:
        """What is done when all files of a table and its children are there."""
        return None if str(table["name"]).startswith("_dlt") else LakeJob

    def get_load_job_class(self, table: PreparedTableSchema, file_path: str) -> type[LoadJob]:
        """What is done with a file: nothing before the others are there."""
        if table["name"] == self.schema.state_table_name:
            return FinalizedLoadJob
        if ReferenceFollowupJobRequest.is_reference_job(file_path):
            return LakeJob
        return ArrivedJob

    def initialize_storage(self, truncate_tables: Iterable[str] | None = None) -> None:
        """Opens the lake before a package is loaded, unless whoever runs the pipeline has done so."""
        if self.dataset_name != self.config.normalize_dataset_name(self.schema):
            return  # dlt's dataset for staging: nothing goes by way of it, and its name may be somebody's
        try:
            package = str(current_package()["load_id"])
        except CurrentLoadPackageStateNotAvailable:
            package = None
        self.opening.open(package=package)
        super().initialize_storage(truncate_tables or ())

    def should_truncate_table_before_load(self, table_name: str) -> bool:  # noqa: ARG002 - the argument is dlt's
        """Never: a table is replaced by its job, when its rows are there."""
        return False

    def create_dataset(self) -> None:
        """Makes the folder of the dataset; some of it may be there."""
        self.fs_client.makedirs(self.dataset_path, exist_ok=True)

    def chain(self, table: str) -> list[str]:
        """The tables that are loaded with a table: the one at the root, then its children."""
        found = [str(get_root_table(self.schema.tables, table)["name"])]
        for name, each in self.schema.tables.items():
            if is_nested_table(each) and each.get("parent") in found:
                found.append(name)
        return found

    def load(self, table: str, files: Sequence[Path], load_id: str) -> None:
        """Brings the rows of `files` into a table of the lake."""
        spec = spec_of(self.prepare_load_table(table))
        if spec.loads == "replace":
            if files or self.store.files(table):
                merging.replace(self.store, spec, files, self.memory_limit)
        elif not files:
            return
        elif spec.loads == "append":
            merging.append(self.store, spec, files, load_id, self.memory_limit)
        else:
            merging.merge(self.store, self.keys, spec, files, self.memory_limit)

    def complete_load(self, load_id: str) -> None:
        """Notes that a package is loaded. Raises LeaseLost where another run has the lake by now."""
        super().complete_load(load_id)
        self.store.fence.verify()

    def verify_schema(
        self, only_tables: Iterable[str] | None = None, new_jobs: Iterable[ParsedLoadJobFileName] | None = None
    ) -> list[PreparedTableSchema]:
        """Refuses what the lake cannot do, before anything is changed."""
        tables: list[PreparedTableSchema] = super().verify_schema(only_tables or (), new_jobs or ())
        for table in tables:
            if table.get("parent") and table["write_disposition"] == "merge":
                raise DestinationUnusable(
                    f"The table {table['name']} is made of a list in a table that is merged, which a lake cannot hold.",
                    "Load it with max_table_nesting = 0, or into another destination.",
                )
        return tables

    def put_json(self, path: str, data: Any) -> bool:
        """Writes a file of dlt's own that lies in the dataset.

        On a local disk dlt writes into the file itself, where a kill leaves half of it: the state that the next run
        begins with. In an object store it writes even if another run has the lake by now.
        """
        prefix = self.pathlib.join(self.store.root, "")
        if not path.startswith(prefix):
            return False
        relative, text = path.removeprefix(prefix), json.dumps(data)
        if self.is_local_filesystem:
            self.store.write_text(Path(relative).as_posix(), text)
            return True
        with self.store.fence.naming(relative):
            self.store.write_text(relative, text)
        return True

    def is_to_be_read(self, path: str) -> bool:
        """Whether a file of dlt's own counts: not what came from a run after it had lost the lake."""
        prefix = self.pathlib.join(self.store.root, "")
        return path.removeprefix(prefix) not in self.store.fence.sealed


class lake(ChangesCapabilities, dlt.destinations.filesystem):  # noqa: N801 - dlt names destinations like this
    """`dlt.destinations.filesystem`, with the same settings, whose tables are merged Parquet files."""

    __orig_base__ = dlt.destinations.filesystem  # where dlt looks for the defaults of arguments

    def __init__(self, bucket_url: Any = None, *, memory_limit: str = DEFAULT_MEMORY_LIMIT, **settings: Any) -> None:
        self._memory_limit = memory_limit
        self._shared: dict[str, tuple[Store, Keys, Opening]] = {}
        self.opening: Opening | None = None
        """The lake as opened by whoever made this; None: it is opened with the first package."""
        super().__init__(
            bucket_url,
            **{
                # Its credentials and other settings are those of dlt's: [destination.filesystem].
                "destination_name": "filesystem",
                "layout": "{table_name}/{load_id}.{file_id}.{ext}",
                # A file lives for seconds: to pack and unpack it costs more than to write and read what is there.
                "parquet_format": ParquetFormatConfiguration(compression="none"),
                "loader_parallelism_strategy": "sequential",
                **settings,
            },
        )

    @property
    def client_class(self) -> type[FilesystemClient]:
        """Who runs the jobs."""
        return LakeClient

    def client(
        self, schema: dlt.Schema, initial_config: FilesystemDestinationClientConfiguration | None = None
    ) -> FilesystemClient:
        """A client; those of one dataset share what they know of its files."""
        client = super().client(schema, initial_config or self.spec())
        assert isinstance(client, LakeClient)  # noqa: S101 - see client_class
        client.memory_limit = self._memory_limit
        if client.dataset_path not in self._shared:
            opening = self.opening or client.new_opening()
            # The store of whoever opened the lake: changes are guarded by its lease.
            store = opening.store if opening.store.root == client.store.root else client.store
            self._shared[client.dataset_path] = store, Keys(store), opening
        client.store, client.keys, client.opening = self._shared[client.dataset_path]
        return client

    def close(self) -> None:
        """Removes files of this machine that were on their way."""
        for store, _, opening in self._shared.values():
            opening.close()
            store.close()

    def changed(self, capabilities: DestinationCapabilitiesContext) -> DestinationCapabilitiesContext:
        """What a lake can do."""
        capabilities.preferred_loader_file_format = "parquet"
        capabilities.supported_loader_file_formats = ["parquet", "reference"]
        capabilities.supported_table_formats = []
        capabilities.supported_merge_strategies = ["delete-insert"]
        capabilities.merge_strategies_selector = _all
        # A table is replaced by the job itself, when its rows are there: nothing is truncated before.
        capabilities.supported_replace_strategies = ["insert-from-staging"]
        capabilities.replace_strategies_selector = _all
        return capabilities


def _all(supported: Sequence[Any], /, *, table_schema: TTableSchema) -> Sequence[Any]:  # noqa: ARG001 - dlt names it
    return supported
