"""A real server of Azure's blobs (Azurite, Microsoft's own, over HTTP) for tests, and containers in it.

It is a program of Node.js, from `npm ci` in this folder's `azurite/`; `scripts/test` does that where npm is there.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import adlfs
from azure.storage.blob import BlobServiceClient

_PROGRAM = Path(__file__).parent / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
# Azurite's own account, the same everywhere.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
EXPIRED = "c2V2ZW50eS10d28taG91cnMtYWdvLXRoaXMta2V5LXdhcy1yb3RhdGVkLWF3YXk="


def is_installed() -> bool:
    """Whether there is Node.js, and the server."""
    return _PROGRAM.exists() and shutil.which("node") is not None


class AzureServer:
    """The server, from `with` to its end."""

    scheme = "az"

    def __enter__(self) -> AzureServer:
        options = ("--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent")
        command = ["node", str(_PROGRAM), "--blobPort", "0", *options]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._process.stdout is not None
        said = ""
        for line in self._process.stdout:
            said += line
            if found := re.search(r"listens on http://[^:]+:(\d+)", line):
                self.endpoint = f"http://127.0.0.1:{found[1]}"
                return self
        raise AssertionError(f"Azurite did not start: {said}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def environment_with(self, key: str) -> dict[str, str]:
        """Settings of dlt for this server."""
        prefix = "DESTINATION__FILESYSTEM__"
        return {
            f"{prefix}CREDENTIALS__AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
            f"{prefix}CREDENTIALS__AZURE_STORAGE_ACCOUNT_KEY": key,
            f"{prefix}KWARGS": json.dumps({"connection_string": self._connection_string(key)}),
        }

    @property
    def environment(self) -> dict[str, str]:
        """Settings of dlt for this server."""
        return self.environment_with(KEY)

    @property
    def object_store(self) -> dict[str, str]:
        """Settings of the object_store crate for this server."""
        return {
            "azure_storage_account_name": ACCOUNT,
            "azure_storage_account_key": KEY,
            "azure_storage_endpoint": f"{self.endpoint}/{ACCOUNT}",
            "azure_allow_http": "true",
        }

    def _connection_string(self, key: str) -> str:
        parts = {
            "DefaultEndpointsProtocol": "http",
            "AccountName": ACCOUNT,
            "AccountKey": key,
            "BlobEndpoint": f"{self.endpoint}/{ACCOUNT}",
        }
        return ";".join(f"{name}={value}" for name, value in parts.items())

    def new_bucket(self) -> str:
        """An empty container."""
        name = f"container-{uuid.uuid4().hex[:12]}"
        with BlobServiceClient.from_connection_string(self._connection_string(KEY)) as client:
            client.create_container(name)
        return name

    @property
    def fs(self) -> Any:
        """The server's files, for readers; lists are never remembered."""
        return adlfs.AzureBlobFileSystem(
            connection_string=self._connection_string(KEY), use_listings_cache=False, skip_instance_cache=True
        )
