"""Every fifth request fails in one way or another: the same end state."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from posthog_warehouse.sandbox.local import Sandbox
from posthog_warehouse.sources.posthog.errors import RedirectRefused
from tests.faults.endstate import EndState, end_state
from tests.faults.syncing import sync_here

pytestmark = pytest.mark.slow

OLD_ANSWER = {"results": [], "columns": [], "types": [], "is_cached": True, "last_refresh": "2026-01-01T00:00:00Z"}

FAULTS: dict[str, dict[str, Any]] = {
    "500": {"fault": "status", "status": 500},
    "502 of a proxy": {"fault": "status", "status": 502, "body": "<html>Bad Gateway</html>"},
    "503": {"fault": "status", "status": 503},
    "dropped": {"fault": "drop"},
    "reset": {"fault": "drop", "reset": True},
    "truncated": {"fault": "truncate"},
    "truncated by a reset": {"fault": "truncate", "reset": True},
    "malformed": {"fault": "malformed"},
    "another content type": {"fault": "content_type"},
    "slow": {"fault": "slow", "seconds": 0.5},
    "cached": {"fault": "status", "status": 200, "body": OLD_ANSWER},
}
WITHOUT_A_WAIT = {"slow", "cached"}


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fifth_request_fails(fault: str, posthog: Sandbox, undisturbed: EndState, database: Path) -> None:
    posthog.add_fault(**FAULTS[fault], path="^/api/projects/1/query/", every=5)

    synced = sync_here(posthog, database)

    assert posthog.faults()[0]["struck"] >= 3
    assert synced.result.status == "complete"
    assert end_state(database) == undisturbed
    if fault not in WITHOUT_A_WAIT:
        assert synced.waits
        assert synced.result.waited_seconds > 0


@pytest.mark.parametrize("status", [302, 307])
def test_a_redirect_to_another_host_stops_the_run_and_the_key_stays_here(
    status: int, posthog: Sandbox, undisturbed: EndState, database: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as elsewhere:
        visitors: list[bytes] = []

        def listen() -> None:
            try:
                visitor, _ = elsewhere.accept()
            except OSError:
                return
            with visitor:
                visitors.append(visitor.recv(65_536))

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        port = elsewhere.getsockname()[1]
        posthog.add_fault("redirect", path="/query/", to=f"http://127.0.0.1:{port}", status=status, at=[15])

        stopped = sync_here(posthog, database, package_rows=2_000).result

        elsewhere.shutdown(socket.SHUT_RDWR)
        listener.join(timeout=10)
    assert isinstance(stopped.stopped, RedirectRefused)
    assert visitors == []

    assert sync_here(posthog, database).result.status == "complete"
    assert end_state(database) == undisturbed
