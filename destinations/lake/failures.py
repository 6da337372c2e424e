"""What to tell of errors of a file system, an object store, or DuckDB at work on their files."""

from __future__ import annotations

import asyncio
from typing import Any

import duckdb

from ..credentials import how_to_set, missing_of
from ..dlt_internals.settings import (
    ConfigFieldMissingException,
    ConfigurationException,
    MissingDependencyException,
)
from ..errors import (
    DestinationError,
    DestinationForeign,
    DestinationUnready,
    DestinationUnusable,
    chain_of,
    first_line,
)

_REFUSED = {
    "AccessDenied",
    "AuthenticationFailed",
    "AuthorizationFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "Forbidden",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "403",
    "401",
}
_CLIENTS = {"botocore", "aiohttp", "azure", "gcsfs", "google"}
"""Packages whose errors are those of a store."""
_EXTRAS = {"s3": "s3", "gs": "gs", "gcs": "gs", "az": "az", "abfss": "az"}
"""Of dlt, by the kind of address."""
_NO_KEYS = {
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
    *("DefaultCredentialsError", "RefreshError", "ClientAuthenticationError"),
}
"""Errors of botocore, of google.auth, and of azure.core."""
_NO_PARQUET = ("No magic bytes found", "too small to be a Parquet file", "TProtocolException")
"""Words of DuckDB's."""
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "InvalidBucketName"}


def explained(error: BaseException, location: str) -> DestinationError | None:
    """What to tell of `error` and what led to it; None: it is of another kind."""
    for each in chain_of(error):
        if isinstance(each, DestinationError):
            return each
        if (told := _told(each, location)) is not None:
            return told
    return None


def no_bucket(location: str) -> DestinationUnusable:
    """There is no such bucket, or no such container."""
    return DestinationUnusable(
        f"There is no bucket at {location}.", "Make it, or give another --bucket-url; nothing was written."
    )


def _told(error: BaseException, location: str) -> DestinationError | None:
    return _of_access(error, location) or _of_settings(error, location) or _of_work(error, location)


def _of_access(error: BaseException, location: str) -> DestinationError | None:
    code = _code(error)
    if code in _NO_BUCKET or "bucket does not exist" in str(error).lower():
        return no_bucket(location)
    if code in _REFUSED or isinstance(error, PermissionError) or type(error).__name__ in _NO_KEYS:
        return DestinationUnusable(
            f"{location} refuses the access: {_line(error)}",
            "Check the credentials in [destination.filesystem.credentials] of .dlt/secrets.toml (or in the "
            "environment): they may have expired, or may not read, write, list and delete there.",
        )
    return None


def _of_settings(error: BaseException, location: str) -> DestinationError | None:
    if isinstance(error, (MissingDependencyException, ModuleNotFoundError)):
        extra = _EXTRAS.get(location.split(":", 1)[0], "filesystem")
        return DestinationUnready(
            f"A package for {location} is missing: {_line(error)}", f'Install it: pip install "dlt[{extra}]".'
        )
    if isinstance(error, ConfigFieldMissingException):
        missing = missing_of(error)
        return DestinationUnready(
            f"Settings of {location} are missing: {', '.join(missing)}.", how_to_set("filesystem", missing)
        )
    if isinstance(error, ConfigurationException):
        return DestinationUnready(
            f"The settings of {location} are not complete: {_line(error)}",
            "Write them into .dlt/secrets.toml under [destination.filesystem.credentials], or into the environment.",
        )
    return None


def _of_work(error: BaseException, location: str) -> DestinationError | None:
    if isinstance(error, duckdb.Error) and any(words in str(error) for words in _NO_PARQUET):
        return DestinationForeign(
            f"A file in {location} cannot be read as Parquet: {first_line(error)}",
            "`posthog-warehouse doctor` names the files that are damaged, and says what to do; nothing was changed.",
        )
    if isinstance(error, (duckdb.IOException, duckdb.OutOfMemoryException)):
        return DestinationUnusable(
            f"DuckDB failed while it worked on {location}: {first_line(error)}",
            "Make room on the disk, or raise memory_limit in [sync], and run the same command again.",
        )
    advice = "Run the same command again: what a failed run left half done is mended by the next."
    # DuckDB wraps what fails below it, in an object store, in errors of several kinds. It says in its first line which,
    # and then where in the library that was.
    if "://" in location and isinstance(error, duckdb.Error):
        return DestinationUnusable(f"{location} failed: {first_line(error)}", advice)
    is_timeout = "://" in location and isinstance(error, (TimeoutError, asyncio.TimeoutError))
    if is_timeout or isinstance(error, OSError) or type(error).__module__.split(".")[0] in _CLIENTS:
        return DestinationUnusable(f"{location} failed: {type(error).__name__}: {_line(error)}", advice)
    return None


def _code(error: BaseException) -> str:
    """What the store called it: botocore's and Azure's have a word for it, others the status alone."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):
        return str(response.get("Error", {}).get("Code", ""))
    for name in ("error_code", "code", "status_code", "status"):
        if code := getattr(error, name, None):
            return str(getattr(code, "value", code))
    return ""


def _line(error: BaseException) -> str:
    line = " ".join(str(error).partition("\nRequestId:")[0].split())  # Azure goes on with its whole answer
    return line if len(line) <= 300 else line[:299] + "…"
