"""A real server of Google Cloud Storage's API (gcp-storage-emulator, over HTTP) for tests, and buckets in it.

The emulator knows nothing of `ifGenerationMatch`: that condition of an upload is answered here, one upload after the
other, as https://cloud.google.com/storage/docs/request-preconditions says. `ignores_conditions` leaves it as it is: a
store that does not keep what it was asked.
"""

from __future__ import annotations

import json
import os
import threading
import uuid
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from http.server import ThreadingHTTPServer
from io import BytesIO
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers.buckets import create_bucket
from gcp_storage_emulator.server import RequestHandler
from gcp_storage_emulator.storage import Storage

# Else gcsfs asks by gRPC what kind a bucket is of, which this server does not speak. It is read by the import.
_NO_GRPC = {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
os.environ.update(_NO_GRPC)

import gcsfs  # noqa: E402 - the setting above goes before it

ACCOUNT = "warehouse@a-project.iam.gserviceaccount.com"


_ONE_UPLOAD = threading.Lock()


@cache
def _private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return text.decode()


class _Handler(RequestHandler):  # type: ignore[misc] # it has no types
    """The server's requests, and Google's exchange of a service account's signature for a token."""

    rfile: Any
    server: Any

    def do_POST(self) -> None:  # noqa: N802 - name of http.server
        if self.path != "/token":
            # All of it first: nobody is to wait for a client that stopped in the middle.
            connection = self.rfile
            body = connection.read(int(self.headers.get("Content-Length", 0)))
            with _ONE_UPLOAD:
                if self._meets_condition():
                    self.rfile = BytesIO(body)
                    super().do_POST()
                else:
                    self._answer(412, {"error": {"code": 412, "message": "conditionNotMet"}})
            self.rfile = connection
            return
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        claims = json.loads(urlsafe_b64decode(form["assertion"][0].split(".")[1] + "=="))
        if claims["iss"] == ACCOUNT:
            self._answer(200, {"access_token": "a-token", "expires_in": 3600, "token_type": "Bearer"})
        else:
            error = "Invalid grant: account not found"
            self._answer(400, {"error": "invalid_grant", "error_description": error})

    def _meets_condition(self) -> bool:
        """Whether the object of an upload is of the generation that the upload expects; 0: there is none."""
        url = urlsplit(self.path)
        asked = parse_qs(url.query)
        if "ifGenerationMatch" not in asked or self.server.ignores_conditions:
            return True
        bucket = url.path.partition("/b/")[2].partition("/")[0]
        try:
            there = str(self.storage.get_file_obj(bucket, asked["name"][0])["generation"])
        except NotFound:
            there = "0"
        return asked["ifGenerationMatch"] == [there]

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - name of http.server
        pass


class _Http(ThreadingHTTPServer):
    ignores_conditions = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A reader that hangs up is no news."""


class GcsServer:
    """The server, from `with` to its end."""

    scheme = "gs"

    def __enter__(self) -> GcsServer:
        self._storage = Storage(use_memory_fs=True)
        self._http = _Http(("127.0.0.1", 0), partial(_Handler, self._storage))
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    @contextmanager
    def ignoring_conditions(self) -> Iterator[None]:
        """Within, the server does what it is asked, whatever the condition is."""
        self._http.ignores_conditions = True
        try:
            yield
        finally:
            self._http.ignores_conditions = False

    def environment_as(self, account: str) -> dict[str, str]:
        """Settings of dlt for this server: the file of a service account, as Google gives it, and Google's own variable
        of where the server is."""
        key = {
            "type": "service_account",
            "project_id": "a-project",
            "client_email": account,
            "private_key": _private_key(),
            "token_uri": f"{self.endpoint}/token",
        }
        return {
            "DESTINATION__FILESYSTEM__CREDENTIALS": json.dumps(key),
            "STORAGE_EMULATOR_HOST": self.endpoint,
            **_NO_GRPC,
        }

    @property
    def environment(self) -> dict[str, str]:
        """Settings of dlt for this server."""
        return self.environment_as(ACCOUNT)

    @property
    def object_store(self) -> None:
        """None: that crate lists buckets as S3 does, which Google answers and this server does not."""

    def new_bucket(self) -> str:
        """An empty bucket."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        create_bucket(name, self._storage)
        return name

    @property
    def fs(self) -> gcsfs.GCSFileSystem:
        """The server's files, for readers; lists are never remembered."""
        return gcsfs.GCSFileSystem(
            token="anon",  # noqa: S106 - the word for none
            endpoint_url=self.endpoint,
            use_listings_cache=False,
            skip_instance_cache=True,
        )
