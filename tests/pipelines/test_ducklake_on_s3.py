"""A DuckLake whose data is in an object store: the same sync."""

from __future__ import annotations

from pathlib import Path

from posthog_warehouse.sources.posthog import CORE
from tests.conftest import StartSandbox
from tests.destinations.lake.s3 import KEY, SECRET, S3Server
from tests.faults.syncing import long_only
from tests.pipelines.elsewhere import Elsewhere, set_to
from tests.pipelines.test_sync import SMALL


@long_only
def test_a_sync_into_a_bucket_ends_complete_and_the_next_one_finds_nothing_new(
    s3_server: S3Server, start_sandbox: StartSandbox, tmp_path: Path
) -> None:
    bucket = s3_server.new_bucket()
    posthog = start_sandbox(**SMALL)
    credentials = "DESTINATION__DUCKLAKE__CREDENTIALS"
    storage = f"{credentials}__STORAGE__CREDENTIALS"
    settings = {
        "DLT_DATA_DIR": str(tmp_path / "dlt"),
        f"{credentials}__CATALOG": f"sqlite:///{tmp_path}/catalog.sqlite",
        f"{credentials}__STORAGE__BUCKET_URL": f"s3://{bucket}/lake",
        f"{storage}__AWS_ACCESS_KEY_ID": KEY,
        f"{storage}__AWS_SECRET_ACCESS_KEY": SECRET,
        f"{storage}__ENDPOINT_URL": s3_server.endpoint,
        f"{storage}__REGION_NAME": "us-east-1",
        f"{storage}__S3_URL_STYLE": "path",
    }
    with set_to(settings):
        warehouse = Elsewhere("ducklake", tmp_path)
        first = warehouse.sync(posthog)
        assert first.status == "complete", first.checks
        assert first.totals == {name: posthog.counts()[name] for name in CORE}
        again = warehouse.sync(posthog)
        assert again.status == "complete", again.checks
        assert {name: len(warehouse.keys(name)) for name in CORE} == {name: posthog.counts()[name] for name in CORE}
    stored = s3_server.client.list_objects_v2(Bucket=bucket)["Contents"]
    assert all(each["Key"].startswith("lake/") for each in stored)
    assert any(each["Key"].endswith(".parquet") for each in stored)
