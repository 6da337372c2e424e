"""A real S3 server (moto's, over HTTP) for tests, and buckets in it.

moto looks at the condition of a put first and puts then, in as many threads as there are requests: here one put comes
after the other, as a put with a condition does in S3.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from types import TracebackType
from typing import Any

import boto3
import requests
import s3fs
from moto.s3.responses import S3Response
from moto.server import ThreadedMotoServer

KEY, SECRET = "a-key", "a-secret-of-some-length"
_ONE_PUT = threading.Lock()


def _one_after_the_other() -> None:
    put = S3Response.put_object
    if hasattr(put, "__wrapped__"):
        return

    @wraps(put)
    def alone(response: S3Response) -> Any:
        with _ONE_PUT:
            return put(response)

    setattr(S3Response, "put_object", alone)  # noqa: B010 - mypy would have it typed as moto has


class S3Server:
    """The server, from `with` to its end."""

    scheme = "s3"

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        _one_after_the_other()
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)

    def __enter__(self) -> S3Server:
        self._server.start()
        _, port = self._server.get_host_and_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()

    def environment_at(self, endpoint: str) -> dict[str, str]:
        """Settings of dlt for this server, or for what stands in front of it."""
        prefix = "DESTINATION__FILESYSTEM__CREDENTIALS__"
        return {
            f"{prefix}AWS_ACCESS_KEY_ID": KEY,
            f"{prefix}AWS_SECRET_ACCESS_KEY": SECRET,
            f"{prefix}ENDPOINT_URL": endpoint,
            f"{prefix}REGION_NAME": "us-east-1",
        }

    @property
    def environment(self) -> dict[str, str]:
        """Settings of dlt for this server."""
        return self.environment_at(self.endpoint)

    @property
    def object_store(self) -> dict[str, str]:
        """Settings of the object_store crate for this server."""
        return {
            "aws_access_key_id": KEY,
            "aws_secret_access_key": SECRET,
            "aws_endpoint_url": self.endpoint,
            "aws_region": "us-east-1",
            "aws_allow_http": "true",
        }

    @property
    def client(self) -> Any:
        """boto3's client."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def new_bucket(self) -> str:
        """An empty bucket."""
        # moto keeps one set of buckets for all servers of a process: a name in two of them would be one bucket.
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self.client.create_bucket(Bucket=name)
        return name

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Within, the server refuses all requests with these keys, as it does where they have expired."""
        iam = f"{self.endpoint}/moto-api/reset-auth"
        requests.post(iam, data=b"0", timeout=10)
        try:
            yield
        finally:
            requests.post(iam, data=b"inf", timeout=10)

    @property
    def fs(self) -> s3fs.S3FileSystem:
        """The server's files, for readers; lists are never remembered."""
        return s3fs.S3FileSystem(
            key=KEY,
            secret=SECRET,
            endpoint_url=self.endpoint,
            client_kwargs={"region_name": "us-east-1"},
            use_listings_cache=False,
            skip_instance_cache=True,
        )
