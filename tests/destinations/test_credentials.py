"""What of a destination's settings is never shown."""

from __future__ import annotations

from dlt.common.configuration.specs import AzureCredentialsWithoutDefaults
from dlt.common.storages import FilesystemConfiguration

from posthog_warehouse.destinations.credentials import secrets_of, without_secrets


def test_keys_of_a_store_are_secrets_wherever_they_are_given() -> None:
    credentials = AzureCredentialsWithoutDefaults()
    credentials.azure_storage_account_name = "ours"
    credentials.azure_storage_account_key = "key-of-ours"
    configuration = FilesystemConfiguration(bucket_url="az://container/lake", credentials=credentials)
    configuration.kwargs = {"connection_string": "AccountKey=another-key", "max_concurrency": 4}
    assert set(secrets_of(configuration)) >= {"key-of-ours", "AccountKey=another-key"}


def test_secrets_and_logins_are_taken_out_of_texts() -> None:
    told = without_secrets("key-of-ours is refused by https://me:pass@example.com/x", ["key-of-ours", "pass"])
    assert told == "… is refused by https://…@example.com/x"
