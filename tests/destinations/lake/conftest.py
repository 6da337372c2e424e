"""A lake for each test, on the local disk and on real servers of object stores, filled by ordinary dlt pipelines."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pytest

from tests.destinations.lake.azure import AzureServer
from tests.destinations.lake.gcs import GcsServer
from tests.destinations.lake.lakes import BucketPlace, LocalPlace, ObjectServer, Place
from tests.destinations.lake.s3 import S3Server
from tests.faults.syncing import LONG

PLACES = ("local", "s3", "gs", "az")
Server = TypeVar("Server", bound=ObjectServer)


@pytest.fixture
def s3(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The S3 server, with its credentials where dlt looks for them."""
    return _told_to_dlt(s3_server, monkeypatch)


@pytest.fixture
def gs(gs_server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> GcsServer:
    """The server of Google's storage, with its credentials where dlt looks for them."""
    return _told_to_dlt(gs_server, monkeypatch)


@pytest.fixture
def az(az_server: AzureServer, monkeypatch: pytest.MonkeyPatch) -> AzureServer:
    """The server of Azure's blobs, with its credentials where dlt looks for them."""
    return _told_to_dlt(az_server, monkeypatch)


def _told_to_dlt(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture(autouse=True)
def dlt_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "dlt"
    monkeypatch.setenv("DLT_DATA_DIR", str(folder))
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("RUNTIME__LOG_LEVEL", "CRITICAL")
    return folder


@pytest.fixture
def local(tmp_path: Path) -> LocalPlace:
    return LocalPlace(tmp_path / "lake")


@pytest.fixture(params=PLACES if LONG else PLACES[:2])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a lake may lie; in the short form on the local disk and in S3."""
    return _place(request, tmp_path)


@pytest.fixture(params=PLACES)
def every_place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a lake may lie."""
    return _place(request, tmp_path)


def _place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "local":
        return LocalPlace(tmp_path / "lake")
    server: ObjectServer = request.getfixturevalue(request.param)
    return BucketPlace(server, server.new_bucket())
