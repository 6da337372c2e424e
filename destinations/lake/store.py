"""Files of a lake, on a local disk or in an object store: lists, whole files in, whole files out.

A file is there whole or not at all: on a local disk it is written beside the tables, synced and renamed; an object
store shows an object when its upload is complete.
"""

from __future__ import annotations

import contextlib
import json
import os
import posixpath
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from fsspec import AbstractFileSystem

from ..dlt_internals.filesystem import MTIME_DISPATCH, FilesystemConfiguration, fsspec_from_config
from .conditional import ABSENT, Objects, objects_of, tag_in
from .fence import Fence
from .layout import PARTITION, SYSTEM


@dataclass(frozen=True)
class File:
    """A Parquet file of a table."""

    path: str
    """Relative to the dataset, with `/`."""
    size: int
    version: str
    """Changes when the file is replaced."""
    tag: str | None = None
    """What an object store calls this version in conditions; None: it was not asked."""

    @property
    def partition(self) -> str | None:
        """The value of `date` that its folder gives; None: it lies in no such folder."""
        folder = posixpath.basename(posixpath.dirname(self.path))
        return folder.removeprefix(f"{PARTITION}=") if folder.startswith(f"{PARTITION}=") else None


class Store:
    """The folder of one dataset. Paths are relative to it."""

    def __init__(self, configuration: FilesystemConfiguration, dataset: str) -> None:
        """`configuration` is dlt's, resolved."""
        self.fs, path = fsspec_from_config(configuration)
        self.is_local = bool(configuration.is_local_filesystem)
        if self.is_local:
            path = configuration.make_local_path(configuration.bucket_url)
        self.root = posixpath.join(path, dataset).rstrip("/")
        self._protocol = str(configuration.protocol)
        self._configuration = configuration
        self._temporary: TemporaryDirectory[str] | None = None
        self._lock = threading.Lock()
        self.objects: Objects = objects_of(self.fs, self._protocol)
        self.fence = Fence(self)

    # -- names

    def path(self, relative: str) -> str:
        """As the file system calls it."""
        return f"{self.root}/{relative}"

    @property
    def address(self) -> str:
        """The dataset's folder, as readers call it."""
        return self.root if self.is_local else f"{self._protocol}://{self.root}"

    @property
    def place(self) -> str:
        """The dataset's folder with the store's endpoint: folders of two stores may have the same address."""
        return f"{getattr(self._configuration.credentials, 'endpoint_url', None) or ''} {self.address}"

    def url(self, relative: str) -> str:
        """A file of it, as readers call it."""
        return f"{self.address}/{relative}"

    @property
    def scratch(self) -> Path:
        """A folder of this machine for files on their way; on a local lake, on its own disk."""
        with self._lock:
            if self._temporary is None:
                parent = None
                if self.is_local:
                    parent = self.path(f"{SYSTEM}/staging")
                    Path(parent).mkdir(parents=True, exist_ok=True)
                self._temporary = TemporaryDirectory(prefix="posthog-warehouse-", dir=parent)
            return Path(self._temporary.name)

    def scratch_file(self) -> Path:
        """A name of a file in `scratch` that is free, and that no reader takes for a table's."""
        return self.scratch / f"{uuid.uuid4().hex}.tmp"

    # -- what is there

    def exists(self, relative: str = "") -> bool:
        """Whether a file (or, in a local lake, a folder) is there."""
        return bool(self.fs.exists(self.path(relative)))

    def has_bucket(self) -> bool:
        """Whether the bucket of the store is there. Raises what the store answers where it refuses to say."""
        try:
            self.fs.ls(f"{self.root.split('/', 1)[0]}/", detail=False)
        except FileNotFoundError:
            return False
        return True

    def listed(self, folder: str) -> AbstractFileSystem:
        """The file system for one who reads now: what lies in a folder is listed, and no file asked for its size."""
        # `read_only` is dlt's word for lists that are remembered.
        listing = copy(self._configuration)
        listing.read_only = True
        fs, _ = fsspec_from_config(listing)
        fs.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            fs.find(self.path(folder))
        return fs

    def folders(self) -> list[str]:
        """Names of what lies directly in the dataset, files left out."""
        try:
            entries = self.fs.ls(f"{self.root}/", detail=True)
        except FileNotFoundError:
            return []
        return sorted(posixpath.basename(e["name"].rstrip("/")) for e in entries if e["type"] == "directory")

    def tables(self) -> list[str]:
        """Names of the tables: every folder but dlt's and ours."""
        return [name for name in self.folders() if not name.startswith("_")]

    def files(self, folder: str, suffix: str = ".parquet") -> list[File]:
        """The files below a folder, by path."""
        prefix = f"{self.root}/"
        try:
            found: dict[str, dict[str, Any]] = self.fs.find(self.path(folder), detail=True)
        except FileNotFoundError:
            return []
        # fsspec gives local paths as it likes: what is below the root is told by its tail.
        return sorted(
            (
                File(name[name.index(prefix) + len(prefix) :], int(info["size"]), _version(info), self._tag(info))
                for name, info in found.items()
                if name.endswith(suffix) and prefix in name
            ),
            key=lambda file: file.path,
        )

    def _tag(self, info: dict[str, Any]) -> str | None:
        return None if self.is_local else tag_in(info)

    def written(self, folder: str) -> dict[str, datetime | None]:
        """When each file below a folder was last written, by its path there; None: the store does not say."""
        root = f"{self.path(folder)}/"
        modified = MTIME_DISPATCH.get(self._protocol)
        found: dict[str, dict[str, Any]] = self.fs.find(root, detail=True)
        return {
            name[name.index(root) + len(root) :]: modified(info) if modified else None
            for name, info in found.items()
            if root in name
        }

    def read_json(self, relative: str) -> Any:
        """The content of a JSON file; None: there is none."""
        try:
            return json.loads(self.fs.cat_file(self.path(relative)))
        except FileNotFoundError:
            return None

    def tail(self, file: File, length: int) -> bytes:
        """The last bytes of a file."""
        if not file.size:
            return b""  # of nothing Azure gives no last bytes
        return bytes(self.fs.cat_file(self.path(file.path), start=max(0, file.size - length), end=file.size))

    # -- changes; in an object store each is for the holder of the lease alone, see `fence`

    def write_text(self, relative: str, text: str) -> None:
        """Makes or replaces a small file that is no table's, at once."""
        if self.is_local:
            scratch = self.scratch_file()
            scratch.write_text(text, encoding="utf-8")
            self.put(scratch, relative)
        else:
            self.fence.verify()
            self.objects.put(self.path(relative), text.encode(), None)

    def write_json(self, relative: str, content: Any) -> None:
        """Makes or replaces a JSON file, at once."""
        self.write_text(relative, json.dumps(content))

    @contextmanager
    def writing(self, files: Iterable[File], schema: Callable[[], pa.Schema]) -> Iterator[None]:
        """Within, these files of tables may be put: all are noted in one step. `schema`: called for their columns."""
        if self.is_local:
            yield
            return
        with self.fence.writing({file.path: file.tag for file in files}, schema()):
            yield

    def put(self, local: Path, relative: str) -> File:
        """Moves a file of `scratch` into the lake, at once; one of that name is replaced."""
        target = self.path(relative)
        size = local.stat().st_size
        if self.is_local:
            sync(local)
            Path(target).parent.mkdir(parents=True, exist_ok=True)
            local.replace(target)
            sync(Path(target).parent)
            return File(relative, size, _version(self.fs.info(target)))
        if self._is_read_by_name(relative):
            tag = self.fence.put(local, relative)
        else:
            self.fence.verify()
            tag = self.objects.put(target, local, None)
        local.unlink()
        return File(relative, size, _version({"ETag": tag, "size": size}), tag)

    def _is_read_by_name(self, relative: str) -> bool:
        """Whether readers find a file because it lies there."""
        return not relative.startswith("_")

    def delete(self, relative: str) -> None:
        """Removes a file, if it is there."""
        self.fence.verify()
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(self.path(relative))
        if self.is_local:
            with contextlib.suppress(OSError):  # there are other files in it
                Path(self.path(relative)).parent.rmdir()

    def discard(self, relative: str) -> None:
        """Removes a file of a table; where its name is sealed, its rows only: see `fence`."""
        if relative in self.fence.sealed and self.exists(relative):
            self.fence.blank(relative)
        else:
            self.delete(relative)

    @contextmanager
    def local(self, file: File | str) -> Iterator[Path]:
        """A path of this machine under which to read a file of the lake."""
        path = self.path(file if isinstance(file, str) else file.path)
        if self.is_local:
            yield Path(path)
            return
        copy = self.scratch_file()
        try:
            self.fs.get_file(path, str(copy))
            yield copy
        finally:
            copy.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Removes what killed runs left of files on their way."""
        if self.is_local and self._temporary is None:
            shutil.rmtree(self.path(f"{SYSTEM}/staging"), ignore_errors=True)

    def close(self) -> None:
        """Removes the files on their way."""
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None
        if self.is_local:
            with contextlib.suppress(OSError):
                Path(self.path(f"{SYSTEM}/staging")).rmdir()


def sync(path: Path) -> None:
    """Puts a file, or the names in a folder, on the disk, so that they outlive a loss of power."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def new_file(path: str) -> File:
    """A file that is not there yet."""
    return File(path, 0, "", ABSENT)


def new_name() -> str:
    """A name for a new Parquet file: when it was made, and a random part."""
    return f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}.parquet"


def _version(info: dict[str, Any]) -> str:
    for name in ("ETag", "generation", "etag", "mtime", "LastModified", "last_modified"):
        if info.get(name):
            return f"{info.get('ino', '')}-{info['size']}-{info[name]}"
    return str(info["size"])
