"""HTTP clients for sandboxes."""

from __future__ import annotations

import httpx

from posthog_warehouse.sandbox.local import Sandbox


def client_of(sandbox: Sandbox, key: str | None = None) -> httpx.Client:
    """A client with the sandbox's key, or another one; it follows nothing and retries nothing."""
    headers = {"Authorization": f"Bearer {key or sandbox.api_key}"}
    return httpx.Client(base_url=sandbox.host, headers=headers, timeout=60, trust_env=False)
