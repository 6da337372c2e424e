"""Puts with a condition: only if no object of that name is there, or only if it is still the version that was read.

It is the one thing by which programs on different machines can agree in an object store: of two that put under the same
condition one is told that it does not hold any more.

| store | nothing there yet | unchanged | what names a version |
| --- | --- | --- | --- |
| S3 (since 2024-08 and 2024-11) | `If-None-Match: *` | `If-Match` | the ETag: a hash of the content |
| Google | `ifGenerationMatch=0` | `ifGenerationMatch` | the generation |
| Azure | `If-None-Match: *` | `If-Match` | the ETag: a new one for each put |

A store that calls itself S3 may ignore these conditions, or refuse them; `Lease` finds out. Other file systems of
fsspec have none.

Names that are not in the documentation of fsspec's file systems, each pinned by a test: `_call_s3` of s3fs,
`_call`, `_location` and `upload_chunk` of gcsfs, `service_client` of adlfs.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from fsspec import AbstractFileSystem
from fsspec.asyn import sync

from ..errors import chain_of

ABSENT = ""
"""The version of an object that is not there."""

_PART_BYTES = 64 * 1024 * 1024
"""Of a larger file one part after the other is in memory."""


class ConditionFailed(Exception):
    """The object is not, or not any more, the version that was expected."""


class ConditionRefused(Exception):
    """The store knows no such condition."""


@dataclass(frozen=True)
class Found:
    """A small object as it was read."""

    content: bytes
    tag: str
    """What the store calls this version of it: an ETag or a generation."""
    age: float | None
    """Seconds since it was put, both moments by the store's own clock; None: the store does not give both."""


class Objects(Protocol):
    """Objects of a store, with conditions. Paths are those of its file system."""

    no_version: str
    """A version that no object has."""

    def read(self, path: str) -> Found | None:
        """A small object; None: it is not there."""

    def tag(self, path: str) -> str:
        """The tag of the version that is there now; ABSENT: none is."""

    def put(self, path: str, body: bytes | Path, only_if: str | None) -> str:
        """Makes or replaces an object; returns its version.

        `only_if`: the version that it must be (ABSENT: none may be there); None: whatever is there.

        Raises:
            ConditionFailed: it is another one.
            ConditionRefused: the store knows no such condition.
        """


def objects_of(fs: AbstractFileSystem, protocol: str) -> Objects:
    """The objects of a file system of dlt's."""
    return _KINDS.get(protocol, _Plain)(fs)


def tag_in(info: Mapping[str, Any]) -> str | None:
    """What a list of files says is the version of one."""
    for name in ("ETag", "generation", "etag"):
        if info.get(name):
            return str(info[name])
    return None


class _S3:
    no_version = f'"{"0" * 32}"'

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def read(self, path: str) -> Found | None:
        async def read() -> Found:
            answer = await self._fs._call_s3("get_object", **self._named(path))
            async with answer["Body"] as body:
                content = bytes(await body.read())
            date = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
            return Found(content, str(answer["ETag"]), _age(date, answer.get("LastModified")))

        found: Found | None = self._found(read)
        return found

    def tag(self, path: str) -> str:
        async def head() -> str:
            return str((await self._fs._call_s3("head_object", **self._named(path)))["ETag"])

        return self._found(head) or ABSENT

    def put(self, path: str, body: bytes | Path, only_if: str | None) -> str:
        match = {} if only_if is None else {"IfMatch": only_if} if only_if else {"IfNoneMatch": "*"}
        is_large = isinstance(body, Path) and body.stat().st_size > _PART_BYTES
        with _conditions(only_if):
            if is_large:
                return str(sync(self._fs.loop, self._put_parts, path, body, match))
            data = body.read_bytes() if isinstance(body, Path) else body
            return str(self._fs.call_s3("put_object", **self._named(path), Body=data, **match)["ETag"])

    async def _put_parts(self, path: str, body: Path, match: dict[str, str]) -> str:
        named = self._named(path)
        upload = {**named, "UploadId": (await self._fs._call_s3("create_multipart_upload", **named))["UploadId"]}
        try:
            parts: list[dict[str, Any]] = []
            with body.open("rb") as file:
                while part := file.read(_PART_BYTES):
                    number = len(parts) + 1
                    answer = await self._fs._call_s3("upload_part", **upload, PartNumber=number, Body=part)
                    parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            whole = {"MultipartUpload": {"Parts": parts}}
            return str((await self._fs._call_s3("complete_multipart_upload", **upload, **whole, **match))["ETag"])
        except Exception:
            await self._fs._call_s3("abort_multipart_upload", **upload)
            raise

    def _named(self, path: str) -> dict[str, str]:
        bucket, key, _ = self._fs.split_path(path)
        return {"Bucket": bucket, "Key": key}

    def _found(self, ask: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return sync(self._fs.loop, ask)
        except FileNotFoundError:
            return None


class _Google:
    no_version = "1"

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def read(self, path: str) -> Found | None:
        while True:
            before = self._described(path)
            if before is None:
                return None
            described, headers = before
            try:
                content = bytes(self._fs.cat_file(path))
            except FileNotFoundError:
                continue
            if self.tag(path) == str(described["generation"]):
                age = _age(headers.get("Date"), _moment(described.get("updated")))
                return Found(content, str(described["generation"]), age)

    def tag(self, path: str) -> str:
        described = self._described(path)
        return ABSENT if described is None else str(described[0]["generation"])

    def _described(self, path: str) -> tuple[dict[str, Any], Mapping[str, str]] | None:
        bucket, key, _ = self._fs.split_path(path)
        try:
            headers, content = self._fs.call("GET", "b/{}/o/{}", bucket, key)
        except FileNotFoundError:
            return None
        return _json(content), headers

    def put(self, path: str, body: bytes | Path, only_if: str | None) -> str:
        match = {} if only_if is None else {"ifGenerationMatch": only_if or "0"}
        bucket, key, _ = self._fs.split_path(path)
        url = f"{self._fs._location}/upload/storage/v1/b/{quote(bucket, safe='')}/o"
        is_large = isinstance(body, Path) and body.stat().st_size > _PART_BYTES
        with _conditions(only_if):
            if is_large:
                return str(sync(self._fs.loop, self._put_parts, url, key, body, match))
            data = body.read_bytes() if isinstance(body, Path) else body
            headers = {"Content-Type": "application/octet-stream"}
            _, content = self._fs.call("POST", url, uploadType="media", name=key, headers=headers, data=data, **match)
            return str(_json(content)["generation"])

    async def _put_parts(self, url: str, key: str, body: Path, match: dict[str, str]) -> str:
        from gcsfs.core import upload_chunk  # noqa: PLC0415 - the package is there where its file system is

        kind, size, offset = "application/octet-stream", body.stat().st_size, 0
        headers, _ = await self._fs._call("POST", url, uploadType="resumable", name=key, json={"name": key}, **match)
        described: Any = None
        with body.open("rb") as file:
            while part := file.read(_PART_BYTES):
                described = await upload_chunk(self._fs, headers["Location"], part, offset, size, kind)
                offset += len(part)
        return str(described["generation"])


class _Azure:
    no_version = '"0x0"'

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def read(self, path: str) -> Found | None:
        dates: list[str | None] = []

        def note(response: Any) -> None:
            dates.append(response.http_response.headers.get("Date"))

        async def read(blob: Any) -> Found:
            stream = await blob.download_blob(raw_response_hook=note)
            content = bytes(await stream.readall())
            properties = stream.properties
            return Found(content, _quoted(properties.etag), _age(dates[0], properties.last_modified))

        found: Found | None = self._found(path, read)
        return found

    def tag(self, path: str) -> str:
        async def head(blob: Any) -> str:
            return _quoted((await blob.get_blob_properties()).etag)

        return self._found(path, head) or ABSENT

    def put(self, path: str, body: bytes | Path, only_if: str | None) -> str:
        from azure.core import MatchConditions  # noqa: PLC0415 - the package is there where its file system is

        match: dict[str, Any] = {"overwrite": only_if != ABSENT}
        if only_if:
            match |= {"etag": only_if, "match_condition": MatchConditions.IfNotModified}

        async def put(blob: Any) -> str:
            # What adlfs writes beside a file, to tell it from a folder.
            told = {"metadata": {"is_directory": "false"}}
            if isinstance(body, Path):
                with body.open("rb") as file:
                    return _quoted((await blob.upload_blob(file, **told, **match))["etag"])
            return _quoted((await blob.upload_blob(body, **told, **match))["etag"])

        with _conditions(only_if):
            return str(sync(self._fs.loop, self._with_blob, path, put))

    async def _with_blob(self, path: str, work: Callable[[Any], Awaitable[Any]]) -> Any:
        container, name, _ = self._fs.split_path(path)
        async with self._fs.service_client.get_blob_client(container=container, blob=name) as blob:
            return await work(blob)

    def _found(self, path: str, ask: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            return sync(self._fs.loop, self._with_blob, path, ask)
        except Exception as error:
            if _status(error) == 404 and _code(error) != "ContainerNotFound":
                return None
            raise


class _Plain:
    """A file system without conditions."""

    no_version = "0"

    def __init__(self, fs: AbstractFileSystem) -> None:
        self._fs = fs

    def read(self, path: str) -> Found | None:
        try:
            content = bytes(self._fs.cat_file(path))
        except FileNotFoundError:
            return None
        return Found(content, content.hex(), None)

    def tag(self, path: str) -> str:
        try:
            return str(self._fs.checksum(path))
        except FileNotFoundError:
            return ABSENT

    def put(self, path: str, body: bytes | Path, only_if: str | None) -> str:
        if only_if is not None:
            raise ConditionRefused
        if isinstance(body, Path):
            self._fs.put_file(str(body), path)
        else:
            self._fs.pipe_file(path, body)
        return self.tag(path)


@contextmanager
def _conditions(only_if: str | None) -> Iterator[None]:
    """Tells the answers to a condition from other errors."""
    try:
        yield
    except Exception as error:
        if only_if is None:
            raise
        statuses = {_status(each) for each in chain_of(error)}
        # 409: S3 while another put with a condition is under way, and Azure where a blob is there already.
        if statuses & {409, 412} or isinstance(error, FileExistsError):
            raise ConditionFailed from error
        if only_if and (404 in statuses or isinstance(error, FileNotFoundError)):
            if {_code(each) for each in chain_of(error)} & {"NoSuchBucket", "ContainerNotFound"}:
                raise
            raise ConditionFailed from error
        if 501 in statuses:
            raise ConditionRefused from error
        raise


def _status(error: BaseException) -> int | None:
    """The status of the answer that an error stands for."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
    return int(status) if isinstance(status, int) or (isinstance(status, str) and status.isdigit()) else None


def _code(error: BaseException) -> str:
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    code = getattr(error, "error_code", "")
    return str(getattr(code, "value", code) or "")


def _age(date: str | None, written: datetime | None) -> float | None:
    """Seconds between two moments that the store gave; None: it gave one of them alone."""
    if not date or written is None:
        return None
    try:
        return max(0.0, (parsedate_to_datetime(date) - written).total_seconds())
    except (TypeError, ValueError):
        return None


def _moment(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None


def _json(content: bytes) -> dict[str, Any]:
    return dict(json.loads(content))


def _quoted(tag: str) -> str:
    return f'"{tag.strip(chr(34))}"'


_KINDS: dict[str, Callable[[Any], Objects]] = {
    **dict.fromkeys(("s3", "s3a"), _S3),
    **dict.fromkeys(("gs", "gcs"), _Google),
    **dict.fromkeys(("az", "azure", "adl", "abfs", "abfss"), _Azure),
}
