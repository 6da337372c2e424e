"""dlt's destination `filesystem`, and the file systems and object stores below it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dlt.common.storages import FilesystemConfiguration, fsspec_from_config
from dlt.common.storages.fsspec_filesystem import MTIME_DISPATCH
from dlt.destinations.impl.filesystem.configuration import FilesystemDestinationClientConfiguration
from dlt.destinations.impl.filesystem.filesystem import FilesystemClient, ReferenceFollowupJob

__all__ = [
    # When a file was written, out of what the file system tells of it. Asked: a function for each protocol.
    "MTIME_DISPATCH",
    "BucketClient",
    # The client behind `dlt.destinations.filesystem`. Asked: `get_load_job_class` and
    # `get_reference_followup_job_class`, the jobs for a file and for those of a table and its children, which come in
    # one job where `batch_table_chain` says so; `prepare_load_table`, `verify_schema`, `is_dlt_table`,
    # `initialize_storage`, `create_dataset`, `complete_load` and `should_truncate_table_before_load`; `dataset_path`,
    # `fs_client`, `pathlib` and `is_local_filesystem`.
    "FilesystemClient",
    # Where a bucket is, and with which credentials. Asked: `bucket_url`, `credentials`, `protocol`,
    # `is_local_filesystem`, `make_local_path`, and `read_only`: lists of files are remembered.
    "FilesystemConfiguration",
    # The same for a client. Asked: `normalize_dataset_name(schema)`.
    "FilesystemDestinationClientConfiguration",
    # The job for the files of a table and its children. Asked: `file_paths`, and `load_table_name`, which is any of
    # them.
    "ReferenceFollowupJob",
    # The file system that a configuration means, and the path in it.
    "fsspec_from_config",
]


class BucketClient(FilesystemClient):
    """dlt's client of a bucket, which asks before it writes or reads a file of its own: loads, states and schemas.

    Asked: `_write_to_json_file`, by which all of those are written, and `_list_dlt_table_files`, by which they are
    found.
    """

    def put_json(self, path: str, data: Any) -> bool:  # noqa: ARG002 - who derives from it has need of both
        """Writes a file of dlt's own; False: dlt is to write it."""
        return False

    def is_to_be_read(self, path: str) -> bool:  # noqa: ARG002 - likewise
        """Whether a file of dlt's own counts."""
        return True

    def _write_to_json_file(self, filepath: str, data: Any) -> None:
        if not self.put_json(filepath, data):
            super()._write_to_json_file(filepath, data)

    def _list_dlt_table_files(
        self, table_name: str, pipeline_name: str | None = None
    ) -> Iterator[tuple[str, list[str]]]:
        for path, parts in super()._list_dlt_table_files(
            table_name, *([] if pipeline_name is None else [pipeline_name])
        ):
            if self.is_to_be_read(path):
                yield path, parts
