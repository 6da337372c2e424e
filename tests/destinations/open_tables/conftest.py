"""Tables of each format, on the local disk and on a real S3 server, filled by ordinary dlt pipelines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.destinations.lake.conftest import dlt_folder, s3
from tests.destinations.open_tables.tables import FORMATS, LocalTables, S3Tables, Tables

__all__ = ["dlt_folder", "s3"]


@pytest.fixture(params=FORMATS)
def local(request: pytest.FixtureRequest, tmp_path: Path) -> LocalTables:
    return LocalTables(request.param, str(tmp_path / "lake"))


@pytest.fixture(params=[f"{name}-{place}" for name in FORMATS for place in ("local", "s3")])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Tables:
    """Where tables may lie."""
    name, _, place = request.param.partition("-")
    if place == "local":
        return LocalTables(name, str(tmp_path / "lake"))
    server = request.getfixturevalue("s3")
    return S3Tables(name, f"s3://{server.new_bucket()}/lake", server)
