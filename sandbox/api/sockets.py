"""Access to the TCP connection of a request, so that faults can break it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import ClassVar

from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol


class TrackedProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol, which also remembers its open connections by the client's address."""

    transports: ClassVar[dict[tuple[str, int], asyncio.Transport]] = {}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn does
        """A client connected."""
        super().connection_made(transport)
        if self.client is not None:
            self.transports[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection ended, by whichever side."""
        if self.client is not None:
            self.transports.pop(self.client, None)
        super().connection_lost(exc)


def close(scope: Scope, *, reset: bool) -> None:
    """End the connection of this request: with a TCP reset, or after sending what was written so far."""
    transport = TrackedProtocol.transports.get(tuple(scope["client"]))
    if transport is None:
        return
    if not reset:
        transport.close()
        return
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None:
        # Lingering for zero seconds makes the kernel answer with RST instead of FIN.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
